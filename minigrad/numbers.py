"""Numbers that others hand in: made arrays of the dtype that is wanted, or refused where they would become others."""

from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

Real = int | float | np.integer[Any] | np.floating[Any]


def is_real(value: object) -> TypeGuard[Real]:
    """Return whether `value` is a real number, of Python or NumPy; NaN and infinity are."""
    return isinstance(value, (int, float, np.integer, np.floating))


def is_whole(value: object) -> TypeGuard[Real]:
    """Return whether `value` is a whole number, as an integer or a float."""
    return is_real(value) and value == value // 1


def whole(owner: str, name: str, value: object, least: int) -> int:
    """Return an argument that counts something as an int.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is less than `least`.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        got = repr(value) if isinstance(value, (str, int, float)) else type(value).__name__
        raise TypeError(f"{owner}: want an integer for {name}, got {got}")
    if value < least:
        raise ValueError(f"{owner}: want {name} >= {least}, got {value}")
    return int(value)


def as_numbers(value: object) -> Array:
    """Return `value` as an array of numbers or bools.

    Raises:
        ValueError: saying what else it is.
    """
    try:
        array = np.asarray(value)
    except Exception as error:  # of a ragged list, or of another library's array: anything
        raise ValueError(f"want numbers, got a {type(value).__name__} ({error})") from None
    if array.dtype.kind not in "biufc":
        got = type(value).__name__ if array.dtype == object else f"{array.dtype} {array.shape}"
        raise ValueError(f"want numbers, got {got}")
    return array


def convert(array: Array, dtype: npt.DTypeLike) -> Array:
    """Return `array` in another dtype: rounded where that is of floats, otherwise exactly.

    Raises:
        ValueError: for complex numbers that are to be real, what is finite and would overflow, and what is to be an
            integer and is none.

    >>> convert(np.array([1.0, 2.0]), np.int64).tolist()
    [1, 2]
    >>> convert(np.array([1.5]), np.int64)
    Traceback (most recent call last):
    ValueError: want int64, got float64 with values that it has not, such as 1.5
    """
    wanted = np.dtype(dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind == "c" and wanted.kind != "c":
        raise ValueError(f"want {wanted}, got {array.dtype}")
    with np.errstate(all="ignore"):
        result = array.astype(wanted)
        changed = np.isinf(result) & ~np.isinf(array) if wanted.kind in "fc" else result != array
    if changed.any():
        raise ValueError(f"want {wanted}, got {array.dtype} with values that it has not, such as {array[changed][0]}")
    return result

"""Arrays of numbers from whatever holds some: lists, arrays, tensors, frames and their columns, masked arrays."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
NUMBERS = "biuf"  # NumPy's kinds of dtype that are real numbers
LABELS = "classes, y = np.unique(y, return_inverse=True) numbers them 0, 1, ..."
KINDS = {
    "U": "text",
    "S": "text",
    "T": "text",
    "M": "dates",
    "m": "spans of time",
    "c": "complex numbers",
    "V": "records",
    "O": "Python objects",
}
REMEDIES = {
    "M": "turn them into numbers, for instance (x - x.min()) / np.timedelta64(1, 'D')",
    "m": "turn them into numbers, for instance x / np.timedelta64(1, 'D')",
    "c": "give real and imaginary parts as two numbers, np.stack([x.real, x.imag], axis=-1)",
    "V": "give one array of numbers, numpy.lib.recfunctions.structured_to_unstructured(x)",
}


def as_array(what: str, value: Any) -> Array:
    """Return `value` as an array of real numbers; not copied where it is one.

    Missing values (of pandas, polars and masked arrays) become NaN. A frame becomes (rows, columns).

    Arguments:
        what: what it is, for errors; its last word is "x" or "y".
        value: an array, list, tensor, Series or frame.

    Raises:
        TypeError: if it holds something else, saying what and where, and what to do.
        ValueError: for a list of rows of different lengths.
    """
    if type(value) is np.ndarray:
        return _numbers(what, value)
    if hasattr(value, "to_numpy"):
        return _frame(what, value) if is_frame(value) else _column(what, value)
    if is_sparse(value):
        raise TypeError(f"{what} is sparse ({type(value).__name__}): give its dense form, {what[-1]}.toarray()")
    if isinstance(value, np.ma.MaskedArray):
        return _without_gaps(what, value)
    return _numbers(what, _plain(what, value))


def is_sparse(value: object) -> bool:
    """Return whether it is a sparse array of scipy or the like."""
    return hasattr(value, "toarray")


def is_frame(value: object) -> bool:
    """Return whether it is a table of named columns, of pandas or polars."""
    return hasattr(value, "to_numpy") and hasattr(value, "columns")


def is_bare(value: object) -> bool:
    """Return whether it is one array of numbers (of any library), and no data set."""
    is_array = hasattr(value, "__array__") or is_sparse(value) or is_frame(value)
    return is_array and not isinstance(value, np.generic)


def _plain(what: str, value: Any) -> Array:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        if "inhomogeneous" in str(error):
            raise ValueError(
                f"{what} holds rows of different lengths: make them equal, for instance pad them"
            ) from None
        raise TypeError(f"{what} cannot become an array: {type(value).__name__}: {error}") from None


def _numbers(what: str, array: Array) -> Array:
    if array.dtype == object and array.size and all(map(_is_number, array.flat)):
        array = array.astype(np.float64)
    if array.dtype.kind not in NUMBERS:
        raise TypeError(f"{what} must hold numbers, got {_described(what, array)}")
    return array


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating, np.bool_))


def _described(what: str, array: Array) -> str:
    kind = array.dtype.kind
    culprit = next((value for value in array.flat if not _is_number(value)), None) if kind == "O" else None
    is_text = kind in "UST" or isinstance(culprit, str)
    got = f"dtype {array.dtype} ({KINDS['U'] if is_text else KINDS.get(kind, kind)}"
    got += f", the first that is no number is {str(culprit)[:30]!r})" if kind == "O" else ")"
    if is_text:
        remedy = (
            LABELS if what.endswith("y") else "turn text into numbers, for instance a column of 0 and 1 for each word"
        )
    else:
        remedy = REMEDIES.get(kind, "give an array or a list of numbers")
    return f"{got}: {remedy}"


def _without_gaps(what: str, value: Any) -> Array:
    if not np.ma.is_masked(value):
        return _numbers(what, np.asarray(value))
    _numbers(what, np.asarray(value))
    return np.asarray(value.astype(np.float64).filled(np.nan))


def _column(what: str, column: Any) -> Array:
    """Return a Series, or an array of pandas' own dtypes."""
    own = getattr(column.dtype, "numpy_dtype", None)  # of pandas' dtypes that know missing values
    if own is not None and np.dtype(own).kind in NUMBERS:
        if not np.asarray(column.isna()).any():
            return np.asarray(column.to_numpy(dtype=own))
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    array = _plain(what, column)
    if str(getattr(column, "dtype", "")) == "Boolean" and array.dtype == object:  # polars, with missing values
        array = np.array([np.nan if value is None else value for value in array], np.float64)
    return _numbers(what, array)


def _frame(what: str, frame: Any) -> Array:
    array = _plain(what, frame)
    if array.dtype.kind in NUMBERS:
        return array
    columns = frame.get_columns() if hasattr(frame, "get_columns") else _columns_of_pandas(frame)
    found = []
    for name, column in zip(frame.columns, columns, strict=True):
        try:
            found.append(_column(f"{what}: column {name!r}", column))
        except TypeError:
            raise TypeError(
                f"{what}: column {name!r} must hold numbers, got dtype {column.dtype}: leave it out, or turn it into "
                "numbers (pandas.get_dummies(frame), polars' frame.to_dummies() for categories)"
            ) from None
    return np.stack(found, axis=1)


def _columns_of_pandas(frame: Any) -> Iterable[Any]:
    """Yield the columns by number: names may come twice."""
    return (frame.iloc[:, number] for number in range(frame.shape[1]))

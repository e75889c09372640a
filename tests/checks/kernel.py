"""What every kernel has to do: compiled, the same as the definition in NumPy."""

import copy
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from minigrad import kernels
from tests.cases.case import At
from tests.cases.kernel import KernelCase
from tests.checks.errors import Check, Errors, assert_within

# In units of the product of all arguments' magnitudes, of which each element is a sum of parts: about 20 roundings in
# the two versions together, where exp and its like count as 3. A sum of more than 7 terms is in float64.
BOUND = {np.float32: 20 * 2.0**-24, np.float64: 20 * 2.0**-53}
# Their results are float64, but they add four terms at a time in the precision of the images: 5 roundings of it.
IN_PRECISION_OF_X = ("channel_moments", "channel_norm_sums")
# By how much parts are larger than the product of the arguments. Sums of M products of both signs, in the precision of
# the images, are some √M products large (M is at most 980). Pixels are multiplied twice by the matrix B of a transform,
# whose largest number is 5/2, and nearly cancel each other.
LARGER = {
    "depthwise_backward_weight": lambda x, dy, *others: (dy.shape[0] * dy.shape[1]) ** 0.5,
    "winograd_input": lambda *given: 2.5**2,
}


def kernel(backend: str, name: str) -> Callable[..., None]:
    """Return a kernel of one backend: looked up at each call, where a test may have put another one."""
    modules = [import_module(f"minigrad.kernels.{backend}.{family}") for family in kernels.FAMILIES]
    return next(getattr(module, name) for module in modules if hasattr(module, name))


def jit_equals_reference(case: KernelCase, at: At) -> Errors:
    """Both backends leave the same in all arrays that they are given."""
    given = case.arguments(at)
    expected, actual = copy.deepcopy(given), copy.deepcopy(given)
    with np.errstate(all="ignore"):  # of infinities and NaN
        kernel("reference", case.cls)(*expected)
        kernel("jit", case.cls)(*actual)
    arrays = [i for i, value in enumerate(given) if isinstance(value, np.ndarray)]
    sizes = sizes_of([given[i] for i in arrays]) * LARGER.get(case.cls, lambda *given: 1)(*given)
    errors = {"values": 0.0}
    for i in arrays:
        error = difference(actual[i], expected[i], sizes)
        dtype = at.dtype if case.cls in IN_PRECISION_OF_X else expected[i].dtype
        assert_within({f"argument {i}": error}, BOUND.get(np.dtype(dtype).type, 0.0))
        if expected[i].dtype == at.dtype:  # gather_uint8 always writes float32
            errors["values"] = max(errors["values"], error)
    return errors


def sizes_of(arrays: list[np.ndarray]) -> Any:
    """Return the product of the arguments' magnitudes, each at least 1; of each element, where all are vectors."""
    magnitudes = [np.abs(np.where(np.isfinite(a), a, 0), dtype=np.float64) for a in arrays if a.size]
    if {a.shape for a in magnitudes} == {magnitudes[0].shape} and magnitudes[0].ndim == 1:
        return np.prod([np.maximum(1, a) for a in magnitudes], axis=0)
    return np.prod([a.max(initial=1) for a in magnitudes])


def difference(ours: np.ndarray, theirs: np.ndarray, sizes: Any) -> float:
    """Return the largest difference, in units of `sizes` or of the value; inf and NaN must be the same."""
    assert ours.dtype == theirs.dtype
    finite = np.isfinite(theirs)
    np.testing.assert_array_equal(ours[~finite], theirs[~finite])
    if not finite.any():
        return 0.0
    ours, theirs = (np.where(finite, array, 0).astype(np.float64) for array in (ours, theirs))
    return float(np.max(np.abs(ours - theirs) / np.maximum(sizes, np.abs(theirs))))


CHECKS: dict[str, Check] = {"jit equals reference": jit_equals_reference}

"""How far two results are apart, and how far rounding alone may bring them apart."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Errors = dict[str, float]
Check = Callable[[Any, Any], Errors | None]  # (case, where) -> measured errors; raises AssertionError

FLOAT64_BOUND = 1e-10
FLOOR = 0.01  # a result that is 0 but for rounding is compared in units of this
UNIT = 2.0**-24  # of float32: what one rounding changes, relatively
NUDGE = 1e-6
SHARE = "share of the float32 bound"


def relative_errors(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> Errors:
    """Return the largest error of each array, relative to the largest value of the right one."""
    assert ours.keys() == theirs.keys(), f"{sorted(ours)} != {sorted(theirs)}"
    return {name: _relative_error(ours[name], theirs[name], name) for name in ours}


def _relative_error(ours: np.ndarray, theirs: np.ndarray, name: str) -> float:
    assert np.shape(ours) == np.shape(theirs), f"{name}: {np.shape(ours)} != {np.shape(theirs)}"
    difference = np.abs(np.subtract(ours, theirs, dtype=np.float64))
    return float(np.max(difference, initial=0) / scale_of(theirs))


def scale_of(array: np.ndarray) -> float:
    return max(FLOOR, float(np.max(np.abs(array), initial=0)))


def assert_within(errors: Errors, bounds: Mapping[str, float] | float) -> Errors:
    """Return the errors where each is within its bound."""
    for name, error in errors.items():
        bound = bounds if isinstance(bounds, float) else bounds[name]
        assert error <= bound, f"{name}: relative error {error:.2g} > {bound:.2g}"
    return errors


def share_of_bounds(errors: Errors, bounds: Mapping[str, float]) -> Errors:
    """Return by how much the errors fill their bounds, the fullest one, where each is within its own."""
    assert_within(errors, bounds)
    return {SHARE: max(error / bounds[name] for name, error in errors.items())}


def _nudged(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if array.dtype.kind != "f":
        return array
    factor = np.asarray(1 + NUDGE * rng.uniform(-1, 1, array.shape), np.float32)
    return np.asarray(array * factor, np.float32)  # a point that both precisions have


def float32_bounds(
    evaluate: Callable[..., dict[str, np.ndarray]], rng: np.random.Generator, *given: np.ndarray, part: float = 1.0
) -> Errors:
    """Return how far float32 arithmetic may be from the exact results of `evaluate(np.float64, *given)`.

    R roundings in a row change a term by at most R u, relatively, with u = 2^-24 (Higham, Accuracy and Stability of
    Numerical Algorithms, 2002, lemma 3.1). R is the length of the longest sum, at most the size of the largest array,
    and 50 for the functions of an element. What a change of R u in what is computed on the way does to the results is
    what the same change of the given arrays does: measured, in float64, as the largest effect on any result of three
    random changes by 1e-6. (On any: a gradient that is 0, as of a bias before a BatchNorm, is a difference of others.)

    That does not see a result that is small by a difference of large parts, whatever is given: a BatchNorm of two
    samples normalises to ±1, and its dx is 0 but for eps. `part` is the size of the largest part, where it is known,
    and eight times what PyTorch's own arithmetic, `evaluate(np.float32, ...)`, loses over the three changes is allowed.
    """
    exact = evaluate(np.float64, *given)
    roundings = 50 + max(array.size for array in (*given, *exact.values()))
    effect, lost = part, dict.fromkeys(exact, 0.0)
    for _ in range(3):
        nudged = [_nudged(array, rng) for array in given]
        moved, rounded = evaluate(np.float64, *nudged), evaluate(np.float32, *nudged)
        for name, error in relative_errors(moved, exact).items():
            effect = max(effect, error * scale_of(exact[name]) / NUDGE)
        for name, error in relative_errors(rounded, moved).items():
            lost[name] = max(lost[name], error)
    return {name: roundings * UNIT * effect / scale_of(array) + 8 * lost[name] for name, array in exact.items()}

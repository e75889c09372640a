"""Is a backward pass right? Compare it with finite differences of its forward."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Direction = dict[str, Array]

STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
TOLERANCE: dict[np.dtype[Any], float] = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 5e-5}
ROUNDINGS = 64  # in a row, each relative to the terms of a sum, are allowed to the function and to its backward
SMOOTH = 1e-6  # largest share of the slope that its two estimates of second order, and its two sides, may differ by
LINES = 2  # random directions over each set of arrays
MOST_ELEMENTS = 500  # of an array, that a report compares


class Differentiable(Protocol):
    """What can be checked: a Module or a Loss."""

    @property
    def vjp(self) -> Callable[..., tuple[Any, Callable[..., Array]]]:
        """A function of x, and of a loss's further arguments, that returns the output and its pullback."""


class GradientError(AssertionError):
    """A backward pass disagrees with finite differences, or breaks the contract. The message says where.

    `error` is the relative error found; infinite for a breach of the contract.
    """

    def __init__(self, message: str, error: float = math.inf) -> None:
        super().__init__(message)
        self.error = error


class KinkError(ValueError):
    """The function has no derivative at the point, so there is nothing to compare with. The message says where."""


class Slope(NamedTuple):
    """A derivative along a line, and by which step it was found."""

    value: float
    step: float


def gradcheck(
    function: Differentiable,
    x: npt.ArrayLike,
    *arguments: Any,
    dtype: npt.DTypeLike = np.float64,
    tolerance: float | None = None,
    seed: int = 0,
) -> float:
    """Check the backward pass of a module or loss at `x`, and return the largest relative error found.

    For a random cotangent u and a random direction v, the derivative of <u, f> along v by the backward pass is compared
    with the one by finite differences: first jointly over the input and all parameters, then for each of them. Where
    they differ, element by element; the worst are reported. Buffers (BatchNorm) and masks (Dropout) are the same in
    every evaluation, and `function` itself is not changed.

    Differences are of fourth order, in float64, over the largest step of 1e-3 to 1e-7 within which the function is
    smooth. Where it is smooth within none there is a kink: `KinkError`.

    The contract is checked too: a backward returns a gradient of x's shape and dtype, adds to the parameters'
    gradients, writes to nothing else, and can be called again.

    Arguments:
        function: a Module, or a Loss (its target goes into `arguments`).
        x: where to check. Integers (indices) have no gradient.
        arguments: what the function takes behind x: a loss's target and sample weights.
        dtype: in which the backward pass runs, float64 or float32. The differences are in float64 always.
        tolerance: largest relative error that passes; by default 1e-6 in float64 and 5e-5 in float32. It is relative
            to √Σ (g_i v_i)² for a gradient g, which is what a sum of that many terms comes to, or to what rounding
            hides where that is more.
        seed: of u and v.

    Raises:
        GradientError: where the backward pass is wrong.
        KinkError: where the function is not differentiable at the point.

    >>> from minigrad import nn
    >>> gradcheck(nn.Sequential(nn.Linear(5, 3), nn.Tanh()), np.ones((2, 5))) < 1e-8
    True
    """
    tolerance = TOLERANCE[np.dtype(dtype)] if tolerance is None else tolerance
    # Not default_rng(seed): that may have drawn x as well, and u = x hides a normalisation's gradient.
    rng = np.random.default_rng([seed, 1])
    check = _Check(function, np.asarray(x), arguments, np.dtype(dtype), tolerance, rng)
    sets = [list(check.point), *([name] for name in check.point)]
    return max(check.error_along(names) for names in sets for _ in range(LINES))


class _Check:
    """A function at a point: its gradient there, and its slope along any line."""

    def __init__(
        self,
        function: Any,
        x: Array,
        arguments: tuple[Any, ...],
        dtype: np.dtype[Any],
        tolerance: float,
        rng: np.random.Generator,
    ) -> None:
        self.name, self.arguments, self.dtype = type(function).__name__, arguments, dtype
        self.tolerance, self.rng = tolerance, rng
        function = _converted(function, dtype)
        self.has_dx = x.dtype.kind not in "iu"
        self.x = x.astype(dtype) if self.has_dx else x
        self.function = _converted(function, np.float64)
        self.point = {name: p.data for name, p in _named_parameters(self.function)}
        if self.has_dx:
            self.point["x"] = self.x.astype(np.float64)
        self.gradient = self._gradient(function)
        self.backward_rounding = self._backward_rounding()
        self.here, self.rounding = self._here()

    def _gradient(self, function: Any) -> Direction:
        """Return the gradient by the backward pass, which has to keep the contract."""
        parameters = dict(_named_parameters(function))
        given = {"the input": self.x} | {name: parameter.data for name, parameter in parameters.items()}
        before = copy.deepcopy(given)
        value, pullback = function.vjp(self.x, *self.arguments)
        self._want(np.isfinite(value).all(), "the output is not finite: there is nothing to compare")
        self.cotangent = np.asarray(self.rng.standard_normal(np.shape(value)), np.asarray(value).dtype)
        given["the cotangent"], before["the cotangent"] = self.cotangent, copy.copy(self.cotangent)

        def gradients(start: float) -> Direction:
            for parameter in parameters.values():
                parameter.grad = np.full_like(parameter.data, start)
            dx = np.array(pullback(self.cotangent))  # a copy: it may be the cotangent itself
            return {name: p.grad.copy() for name, p in parameters.items()} | ({"x": dx} if self.has_dx else {})

        once, again = gradients(0), gradients(0)
        # Not onto the gradient itself: where its parts cancel, another order of the sums changes all its digits.
        start = 1 + max(float(np.abs(gradient).max(initial=0)) for gradient in (np.zeros(1), *once.values()))
        added = gradients(start)
        for name, array in given.items():
            self._want(np.array_equal(array, before[name]), f"{name} was written to")
        for name, gradient in once.items():
            array = self.x if name == "x" else parameters[name].data
            self._want(
                gradient.shape == array.shape and gradient.dtype == array.dtype,
                f"want a gradient like {name}, {array.dtype} {array.shape}; got {gradient.dtype} {gradient.shape}",
            )
            self._want(np.isfinite(gradient).all(), f"the gradient of {name} is not finite")
            expected = gradient if name == "x" else start + gradient
            self._want(
                np.array_equal(again[name], gradient)
                and np.allclose(added[name], expected, rtol=0, atol=start * self.tolerance),
                f"a second backward pass gives another gradient of {name}: want `+=`, and saved values left alone",
            )
        return once

    def _backward_rounding(self) -> float:
        """Return how far rounding in the backward pass may move the slope along a random direction.

        Its parts may be as large as the cotangent: dx = y (1 - y) dy of a sigmoid near 1 is small by a difference.
        """
        sizes = [float(np.linalg.norm(array)) for array in (*self.gradient.values(), self.cotangent)]
        return float(np.finfo(self.dtype).eps) * (ROUNDINGS * math.hypot(*sizes[:-1]) + 4 * sizes[-1])

    def _want(self, is_so: Any, otherwise: str) -> None:
        if not is_so:
            raise GradientError(f"{self.name}: {otherwise}")

    def error_along(self, names: list[str]) -> float:
        """Return the relative error along a random direction over these arrays; raise if it is too large."""
        direction = {name: self.rng.standard_normal(self.point[name].shape) for name in names}
        slope = self.slope(direction)
        if slope is None:
            raise KinkError(self._kinks(names))
        terms = np.concatenate([np.zeros(0), *(np.ravel(self.gradient[name] * v) for name, v in direction.items())])
        error = self._relative(float(terms.sum()), float(np.linalg.norm(terms)), slope)
        if not error <= self.tolerance:
            raise GradientError(
                f"{self.name}: along a random direction over {', '.join(names)} the backward pass gives "
                f"{terms.sum():.9g}, finite differences give {slope.value:.9g} (relative error {error:.2g})\n"
                f"{self._report(names)}",
                error,
            )
        return error

    def _relative(self, analytic: float, size: float, slope: Slope) -> float:
        """Return the error in units of the gradient's size, or of what rounding hides where that is more."""
        error = abs(analytic - slope.value)
        hidden = self.rounding / slope.step + self.backward_rounding
        return error and error / max(size, abs(slope.value), hidden / self.tolerance)

    def slope(self, direction: Direction) -> Slope | None:
        """Return the slope along a line by the largest step that sees no kink, or None.

        With f_k = f(k h), wide = (f_2 - f_-2) / 4h and near = (f_1 - f_-1) / 2h are estimates of second order, and
        (4 near - wide) / 3 is one of fourth. Where f is smooth, near - wide is O(h²) and the fourth difference
        f_-2 - 4 f_-1 + 6 f_0 - 4 f_1 + f_2 is O(h⁴); at a kink where the slope jumps by J that is 2 h J.
        """
        for h in STEPS:
            f_2, f_1, f1, f2 = (self._value(direction, k * h).sum() for k in (-2, -1, 1, 2))
            wide, near = (f2 - f_2) / (4 * h), (f1 - f_1) / (2 * h)
            value = float(4 * near - wide) / 3
            bend = f_2 - 4 * f_1 + 6 * self.here - 4 * f1 + f2
            if max(abs(bend), h * abs(near - wide)) <= h * SMOOTH * abs(value) + self.rounding:
                return Slope(value, h)
        return None

    def _value(self, direction: Direction, distance: float) -> Array:
        """Return the terms of <u, f> at a distance along a line."""
        function = copy.deepcopy(self.function)
        for name, parameter in _named_parameters(function):
            if name in direction:
                parameter.data += distance * direction[name]
        x = self.point["x"] if self.has_dx else self.x
        if "x" in direction:
            x = np.asarray(x + distance * direction["x"])
        return np.asarray(self.cotangent * np.asarray(function.vjp(x, *self.arguments)[0], np.float64))

    def _here(self) -> tuple[float, float]:
        """Return <u, f> at the point, and how far rounding may move it.

        Every result may be made of parts as large as itself, as a coordinate, or as 1 (x Φ(x) at -6 is one of the
        second kind), and every coordinate is rounded when it is moved.
        """
        terms = self._value({}, 0)
        self._want(np.array_equal(terms, self._value({}, 0)), "two forwards differ: keep its randomness in the object")
        largest = max(1.0, *(float(np.abs(value).max(initial=0)) for value in self.point.values()))
        parts = float(np.abs(terms).sum() + largest * np.abs(self.cotangent).sum())
        effects = sum(float(np.abs(self.gradient[name] * value).sum()) for name, value in self.point.items())
        return float(terms.sum()), ROUNDINGS * float(np.finfo(np.float64).eps) * (parts + effects)

    def _elements(self, names: list[str]) -> Iterator[tuple[str, Slope | None, float]]:
        """Yield name, numeric and analytic derivative of the elements of these arrays, a sample of large ones."""
        for name in names:
            value = self.point[name]
            chosen = self.rng.permutation(value.size)[:MOST_ELEMENTS]
            for index in (np.unravel_index(i, value.shape) for i in chosen):
                unit = np.zeros(value.shape)
                unit[index] = 1
                place = f"{name}[{', '.join(map(str, index))}]"
                yield place, self.slope({name: unit}), float(self.gradient[name][index])

    def _report(self, names: list[str], most: int = 10) -> str:
        """Return a table of the elements with the largest errors."""
        rows = [
            (self._relative(analytic, abs(analytic), slope), place, analytic, slope.value)
            for place, slope, analytic in self._elements(names)
            if slope is not None
        ]
        lines = [
            f"{place:24} {analytic:+16.9g} {numeric:+16.9g} {error:10.2g}"
            for error, place, analytic, numeric in sorted(rows, reverse=True)[:most]
        ]
        return "\n".join([f"{'element':24} {'backward':>16} {'differences':>16} {'error':>10}", *lines])

    def _kinks(self, names: list[str], most: int = 5) -> str:
        """Return what to say of a point without a derivative."""
        places = list(islice((place for place, slope, _ in self._elements(names) if slope is None), most))
        where = f" at {', '.join(places)}" if places else ""
        return f"{self.name}: not differentiable{where}: a kink, a tie or a jump. Check it at another point"


def _converted(function: Any, dtype: npt.DTypeLike) -> Any:
    function = copy.deepcopy(function)
    return function.to(dtype) if hasattr(function, "to") else function


def _named_parameters(function: Any) -> list[tuple[str, Any]]:
    """Return the parameters of what has any, without the frozen ones."""
    named = function.named_parameters() if hasattr(function, "named_parameters") else []
    return [(name, parameter) for name, parameter in named if parameter.requires_grad]

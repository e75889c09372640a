"""Is a backward pass right? Compare it with finite differences of its forward, in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Differentiable(Protocol):
    """What can be checked: a Module or a Loss."""

    def vjp(self, x: Array, *arguments: Any) -> tuple[Any, Callable[[Any], Array]]:
        """Return the output and its pullback."""


class GradientError(AssertionError):
    """A backward pass disagrees with finite differences. The message lists the worst elements."""


def gradcheck(
    function: Differentiable,
    x: npt.ArrayLike,
    *arguments: Any,
    step: float = 1e-6,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> float:
    """Check the backward pass of a module or loss at `x`, and return the relative error found.

    For a random cotangent u and a random direction v, jointly over the input and all parameters, the derivative of
    <u, f> along v is compared with its central difference. Where they differ, every element is compared, and the
    worst are reported. Buffers and dropout masks are the same in every evaluation; `function` itself is not changed.

    Arguments:
        function: a Module, or a Loss (its target goes into `arguments`).
        x: where to check. Keep away from kinks: there is no derivative to compare with.
        arguments: what the function takes behind x: a loss's target and sample weights.
        step: half the distance of the two points of the difference.
        tolerance: largest |analytic - numeric| / max(1, |analytic|) that passes.
        seed: of u and v.

    Raises:
        GradientError: where it does not pass.

    >>> from minigrad import nn
    >>> gradcheck(nn.Sequential(nn.Linear(5, 3), nn.Tanh()), np.ones((2, 5))) < 1e-8
    True
    """
    check = _Check(function, np.asarray(x), arguments, np.random.default_rng(seed))
    direction = {name: check.rng.standard_normal(value.shape) for name, value in check.point.items()}
    analytic = float(sum(np.sum(check.gradient[name] * v) for name, v in direction.items()))
    numeric = check.slope(direction, step)
    error = _relative(analytic, numeric)
    if not error <= tolerance:
        raise GradientError(
            f"{type(function).__name__}: along a random direction the backward pass gives {analytic:.9g}, "
            f"finite differences give {numeric:.9g} (relative error {error:.2g})\n{check.report(step)}"
        )
    return error


def _relative(analytic: float, numeric: float) -> float:
    return abs(analytic - numeric) / max(1.0, abs(analytic))


class _Check:
    """A function at a point: its gradient there, and its slope along any direction."""

    def __init__(
        self, function: Differentiable, x: Array, arguments: tuple[Any, ...], rng: np.random.Generator
    ) -> None:
        self.rng, self.arguments = rng, arguments
        self.function: Any = copy.deepcopy(function)
        if hasattr(self.function, "to"):
            self.function.to(np.float64)
        self.x = x if x.dtype.kind in "iu" else x.astype(np.float64)
        function = copy.deepcopy(self.function)
        value, pullback = function.vjp(self.x, *arguments)
        self.cotangent: Any = rng.standard_normal(np.shape(value))
        dx = pullback(self.cotangent)
        self.gradient = {name: p.grad for name, p in _named_parameters(function)}
        self.point: dict[str, Array] = {name: p.data for name, p in _named_parameters(self.function)}
        if self.x.dtype.kind == "f":
            self.gradient["x"], self.point["x"] = dx, self.x

    def value(self, move: dict[str, Array]) -> float:
        """Return <u, f> where the point is moved."""
        function = copy.deepcopy(self.function)
        for name, p in _named_parameters(function):
            if name in move:
                p.data += move[name]
        x = self.x + move["x"] if "x" in move else self.x
        return float(np.sum(self.cotangent * function.vjp(x, *self.arguments)[0]))

    def slope(self, direction: dict[str, Array], step: float) -> float:
        """Return the central difference along `direction`."""
        there = self.value({name: step * v for name, v in direction.items()})
        back = self.value({name: -step * v for name, v in direction.items()})
        return (there - back) / (2 * step)

    def elements(self, step: float) -> Iterator[tuple[float, str]]:
        """Yield the relative error and a line for every element of the input and the parameters."""
        for name, value in self.point.items():
            for index in np.ndindex(value.shape):
                unit = np.zeros(value.shape)
                unit[index] = 1
                analytic, numeric = float(self.gradient[name][index]), self.slope({name: unit}, step)
                error = _relative(analytic, numeric)
                place = f"{name}[{', '.join(map(str, index))}]"
                yield error, f"{place:24} {analytic:+16.9g} {numeric:+16.9g} {error:10.2g}"

    def report(self, step: float, most: int = 10) -> str:
        """Return a table of the elements with the largest errors."""
        worst = sorted(self.elements(step), key=lambda row: row[0], reverse=True)[:most]
        head = f"{'element':24} {'backward':>16} {'differences':>16} {'error':>10}"
        return "\n".join([head, *(line for _, line in worst)])


def _named_parameters(function: Any) -> list[tuple[str, Any]]:
    return list(function.named_parameters()) if hasattr(function, "named_parameters") else []

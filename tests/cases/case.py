"""What a case is: how to make a layer, what to feed it, what it is compared with, and what it must refuse."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from minigrad import nn

GAP = 0.05  # distance of inputs from kinks, far above the step of a finite difference
LAYOUTS = ("C", "Fortran", "strided", "reversed", "read-only")


@dataclass(frozen=True)
class At:
    """Where a case is checked: the mode, the precision, and what the random values come from."""

    training: bool = True
    dtype: Any = np.float64
    seed: int = 0
    layout: str = "C"
    values: tuple[float, ...] = ()  # planted among the input's random ones

    def rng(self, stream: int) -> np.random.Generator:
        """Return a generator of its own for each use: parameters, input, cotangent, ..."""
        return np.random.default_rng([self.seed, stream])

    def cotangent(self, y: np.ndarray, stream: int = 0) -> np.ndarray:
        """Return a random one: ones or y itself hide whole terms of a normalisation's gradient."""
        return np.asarray(self.rng(100 + stream).standard_normal(y.shape), y.dtype)


@dataclass(frozen=True)
class ErrorCase:
    """An input that must be refused, and words that the message must hold."""

    what: str
    x: Any
    match: str


@dataclass(frozen=True)
class ModuleCase:
    """One layer with one set of options. All sizes in `shape` are pairwise distinct: square shapes hide transposes."""

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    torch_twin: Callable[[], torch.nn.Module] | None = None
    reference: Callable[[nn.Module, np.ndarray], np.ndarray] | None = None  # naive, where PyTorch has no twin
    kinks: tuple[float, ...] = ()
    integers: int | None = None  # inputs are integers below this
    has_derivative: bool = True
    couples_batch: bool = False
    differs_in_eval: bool = False
    returns_view: bool = False
    normalises: tuple[int, ...] = ()  # the axes over which a variance is taken
    groups: int | None = None  # of channels, over each of which one is taken
    compares: bool = False  # its inputs have to be apart from each other
    skips: bool = False  # some elements of the input reach no output
    errors: tuple[ErrorCase, ...] = ()

    @property
    def cls(self) -> str:
        """The name of the class."""
        return type(self.make()).__name__

    def module(self, at: At = At()) -> nn.Module:
        """Return the layer, with random values in all parameters and buffers, so that none hides behind a 0 or 1."""
        module, rng = self.make().to(at.dtype).train(at.training), at.rng(0)
        for parameter in module.parameters():
            parameter.data[...] = rng.uniform(0.3, 1.2, parameter.shape) * rng.choice([-1, 1], parameter.shape)
        for _, buffer in module.named_buffers():
            if buffer.dtype.kind == "f":
                buffer[...] = rng.uniform(0.5, 1.5, buffer.shape)
        return module

    def input(self, at: At = At(), stream: int = 0) -> np.ndarray:
        """Return an input, away from kinks."""
        rng = at.rng(10 + stream)
        if self.integers is not None:
            return rng.integers(0, self.integers, self.shape)
        x = np.asarray(rng.standard_normal(self.shape) * 1.5)
        x.flat[rng.permutation(x.size)[: len(at.values)]] = at.values[: x.size]
        if self.compares:
            x = (np.argsort(np.argsort(x, axis=None)).reshape(x.shape) - x.size // 2) * GAP
        return away_from(x, self.kinks).astype(at.dtype)

    def __repr__(self) -> str:
        return f"ModuleCase({self.name})"

    def largest_part(self, module: nn.Module, x: np.ndarray) -> float:
        """Return the factor of dy in the largest term of dx: 1/√(σ² + eps) of a normalisation, else 1."""
        if self.groups:
            variance = x.reshape(len(x), self.groups, -1).var(axis=2)
        elif self.normalises:
            variance = x.var(axis=self.normalises)
        else:
            return 1.0
        return float(1 / np.sqrt(variance.min() + vars(module)["eps"]))

    def twin(self, module: nn.Module, dtype: Any = np.float64) -> torch.nn.Module:
        """Return the PyTorch layer with the same state and mode, in float64 by default."""
        assert self.torch_twin is not None
        twin = self.torch_twin().to(torch.float64 if dtype == np.float64 else torch.float32)
        twin.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in module.state_dict().items()})
        return twin.train(module.training)


@dataclass(frozen=True)
class LossCase:
    """One loss with one set of options, and a target drawn for it. `repr` is its name, for failing examples."""

    name: str
    make: Callable[[], nn.Loss]
    torch_twin: Callable[[], torch.nn.Module]
    shape: tuple[int, ...]
    target: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    kinks: tuple[float, ...] | None = None  # of x - target

    @property
    def cls(self) -> str:
        """The name of the class."""
        return type(self.make()).__name__

    def draw(self, at: At = At()) -> tuple[np.ndarray, np.ndarray]:
        """Return an input and a target."""
        rng = at.rng(10)
        x, target = np.asarray(rng.standard_normal(self.shape) * 1.5), self.target(rng, self.shape)
        x.flat[rng.permutation(x.size)[: len(at.values)]] = at.values[: x.size]
        if self.kinks is not None:
            x = np.asarray(target + away_from(x - target, self.kinks))
        target = np.asarray(target)
        return x.astype(at.dtype), target.astype(at.dtype) if target.dtype.kind == "f" else target

    def __repr__(self) -> str:
        return f"LossCase({self.name})"

    @property
    def has_samples(self) -> bool:
        """Whether the first axis counts samples: a single row of class scores has none."""
        return len(self.shape) > isinstance(self.make(), (nn.CrossEntropyLoss, nn.NLLLoss))


def away_from(x: np.ndarray, kinks: tuple[float, ...]) -> np.ndarray:
    """Move the values that lie within GAP of a kink to its edge, on their side."""
    for kink in kinks:
        side = np.where(x >= kink, 1.0, -1.0)
        x = np.where(np.abs(x - kink) < GAP, kink + side * GAP, x)
    return np.asarray(x)


def laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    """Return an array equal to x with another memory under it."""
    if layout == "Fortran":
        return np.asarray(x, order="F")
    if layout == "strided":
        padded = np.zeros([2 * size for size in x.shape], x.dtype)
        every_second = (*(slice(0, None, 2) for _ in x.shape), ...)
        padded[every_second] = x
        return padded[every_second]
    if layout == "reversed":
        return x[::-1].copy()[::-1] if x.ndim else x
    if layout == "read-only":
        x = x.copy()
        x.flags.writeable = False
    return x

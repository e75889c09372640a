"""What a case is: how to make a layer, what to feed it, what it is compared with, and what it must refuse."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from minigrad import nn

GAP = 0.05  # distance of inputs from kinks, far above the step of a finite difference


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
    errors: tuple[ErrorCase, ...] = ()

    def module(self, dtype: Any = np.float64, training: bool = True) -> nn.Module:
        """Return the layer, with random values in all parameters and buffers, so that none hides behind a 0 or 1."""
        module, rng = self.make().to(dtype).train(training), np.random.default_rng(7)
        for parameter in module.parameters():
            parameter.data[...] = rng.uniform(0.3, 1.2, parameter.shape) * rng.choice([-1, 1], parameter.shape)
        for name, buffer in module.named_buffers():
            if buffer.dtype.kind == "f":
                buffer[...] = rng.uniform(0.5, 1.5, buffer.shape)
            assert name
        return module

    def input(self, dtype: Any = np.float64, seed: int = 0, batch: int | None = None) -> np.ndarray:
        """Return an input, away from kinks."""
        rng = np.random.default_rng(seed)
        shape = self.shape if batch is None else (batch, *self.shape[1:])
        if self.integers is not None:
            return rng.integers(0, self.integers, shape)
        return away_from(rng.standard_normal(shape) * 1.5, self.kinks).astype(dtype)

    def twin(self, module: nn.Module) -> torch.nn.Module:
        """Return the PyTorch layer with the same state and mode."""
        assert self.torch_twin is not None
        twin = self.torch_twin()
        state = {name: torch.from_numpy(np.array(value)) for name, value in module.state_dict().items()}
        twin = twin.double() if any(v.dtype == torch.float64 for v in state.values()) else twin
        twin.load_state_dict(state)
        return twin.train(module.training)


def away_from(x: np.ndarray, kinks: tuple[float, ...]) -> np.ndarray:
    """Move the values that lie within GAP of a kink to its edge, on their side."""
    for kink in kinks:
        side = np.where(x >= kink, 1.0, -1.0)
        x = np.where(np.abs(x - kink) < GAP, kink + side * GAP, x)
    return x


@dataclass(frozen=True)
class LossCase:
    """One loss with one set of options, and a target drawn for it."""

    name: str
    make: Callable[[], nn.Loss]
    torch_twin: Callable[[], torch.nn.Module]
    shape: tuple[int, ...]
    target: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    kinks: tuple[float, ...] | None = None  # of x - target

    def draw(self, dtype: Any = np.float64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return an input and a target."""
        rng = np.random.default_rng(seed)
        x, target = rng.standard_normal(self.shape) * 1.5, self.target(rng, self.shape)
        if self.kinks is not None:
            x = target + away_from(x - target, self.kinks)
        return x.astype(dtype), target.astype(dtype) if target.dtype.kind == "f" else target

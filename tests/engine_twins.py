"""The same training twice: one that is eager and one that is compiled, compared after each step."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigrad
from minigrad import nn, optim
from minigrad.engine import EagerStep, TrainingStep
from tests.engine_runs import assert_within_rounding, results_of

BATCH = 8


def network() -> nn.Sequential:
    """Everything with a state: weights, running statistics of both kinds, two masks; and every container.

    No bias before a BatchNorm: its gradient is 0 but for rounding, which Adam would make steps of.
    """
    linear = nn.Linear(7, 7, bias=False, rng=1)
    body = nn.Sequential(linear, nn.BatchNorm1d(7, momentum=None), nn.GELU(), nn.Dropout(0.3, rng=1))
    return nn.Sequential(
        nn.Linear(3, 7, bias=False, rng=0),
        nn.BatchNorm1d(7),
        nn.ReLU(),
        nn.Dropout(0.2, rng=0),
        nn.Residual(body),
        nn.Concat(nn.Linear(7, 4, rng=2), nn.Identity(), nn.Sum(nn.PReLU(), nn.Tanh())),
        nn.LayerNorm(18),
        nn.Linear(18, 5, rng=3),
    ).to(np.float64)


def adam(model: nn.Module) -> optim.Optimizer:
    return optim.Adam(model.parameters(), lr=0.01, weight_decay=0.01)


def samples(count: int = BATCH, seed: int = 0, shape: tuple[int, ...] = (3,)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, *shape)), rng.integers(0, 5, count)


@dataclass
class Twins:
    """The same training twice: one that is eager, one that is compiled."""

    eager: TrainingStep
    compiled: TrainingStep

    def __post_init__(self) -> None:
        self.losses: tuple[list[float], list[float]] = ([], [])
        self.count = 0

    def do(self, action: Callable[[TrainingStep], Any]) -> None:
        """Do the same with both."""
        action(self.eager)
        action(self.compiled)

    def train(self, steps: int = 3, count: int = BATCH) -> None:
        """Do some steps more with both, and compare all that there is."""
        for _ in range(steps):
            self.step(*samples(count, self.count))

    def step(self, x: np.ndarray, y: Any) -> None:
        self.note(lambda step: step(x, y))

    def note(self, action: Callable[[TrainingStep], float]) -> None:
        """Do what gives a loss."""
        self.count += 1
        for step, losses in zip((self.eager, self.compiled), self.losses, strict=True):
            losses.append(action(step))
        ours, theirs = results_of(self.compiled, self.losses[1]), results_of(self.eager, self.losses[0])
        assert_within_rounding(ours, theirs, self.count)


def twins(
    model: nn.Module, make: Callable[[nn.Module], optim.Optimizer] = adam, loss: nn.Loss | None = None, **options: Any
) -> Twins:
    other, loss = copy.deepcopy(model), loss or nn.CrossEntropyLoss(label_smoothing=0.1)
    compiled = minigrad.compile(other, loss, make(other), **options)
    assert not isinstance(compiled, EagerStep)
    return Twins(EagerStep(model, loss, make(model), **options), compiled)


def compiled(model: nn.Module | None = None, **options: Any) -> TrainingStep:
    model = model or network()
    return minigrad.compile(model, nn.CrossEntropyLoss(), adam(model), **options)

"""What every contestant can do."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.workloads import Workload

# Adam's epsilon for a library that adds it before the bias correction: alike in the first steps.
EARLY_EPSILON = 1e-8 * (1 - 0.999) ** 0.5

Array = npt.NDArray[Any]
Predictor = Callable[[], Array]


def threads() -> int:
    """Return how many processors this process may use: every contestant gets as many threads."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class UnsupportedError(Exception):
    """The library cannot do this; its message says what it lacks."""


class Trainer(ABC):
    """A workload in one library, from the workload's own weights. A subclass writes `step` and `predictor`.

    Arguments:
        workload: what to train. Its batches are taken in turn.
    """

    step: Callable[[Any, Any], Any]
    """Trains on one batch (x, y) and returns the loss, as a number or as what becomes one."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.batches = cycle([self.put(x, y) for x, y in workload.batches()])

    def put(self, x: Array, y: Array) -> tuple[Any, Any]:
        """Return a batch as the library wants it, in memory."""
        return x, y

    def run(self, steps: int) -> float:
        """Take so many steps and return the last one's loss: then all of them are done."""
        for _ in range(steps):
            loss = self.step(*next(self.batches))
        return self.value(loss)

    def value(self, loss: Any) -> float:
        """Return the loss as a number, which waits for it."""
        return float(loss)

    def penalty(self) -> float:
        """Return what the library adds to the loss for the weight decay."""
        return 0.0

    def epoch(self, images: Array, labels: Array, order: Array) -> None:
        """Train on images of bytes in this order."""
        for first in range(0, len(order), self.workload.batch):
            index = order[first : first + self.workload.batch]
            loss = self.step(*self.put(as_floats(images[index]), labels[index]))
        self.value(loss)

    @abstractmethod
    def predictor(self, x: Array) -> Predictor:
        """Return a function of nothing that computes the outputs for x in evaluation mode."""

    def show(self, samples: int) -> Array:
        """Take so many samples to `infer` on, and return the outputs for them."""
        self.predict = self.predictor(self.workload.samples(samples))
        return self.predict()

    def infer(self, times: int) -> None:
        """Compute the outputs for the samples shown so many times."""
        for _ in range(times):
            self.predict()


def as_floats(images: Array) -> Array:
    """Return images of bytes as float32 from 0 to 1."""
    return images.astype(np.float32) * np.float32(1 / 255)

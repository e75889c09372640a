"""A contestant that trains on Fashion-MNIST, from images of bytes in memory."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.contestants import PYTORCH_FUSED, Contestant
from benchmarks.contestants.base import Trainer, as_floats
from benchmarks.worker import LeftOutError, Worker
from benchmarks.workloads import Integers, Workload
from minigrad import data

VALIDATION = 6_000
LOOKS = 4  # at the validation images in an epoch
WARM_UP = 20  # steps
TOLERANCE = 1e-2  # of the loss after them; running variances are of the batch or of the population
PATH = "benchmarks.training:Training"


class Training:
    """A contestant and its images. Every contestant sees the same ones in the same order.

    Arguments:
        one: who trains.
        workload: what is trained; its seed is the order's too.
    """

    def __init__(self, one: Contestant, workload: Workload) -> None:
        self.one, self.workload = one, workload
        training, validation = data.split(data.fashion_mnist()[0], validation=VALIDATION)
        self.images, self.labels = training.x.reshape(len(training), -1), training.y
        self.seen, self.right = as_floats(validation.x.reshape(len(validation), -1)), validation.y
        self.rng = np.random.default_rng(workload.seed)
        self.trainer = self.fresh()

    def fresh(self) -> Trainer:
        """Return a trainer with the workload's initial weights."""
        module = import_module(f"benchmarks.contestants.{self.one.module}")
        trainer: Trainer = module.Trainer(self.workload, **self.one.options)
        return trainer

    def order(self) -> Integers:
        """Return the next epoch's order: whole batches, a row for each."""
        batches = len(self.images) // self.workload.batch
        return self.rng.permutation(len(self.images))[: batches * self.workload.batch].reshape(batches, -1)

    def train(self, order: Integers) -> float:
        """Return the seconds it takes to train on these batches."""
        start = perf_counter()
        self.trainer.epoch(self.images, self.labels, order.ravel())
        return perf_counter() - start

    def epoch(self) -> float:
        """Return the seconds an epoch takes."""
        return self.train(self.order())

    def warm_up(self) -> tuple[float, float]:
        """Return the seconds until a few steps and a look are done, and the loss seen then."""
        trained = self.train(self.order()[:WARM_UP])
        looked, _, loss = self.look()
        return trained + looked, loss

    def look(self) -> tuple[float, float, float]:
        """Return the seconds it takes to compute the validation images' outputs, their accuracy, and their loss."""
        start = perf_counter()
        scores = self.trainer.predictor(self.seen)()
        seconds = perf_counter() - start
        shifted = scores - scores.max(axis=1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(scores)), self.right]
        return seconds, float((scores.argmax(axis=1) == self.right).mean()), float(losses.mean())

    def until(self, accuracy: float, epochs: int) -> list[tuple[float, float]]:
        """Train anew until this accuracy, at most so many epochs; return seconds and accuracy at each look."""
        self.trainer = self.fresh()
        passed, looks = 0.0, []
        for _ in range(epochs):
            for part in np.array_split(self.order(), LOOKS):
                passed += self.train(part)
                seconds, reached, _ = self.look()
                passed += seconds
                looks.append((passed, reached))
                if reached >= accuracy:
                    return looks
        return looks


def warm_up(crew: Mapping[str, Worker], entrants: Sequence[Contestant], workload: Workload) -> dict[str, Any]:
    """Let everyone train a few steps and compare the losses, without dropout; then build what is to be timed.

    Returns:
        ready: seconds until the first few steps were done, the library compiled what it wants to.
        left_out: who cannot take part, and why.

    Raises:
        AssertionError: if one trains otherwise.
    """
    ready, losses, left_out = {}, {}, {}
    for one in entrants:
        try:
            crew[one.name].build(PATH, one, workload.without_dropout())
            _, losses[one.name] = crew[one.name].call("warm_up")
            built = crew[one.name].build(PATH, one, workload)
            ready[one.name] = built + crew[one.name].call("warm_up")[0]
        except LeftOutError as error:
            left_out[one.name] = str(error)
            print(f"  without {one.name}: {error}", flush=True)
    for name, loss in losses.items():
        np.testing.assert_allclose(loss, losses[PYTORCH_FUSED.name], rtol=TOLERANCE, err_msg=name)
    return {"ready": ready, "losses": losses, "left_out": left_out}

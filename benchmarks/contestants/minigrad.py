"""minigrad, compiled."""

from benchmarks.contestants.base import Array, Predictor
from benchmarks.contestants.minigrad_eager import Trainer as Eager
from benchmarks.workloads import Workload
from minigrad import compile as compile_step


class Trainer(Eager):
    """As the README's compiled loop: one native call for a step, and for an epoch."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self.step = compile_step(self.model, self.loss, self.adam, batch_size=workload.batch)
        self.forward = self.model.compiled()

    def epoch(self, images: Array, labels: Array, order: Array) -> None:
        self.step.epoch(images, labels, order)

    def predictor(self, x: Array) -> Predictor:
        return lambda: self.forward(x)

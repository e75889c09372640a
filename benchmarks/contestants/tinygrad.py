"""tinygrad: the whole step under `TinyJit`, on its CPU backend (which wants clang)."""

import shutil
from itertools import pairwise

from tinygrad import Tensor, TinyJit
from tinygrad import nn as tiny
from tinygrad.helpers import Context

from benchmarks.contestants.base import Array, Predictor, UnsupportedError
from benchmarks.contestants.base import Trainer as Base
from benchmarks.workloads import Workload


class Model:
    """Linear, BatchNorm, ReLU and Dropout, as tinygrad's tutorial writes a model."""

    def __init__(self, workload: Workload) -> None:
        self.dropout = workload.dropout
        self.linears = [tiny.Linear(inputs, outputs) for inputs, outputs in pairwise(workload.sizes)]
        self.norms = [tiny.BatchNorm(units) for units in workload.sizes[1:-1]] if workload.batch_norm else []
        for linear, (weight, bias) in zip(self.linears, workload.weights(), strict=True):
            linear.weight.assign(Tensor(weight)).realize()
            linear.bias.assign(Tensor(bias)).realize()

    def __call__(self, x: Tensor) -> Tensor:
        for number, linear in enumerate(self.linears[:-1]):
            x = linear(x)
            if self.norms:
                x = self.norms[number](x)
            x = x.relu()
            if self.dropout:
                x = x.dropout(self.dropout)
        return self.linears[-1](x)


class Trainer(Base):
    """The workload in tinygrad, whose Adam has no L2 penalty: its gradient is added by hand."""

    def __init__(self, workload: Workload) -> None:
        if not shutil.which("clang"):
            raise UnsupportedError("tinygrad's CPU backend wants clang")
        super().__init__(workload)
        Tensor.manual_seed(workload.seed)
        self.model = Model(workload)
        self.adam = tiny.optim.Adam(tiny.state.get_parameters(self.model), lr=workload.lr)
        self.step = TinyJit(self.train)
        self.forward = TinyJit(lambda x: self.model(x).realize())

    def put(self, x: Array, y: Array) -> tuple[Tensor, Tensor]:
        return Tensor(x).realize(), Tensor(y).realize()

    @Context(TRAINING=1)
    def train(self, x: Tensor, y: Tensor) -> Tensor:
        self.adam.zero_grad()
        loss = self.model(x).sparse_categorical_crossentropy(y, label_smoothing=self.workload.label_smoothing)
        loss.backward()
        for parameter in self.adam.params:
            parameter.grad = parameter.grad + self.workload.weight_decay * parameter.detach()
        return loss.realize(*self.adam.schedule_step())

    def value(self, loss: Tensor) -> float:
        return loss.item()

    def predictor(self, x: Array) -> Predictor:
        tensor = Tensor(x).realize()
        return lambda: self.forward(tensor).numpy()

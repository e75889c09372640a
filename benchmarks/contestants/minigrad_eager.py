"""minigrad, the loop written by hand."""

import numpy as np

import minigrad
from benchmarks.contestants.base import Array, Predictor
from benchmarks.contestants.base import Trainer as Base
from benchmarks.contestants.torch_names import linears, network
from benchmarks.workloads import Workload
from minigrad import data, nn, optim


class Trainer(Base):
    """As the README's explicit loop."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        minigrad.manual_seed(workload.seed)
        self.model = network(nn, workload)
        for linear, (weight, bias) in zip(linears(self.model), workload.weights(), strict=True):
            linear.load_state_dict({"weight": weight, "bias": bias})
        self.loss = nn.CrossEntropyLoss(label_smoothing=workload.label_smoothing)
        self.adam = optim.Adam(self.model.parameters(), lr=workload.lr, weight_decay=workload.weight_decay)

    def step(self, x: Array, y: Array) -> float:
        value = self.loss(self.model(x), y)
        self.adam.zero_grad()
        self.model.backward(self.loss.backward(), input_grad=False)
        self.adam.step()
        return float(value)

    def epoch(self, images: Array, labels: Array, order: Array) -> None:
        self.model.train()
        for x, y in data.Loader((images[order], labels[order]), self.workload.batch):
            self.step(x, y)

    def predictor(self, x: Array) -> Predictor:
        self.model.eval()

        def predict() -> Array:
            with minigrad.no_grad():
                return np.asarray(self.model(x))

        return predict

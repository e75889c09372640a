"""scikit-learn's MLPClassifier by `partial_fit`, one batch at a time."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.contestants.base import EARLY_EPSILON, Array, Predictor, UnsupportedError
from benchmarks.contestants.base import Trainer as Base
from benchmarks.workloads import Workload


class Trainer(Base):
    """The workload in scikit-learn, whose penalty leaves the biases out."""

    def __init__(self, workload: Workload) -> None:
        if workload.batch_norm or workload.dropout or workload.label_smoothing:
            raise UnsupportedError("MLPClassifier has no BatchNorm, Dropout or label smoothing")
        super().__init__(workload)
        self.model = MLPClassifier(
            workload.sizes[1:-1],
            alpha=workload.weight_decay * workload.batch,
            batch_size=workload.batch,
            learning_rate_init=workload.lr,
            epsilon=EARLY_EPSILON,
            shuffle=False,
            max_iter=1,
        )
        x, y = workload.batches()[0]
        self.model.partial_fit(x, y, classes=np.arange(workload.sizes[-1]))
        for number, (weight, bias) in enumerate(workload.weights()):
            self.model.coefs_[number][:] = weight.T
            self.model.intercepts_[number][:] = bias
        self.fresh = True

    def step(self, x: Array, y: Array) -> float:
        if self.fresh:
            self.first_step(x, y)
        else:
            self.model.partial_fit(x, y)
        return self.model.loss_

    def first_step(self, x: Array, y: Array) -> None:
        """Go on from the weights that were set, but with new moments: `fit` with a warm start, of one step."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.set_params(warm_start=True).fit(x, y)
        self.model.set_params(warm_start=False)
        self.fresh = False

    def penalty(self) -> float:
        return self.workload.weight_decay / 2 * sum(float((weight**2).sum()) for weight in self.model.coefs_)

    def predictor(self, x: Array) -> Predictor:
        return lambda: self.model.predict_log_proba(x)

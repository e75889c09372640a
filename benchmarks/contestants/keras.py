"""Keras: `Sequential`, `compile`, and `fit` over batches in memory, on the backend that is set."""

from itertools import islice
from typing import Any

import keras
import numpy as np
from keras import layers, regularizers

from benchmarks.contestants.base import EARLY_EPSILON, Array, Predictor, as_floats
from benchmarks.contestants.base import Trainer as Base
from benchmarks.workloads import Workload


class Trainer(Base):
    """The workload in Keras, whose L2 penalty is a regulariser of each layer and so a part of the loss."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        keras.utils.set_random_seed(workload.seed)
        self.model = network(workload)
        for layer, (weight, bias) in zip(linears(self.model), workload.weights(), strict=True):
            layer.set_weights([weight.T, bias])
        self.model.compile(
            keras.optimizers.Adam(workload.lr, epsilon=EARLY_EPSILON),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=workload.label_smoothing),
        )

    def put(self, x: Array, y: Array) -> tuple[Array, Array]:
        return x, keras.utils.to_categorical(y, self.workload.sizes[-1])

    def run(self, steps: int) -> float:
        batches = (batch for batch in islice(self.batches, steps))  # `fit` takes a generator, but no iterator
        return self.model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0).history["loss"][-1]

    def epoch(self, images: Array, labels: Array, order: Array) -> None:
        x, y = self.put(as_floats(images[order]), labels[order])
        self.model.fit(x, y, self.workload.batch, shuffle=False, verbose=0)

    def penalty(self) -> float:
        return float(sum(self.model.losses))

    def predictor(self, x: Array) -> Predictor:
        return lambda: np.asarray(self.model.predict_on_batch(x))


def network(workload: Workload) -> keras.Sequential:
    """Return the model, with Keras's own initial weights."""
    model = keras.Sequential([keras.Input(workload.sizes[:1])])
    for units in workload.sizes[1:-1]:
        model.add(dense(units, workload))
        if workload.batch_norm:
            decay = {name: penalty(workload) for name in ("beta_regularizer", "gamma_regularizer")}
            model.add(layers.BatchNormalization(momentum=0.9, epsilon=1e-5, **decay))
        model.add(layers.ReLU())
        if workload.dropout:
            model.add(layers.Dropout(workload.dropout))
    model.add(dense(workload.sizes[-1], workload))
    return model


def dense(units: int, workload: Workload) -> layers.Dense:
    """Return a linear layer with the penalty."""
    return layers.Dense(units, kernel_regularizer=penalty(workload), bias_regularizer=penalty(workload))


def penalty(workload: Workload) -> Any:
    """Return the regulariser whose gradient is the weight decay's."""
    return regularizers.L2(workload.weight_decay / 2)


def linears(model: keras.Sequential) -> list[layers.Dense]:
    """Return the linear layers from first to last."""
    return [layer for layer in model.layers if isinstance(layer, layers.Dense)]

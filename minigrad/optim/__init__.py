"""Optimizers, learning-rate schedules, gradient clipping and weight averaging, with PyTorch's names and arithmetic.

>>> import numpy as np
>>> from minigrad.nn.parameter import Parameter
>>> w = Parameter([1.0, -2.0])
>>> sgd = SGD([w], lr=0.5)
>>> w.grad += 2 * w.data
>>> sgd.step()
>>> w.data.tolist()
[0.0, 0.0]
"""

from minigrad.optim.adagrad import Adagrad
from minigrad.optim.adam import Adam, AdamW
from minigrad.optim.clip import clip_grad_norm_, clip_grad_value_
from minigrad.optim.ema import EMA
from minigrad.optim.flat import Trainable
from minigrad.optim.one_cycle import OneCycleLR
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.plateau import ReduceLROnPlateau
from minigrad.optim.rmsprop import RMSprop
from minigrad.optim.schedule import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    SequentialLR,
    StepLR,
)
from minigrad.optim.sgd import SGD

__all__ = [
    "EMA",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "Trainable",
    "clip_grad_norm_",
    "clip_grad_value_",
]

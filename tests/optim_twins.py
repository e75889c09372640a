"""Optimizers of ours and their twins in PyTorch, over the same parameters and gradients."""

import numpy as np
import pytest
import torch

from minigrad import optim
from minigrad.nn.parameter import Parameter

SHAPES = [(3, 5), (7,), (), (2, 4, 3)]
STEPS = 20

NAMES = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"]
# All that keep something, in the form with the most state.
STATEFUL = [
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.2}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.05, "momentum": 0.7, "centered": True, "eps": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2}),
]
stateful = pytest.mark.parametrize(("name", "options"), STATEFUL)


def arrays(dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]


def parameters(dtype="float64", seed=0):
    return [Parameter(array) for array in arrays(dtype, seed)]


def tensors(dtype="float64", seed=0):
    return [torch.tensor(array, requires_grad=True) for array in arrays(dtype, seed)]


def make(name, params, **options):
    return getattr(optim, name)(params, **options)


def make_torch(name, params, **options):
    return getattr(torch.optim, name)(params, **options)


def gradient(w, i, step):
    """Gradient of a bowl with some noise: a function of the weight, so that an error grows."""
    rng = np.random.default_rng((i, step))
    return (0.5 * (w - i) + rng.standard_normal(w.shape)).astype(w.dtype)


def run(optimizer, params, steps=range(STEPS)):
    for step in steps:
        optimizer.zero_grad()
        for i, p in enumerate(params):
            p.grad += gradient(p.data, i, step)
        optimizer.step()


def run_torch(optimizer, params, steps=range(STEPS)):
    for step in steps:
        for i, p in enumerate(params):
            p.grad = torch.tensor(gradient(p.detach().numpy(), i, step))
        optimizer.step()


def assert_same(params, others, rtol=1e-10, atol=1e-12):
    for p, other in zip(params, others, strict=True):
        expected = other.detach().numpy() if isinstance(other, torch.Tensor) else other.data
        assert p.data.dtype == expected.dtype
        np.testing.assert_allclose(p.data, expected, rtol=rtol, atol=atol)


def to_numpy(tree):
    """A torch state with its tensors as arrays."""
    if isinstance(tree, dict):
        return {key: to_numpy(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [to_numpy(value) for value in tree]
    return tree.numpy() if isinstance(tree, torch.Tensor) else tree

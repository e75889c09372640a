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


def arrays(dtype="float64", seed=0, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]


def parameters(dtype="float64", seed=0, shapes=SHAPES):
    return [Parameter(array) for array in arrays(dtype, seed, shapes)]


def tensors(dtype="float64", seed=0, shapes=SHAPES):
    return [torch.tensor(array, requires_grad=True) for array in arrays(dtype, seed, shapes)]


def make(name, params, **options):
    return getattr(optim, name)(params, **options)


def make_torch(name, params, **options):
    return getattr(torch.optim, name)(params, **options)


def gradient(w, i, step, seed=0):
    """A random gradient of parameter i, which depends on the weight, so that an error goes on.

    Between 0.4 and 2.5 in magnitude, never near 0: Adam's, RMSprop's and Adagrad's first step is lr sign(g), and the
    sign of what rounding has left of a gradient is nobody's error.
    """
    rng = np.random.default_rng((seed, i, step))
    noise = rng.uniform(0.5, 2, w.shape) * rng.choice([-1, 1], w.shape)
    return np.asarray(noise * (1 + np.sin(w) / 4), w.dtype)


def run(optimizer, params, steps=range(STEPS), seed=0):
    for step in steps:
        optimizer.zero_grad()
        for i, p in enumerate(params):
            p.grad += gradient(p.data, i, step, seed)
        optimizer.step()


def run_torch(optimizer, params, steps=range(STEPS), seed=0):
    for step in steps:
        for i, p in enumerate(params):
            p.grad = torch.tensor(gradient(p.detach().numpy(), i, step, seed))
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

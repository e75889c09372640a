"""Gains and refusals of the initialisers. The battery is in test_battery.py."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad import models, nn
from minigrad.nn import init


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gain_equals_torch(name: str) -> None:
    assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    if name == "leaky_relu":
        assert init.calculate_gain(name, 0.3) == pytest.approx(torch.nn.init.calculate_gain(name, 0.3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.xavier_normal_(np.ones(3)), r"want at least 2 axes, got shape \(3,\)"),
        (lambda: init.orthogonal_(np.ones(3)), r"want at least 2 axes, got shape \(3,\)"),
        (lambda: init.eye_(np.ones(3)), r"want a matrix, got shape \(3,\)"),
        (lambda: init.sparse_(np.ones(3), 0.1), r"want a matrix, got shape \(3,\)"),
        (lambda: init.dirac_(np.ones((3, 2))), r"want a convolution's weight in 1 groups, got shape \(3, 2\)"),
        (lambda: init.kaiming_normal_(np.ones((3, 2)), mode="fan"), "want mode 'fan_in' or 'fan_out', got 'fan'"),
        (lambda: init.trunc_normal_(np.ones(3), a=1, b=0), "want a < b and std > 0"),
        (lambda: init.calculate_gain("sine"), "unknown nonlinearity 'sine'"),
    ],
)
def test_bad_arguments(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


DRAWS: dict[str, Callable[[], object]] = {
    **{
        name: lambda name=name: getattr(init, name)(np.ones((3, 4)))
        for name in sorted(vars(init))
        if name.endswith("_") and not name.startswith("_") and "rng" in inspect.signature(vars(init)[name]).parameters
        if name != "sparse_"
    },
    "sparse_": lambda: init.sparse_(np.ones((3, 4)), 0.5),
    "Linear": lambda: nn.Linear(3, 4).weight.data,
    "Conv2d": lambda: nn.Conv2d(3, 4, 2).bias.data,
    "Embedding": lambda: nn.Embedding(3, 4).weight.data,
    "Dropout": lambda: nn.Dropout()(np.ones((3, 4))),
    "mlp": lambda: next(models.mlp(3, [4], 2).parameters()).data,
}


def test_all_that_draw_are_known() -> None:
    """Whatever in `nn` takes a generator or a seed draws from the default one without it."""
    layers = {name: cls for name, cls in vars(nn).items() if inspect.isclass(cls) and issubclass(cls, nn.Module)}
    takers = {name for name, cls in layers.items() if "rng" in inspect.signature(cls).parameters}
    assert takers == {
        "Linear",
        "Embedding",
        "Dropout",
        "Dropout2d",
        "Conv1d",
        "Conv2d",
        "Conv2dSame",
        "ConvTranspose2d",
    }


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_manual_seed_is_followed(draw: Callable[[], object]) -> None:
    """As in PyTorch, where one seed for the process makes every layer and initialiser repeatable."""
    draws = []
    for seed in (7, 7, 8):
        minigrad.manual_seed(seed)
        draws += [np.array(draw()), np.array(draw())]
    np.testing.assert_array_equal(draws[0], draws[2])
    np.testing.assert_array_equal(draws[1], draws[3])
    assert not np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[4])

"""Gains and refusals of the initialisers. The battery is in test_battery.py."""

from typing import Any

import numpy as np
import pytest
import torch

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

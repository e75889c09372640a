"""Initial values: each law's moments and bounds, its exact properties, and PyTorch's numbers where there are any."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minigrad.nn import init
from tests.cases.case import At
from tests.cases.drawn import ATS
from tests.cases.initialiser import DRAWN, INITIALISERS, InitialiserCase
from tests.checks import run as checked
from tests.checks.initialiser import CHECKS


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("case", INITIALISERS, ids=lambda case: case.name)
def test_fixed_case(case: InitialiserCase, check: str, dtype: Any) -> None:
    checked(check, CHECKS[check], case, At(dtype=dtype))


@pytest.mark.parametrize("function", DRAWN)
@given(data=st.data(), at=ATS)
def test_drawn_case(function: str, data: st.DataObject, at: At) -> None:
    case = data.draw(DRAWN[function], "case")
    for name, check in CHECKS.items():
        checked(name, check, case, at)


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

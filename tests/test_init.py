"""Initial values: each law's moments and bounds, its exact properties, and PyTorch's numbers where there are any."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch

from minigrad.nn import Parameter, init

SHAPE = (300, 200)
N = SHAPE[0] * SHAPE[1]


def draw(function: Any, *args: Any, shape: tuple[int, ...] = SHAPE, **options: Any) -> np.ndarray:
    parameter = Parameter(np.full(shape, np.nan, np.float32))
    memory = parameter.data
    assert function(parameter, *args, **options) is parameter
    assert parameter.data is memory
    assert memory.dtype == np.float32
    return memory


def torch_std(function: Any, *args: Any, shape: tuple[int, ...] = SHAPE, **options: Any) -> float:
    torch.manual_seed(0)
    tensor = torch.empty(shape)
    function(tensor, *args, **options)
    return float(tensor.std())


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("uniform_", (-0.3, 0.7), {}),
        ("normal_", (0.2, 0.5), {}),
        ("xavier_uniform_", (1.7,), {}),
        ("xavier_normal_", (1.7,), {}),
        ("kaiming_uniform_", (), {"nonlinearity": "relu"}),
        ("kaiming_uniform_", (0.2,), {"mode": "fan_out"}),
        ("kaiming_normal_", (), {"nonlinearity": "relu"}),
        ("kaiming_normal_", (0.2,), {"mode": "fan_out"}),
        ("trunc_normal_", (0.1, 0.8, -1.0, 1.5), {}),
    ],
)
def test_the_law_is_torchs(name: str, args: tuple[float, ...], options: dict[str, Any]) -> None:
    ours = draw(getattr(init, name), *args, rng=1, **options)
    theirs = torch_std(getattr(torch.nn.init, name), *args, **options)
    # The standard deviation of two samples of 60,000 differs by less than 5 * sqrt(2 / (2 * 60,000)) = 2 %.
    assert ours.std() == pytest.approx(theirs, rel=0.02)


def test_fans_of_a_convolution() -> None:
    shape = (64, 32, 3, 5)
    ours = draw(init.kaiming_normal_, shape=shape, rng=0)
    assert ours.std() == pytest.approx(torch_std(torch.nn.init.kaiming_normal_, shape=shape), rel=0.04)


def test_bounds() -> None:
    assert np.abs(draw(init.uniform_, -2.0, 3.0, rng=0) - 0.5).max() <= 2.5
    values = draw(init.trunc_normal_, 0.0, 1.0, 2.0, 3.0, rng=0)  # a tail that rejection would wait for
    assert values.min() >= 2
    assert values.max() <= 3


def test_exact_values() -> None:
    np.testing.assert_array_equal(draw(init.constant_, 0.3), np.float32(0.3))
    np.testing.assert_array_equal(draw(init.ones_), 1)
    np.testing.assert_array_equal(draw(init.zeros_), 0)
    np.testing.assert_array_equal(draw(init.eye_), np.eye(*SHAPE))


@pytest.mark.parametrize(("shape", "groups"), [((6, 4, 5), 1), ((6, 4, 3, 3), 2), ((4, 6, 3, 2, 3), 1)])
def test_dirac_equals_torch(shape: tuple[int, ...], groups: int) -> None:
    expected = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
    np.testing.assert_array_equal(draw(init.dirac_, groups, shape=shape), expected)


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (6, 2, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = draw(init.orthogonal_, 2.0, shape=shape, rng=0).reshape(shape[0], -1)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


def test_sparse() -> None:
    values = draw(init.sparse_, 0.1, 0.5, rng=0)
    np.testing.assert_array_equal((values == 0).sum(axis=0), 30)
    assert values[values != 0].std() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gain_equals_torch(name: str) -> None:
    assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    if name == "leaky_relu":
        assert init.calculate_gain(name, 0.3) == pytest.approx(torch.nn.init.calculate_gain(name, 0.3))


def test_seeds_repeat_and_arrays_are_taken() -> None:
    array = np.empty(SHAPE)
    assert init.normal_(array, rng=3) is array
    np.testing.assert_array_equal(array, init.normal_(np.empty(SHAPE), rng=np.random.default_rng(3)))


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


def test_every_initialiser_is_tested() -> None:
    names = {
        n for n, f in vars(init).items() if inspect.isfunction(f) and f.__module__ == init.__name__ and n[0] != "_"
    }
    with open(__file__) as file:
        text = file.read()
    assert not [name for name in names if f"init.{name}" not in text and f'"{name}"' not in text]

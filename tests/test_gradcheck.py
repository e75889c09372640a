"""The checker itself: it passes what is right, catches what is wrong, and says where."""

import copy
from typing import Any

import numpy as np
import pytest

from minigrad import nn
from minigrad.gradcheck import GradientError, KinkError, gradcheck

X = np.random.default_rng(0).standard_normal((5, 3))
dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def wrong(base: type, change: Any) -> type:
    """A class whose backward passes its result through `change`."""

    def backward(self: Any, saved: Any, dy: np.ndarray) -> np.ndarray:
        return change(base._backward(self, saved, dy), dy)

    return type(f"Wrong{base.__name__}", (base,), {"_backward": backward})


class Function(nn.Module):
    """y = f(x), with a backward that may be wrong."""

    def __init__(self, f: Any, derivative: Any) -> None:
        super().__init__()
        self._f, self._derivative = f, derivative

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._f(x), x

    def _backward(self, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        return self._derivative(x) * dy


@dtypes
@pytest.mark.parametrize("seed", range(10))
def test_an_error_of_a_twentieth_of_a_percent_is_caught(seed: int, dtype: Any) -> None:
    # Of random weights one in 600 has, in float32, too small a slope along both lines for that.
    linear = {"in_features": 3, "out_features": 4, "rng": 0}
    for base, options in ((nn.Tanh, {}), (nn.Linear, linear), (nn.BatchNorm1d, {"num_features": 3}), (nn.Softmax, {})):
        right, almost = base(**options), wrong(base, lambda dx, dy: dx * dx.dtype.type(1.0005))(**options)
        gradcheck(right, X, dtype=dtype, seed=seed)
        with pytest.raises(GradientError, match=f"Wrong{base.__name__}: along a random direction over .*x "):
            gradcheck(almost, X, dtype=dtype, seed=seed)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_scale_does_not_matter(scale: float) -> None:
    """Of the output: errors are relative."""
    right = Function(lambda x: scale * np.sin(x), lambda x: scale * np.cos(x))
    almost = Function(lambda x: scale * np.sin(x), lambda x: scale * np.cos(x) * 1.0005)
    assert gradcheck(right, X) < 1e-9
    with pytest.raises(GradientError):
        gradcheck(almost, X)


@pytest.mark.parametrize(
    "module",
    [
        wrong(nn.Softmax, lambda dx, dy: dy)(),
        wrong(nn.BatchNorm1d, lambda dx, dy: dx + dx.mean(axis=0) + 0.01)(3),
        wrong(nn.Tanh, lambda dx, dy: np.zeros_like(dy))(),
        wrong(nn.Tanh, lambda dx, dy: dx * 1e9)(),
        wrong(nn.Tanh, lambda dx, dy: dx * np.nan)(),
    ],
    ids=["identity softmax", "batch mean", "zero", "huge", "nan"],
)
def test_wrong_gradients_are_caught(module: nn.Module) -> None:
    with pytest.raises(GradientError, match=type(module).__name__):
        gradcheck(module, X)


def test_a_wrong_parameter_gradient_is_named_however_small() -> None:
    class Linear(nn.Linear):
        def _backward(self, saved: Any, dy: np.ndarray) -> np.ndarray:
            before = self.bias.grad.copy()
            dx = super()._backward(saved, dy)
            self.bias.grad[2] += 0.001 * (self.bias.grad - before)[2]
            return dx

    x = 1e3 * X  # the weight's gradient is that much larger than the bias's
    with pytest.raises(GradientError, match=r"over bias the backward .*\nelement[^\n]*\nbias\[2\]"):
        gradcheck(Linear(3, 4, rng=0), x)


def test_the_report_shows_both_derivatives() -> None:
    with pytest.raises(GradientError) as raised:
        gradcheck(Function(lambda x: x**2, lambda x: 3 * x), X, seed=1)
    head, *rows = str(raised.value).splitlines()[1:]
    assert head.split() == ["element", "backward", "differences", "error"]
    assert len(rows) == 10
    for row in rows:
        place, analytic, numeric, error = row.rsplit(maxsplit=3)
        assert place.startswith("x[")
        assert float(analytic) == pytest.approx(1.5 * float(numeric), rel=1e-6)
        assert float(error) == pytest.approx(1 / 3, rel=0.01)


def test_a_large_array_is_sampled() -> None:
    with pytest.raises(GradientError, match=r"x\[\d+, \d+\]"):
        gradcheck(Function(lambda x: x**2, lambda x: x), np.random.default_rng(0).standard_normal((100, 1000)))


def test_wrong_loss_is_caught() -> None:
    class MSELoss(nn.MSELoss):
        def _backward(self, saved: Any, dlosses: np.ndarray) -> np.ndarray:
            return super()._backward(saved, dlosses) / 2

    with pytest.raises(GradientError, match=r"x\[\d, \d\]"):
        gradcheck(MSELoss(), X, X[::-1])


# ------------------------------------------------------------------------------------------------------- kinks


@pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "PReLU", "Hardtanh", "ELU"])
def test_a_kink_is_found_and_named(name: str) -> None:
    x, module = X.copy(), nn.ELU(2.0) if name == "ELU" else getattr(nn, name)()
    gradcheck(module, x)
    x[3, 1] = 1.0 if name == "Hardtanh" else 0.0
    with pytest.raises(KinkError, match=rf"{name}: not differentiable at x\[3, 1\]: a kink"):
        gradcheck(module, x)


def test_a_tie_of_a_loss_is_found() -> None:
    target = X[::-1]  # the middle row is its own target
    with pytest.raises(KinkError, match=r"L1Loss: not differentiable at x\[2, "):
        gradcheck(nn.L1Loss(), X, target)


def test_a_jump_is_found() -> None:
    x = np.array([0.3, 0.5, 0.7])
    with pytest.raises(KinkError, match=r"at x\[1\]"):
        gradcheck(Function(lambda x: x + (x >= 0.5), lambda x: np.ones_like(x)), x)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6])
def test_a_kink_nearby_is_stepped_around(distance: float) -> None:
    for side in (-1, 1):
        x = X.copy()
        x[3, 1] = side * distance
        assert gradcheck(nn.ReLU(), x) < 1e-6
        with pytest.raises(GradientError):
            gradcheck(wrong(nn.ReLU, lambda dx, dy: 1.0005 * dx)(), x)


@pytest.mark.parametrize("jump", [1e-4, 1e-2, 1.0])
def test_a_kink_anywhere_within_a_step_is_stepped_around(jump: float) -> None:
    """At two thirds of the step the fourth difference is 0 whatever the jump is."""

    def bent(kink: float) -> Function:
        return Function(lambda x: x + jump * np.maximum(x - kink, 0), lambda x: 1 + jump * (x > kink))

    for distance in (*np.geomspace(1e-5, 1e-2, 500), 2e-3 / 3, 2e-4 / 3):
        assert gradcheck(bent(0.5 + distance), np.array([0.5])) < 1e-6
        assert gradcheck(bent(0.5 - distance), np.array([0.5])) < 1e-6


def test_a_kink_inside_a_network() -> None:
    """Where the first layer's output is 0 the weights and the input all have a kink."""
    model = nn.Sequential(nn.Linear(3, 4, bias=False, rng=0), nn.ReLU())
    x = X.copy()
    x[2] = 0
    with pytest.raises(KinkError, match=r"Sequential: not differentiable at x\[2, \d\]"):
        gradcheck(model, x)


def test_a_wrong_gradient_beside_a_kink_is_no_kink() -> None:
    with pytest.raises(GradientError):
        gradcheck(wrong(nn.ReLU, lambda dx, dy: -dx)(), X)


def test_a_steep_function_is_no_kink() -> None:
    steep = Function(lambda x: np.tanh(2e3 * (x - 0.5)), lambda x: 2e3 * (1 - np.tanh(2e3 * (x - 0.5)) ** 2))
    assert gradcheck(steep, np.array([0.5 + 1e-4, 0.5 - 3e-4])) < 1e-6


def test_values_far_from_zero_are_no_kink() -> None:
    assert gradcheck(nn.BatchNorm1d(3), X + 1e4) < 1e-6


# --------------------------------------------------------------------------------------------------- the contract


class Broken(nn.Linear):
    """A linear layer that breaks the contract in one way."""

    way: str
    calls = 0

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, saved = super()._forward(x)
        if self.way == "writes input":
            saved[0, 0] += 1
        if self.way == "random":
            Broken.calls += 1
            y = y + Broken.calls
        return y, saved

    def _backward(self, saved: np.ndarray, dy: np.ndarray) -> np.ndarray:
        if self.way == "sets":
            self.weight.grad[...] = 0
        dx = super()._backward(saved, dy)
        if self.way == "writes saved":
            saved *= 2
        if self.way == "writes cotangent":
            dy += 1
        if self.way == "writes parameter":
            self.bias.data += 1
        if self.way == "upcasts":
            dx = dx.astype(np.float64)
        if self.way == "shape":
            dx = dx[:1]
        return dx


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("sets", "a second backward pass gives another gradient of weight: want `\\+=`"),
        ("writes input", "the input was written to"),
        ("writes cotangent", "the cotangent was written to"),
        ("writes parameter", "bias was written to"),
        ("writes saved", "the input was written to"),
        ("upcasts", r"want a gradient like x, float32 \(5, 3\); got float64 \(5, 3\)"),
        ("shape", r"want a gradient like x, float32 \(5, 3\); got float32 \(1, 3\)"),
        ("random", "two forwards differ"),
    ],
)
def test_a_broken_contract_is_named(way: str, message: str) -> None:
    layer = Broken(3, 4)
    layer.way = way
    with pytest.raises(GradientError, match=f"Broken: .*{message}"):
        gradcheck(layer, X, dtype=np.float32)


def test_parts_that_cancel_are_no_breach() -> None:
    """A shared table's gradient is 0 but for rounding, which a second pass adds in another order."""
    table = nn.Embedding(2, 1, rng=0)
    model = nn.Sequential(nn.Concat(table, table), nn.LayerNorm(2, elementwise_affine=False))
    assert gradcheck(model, np.array([0, 1, 1]), seed=2) < 1e-6


def test_a_saved_value_written_to_is_seen_at_the_second_call() -> None:
    class Tanh(nn.Tanh):
        def _backward(self, saved: np.ndarray, dy: np.ndarray) -> np.ndarray:
            dx = super()._backward(saved, dy)
            saved *= 0.5
            return dx

    with pytest.raises(GradientError, match="a second backward pass gives another gradient of x"):
        gradcheck(Tanh(), X)


@dtypes
def test_function_is_left_alone(dtype: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    before, x = copy.deepcopy(model), X.astype(np.float32)
    assert gradcheck(model, x, dtype=dtype) < 1e-4
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before.state_dict()[name])
        assert value.dtype == before.state_dict()[name].dtype
    assert model[2].step == 0
    assert not any(parameter.grad.any() for parameter in model.parameters())


def test_gradients_of_before_do_not_count() -> None:
    layer = nn.Linear(3, 4)
    layer.weight.grad += 5
    assert gradcheck(layer, X) < 1e-9


def test_integers_and_arguments() -> None:
    assert gradcheck(nn.Embedding(7, 3), np.array([[1, 2], [2, 6]])) < 1e-9
    assert gradcheck(nn.CrossEntropyLoss(), X, [0, 1, 2, 2, 1], [1.0, 2.0, 0.5, 1.0, 3.0]) < 1e-9
    assert gradcheck(nn.MSELoss("none"), X, X[::-1]) < 1e-9


def test_what_has_no_gradient_at_all() -> None:
    assert gradcheck(Function(np.ones_like, np.zeros_like), X) == 0


def test_a_cotangent_is_not_the_users_random_input() -> None:
    """u = x hides a normalisation's gradient, and users seed their generators with 0 too."""
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((5, 3))
        with pytest.raises(GradientError):
            gradcheck(wrong(nn.BatchNorm1d, lambda dx, dy: dx * 1.0005)(3), x, seed=seed)


def test_nan_does_not_pass() -> None:
    with pytest.raises(GradientError, match="Tanh: the output is not finite"):
        gradcheck(nn.Tanh(), np.array([[1.0, np.nan]]))


def test_tolerance_is_the_callers() -> None:
    almost = wrong(nn.Tanh, lambda dx, dy: dx * 1.01)()
    assert 0.001 < gradcheck(almost, X, tolerance=0.05) < 0.02

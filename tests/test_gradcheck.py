"""The checker itself: it passes what is right, catches what is wrong, and says where."""

import copy
from typing import Any

import numpy as np
import pytest

from minigrad import nn
from minigrad.gradcheck import GradientError, gradcheck

X = np.random.default_rng(0).standard_normal((5, 3))


def wrong(base: type, change: Any) -> type:
    """A class whose backward passes its result through `change`."""

    def backward(self: Any, saved: Any, dy: np.ndarray) -> np.ndarray:
        return change(base._backward(self, saved, dy), dy)

    return type(f"Wrong{base.__name__}", (base,), {"_backward": backward})


@pytest.mark.parametrize(
    "module",
    [
        wrong(nn.Tanh, lambda dx, dy: dx * 1.0005)(),
        wrong(nn.Linear, lambda dx, dy: dx * 1.0005)(3, 4),
        wrong(nn.Softmax, lambda dx, dy: dy)(),
        wrong(nn.BatchNorm1d, lambda dx, dy: dx + dx.mean(axis=0) + 0.01)(3),
    ],
    ids=lambda module: type(module).__name__,
)
def test_wrong_gradients_are_caught(module: nn.Module) -> None:
    with pytest.raises(GradientError, match=type(module).__name__):
        gradcheck(module, X)


def test_wrong_parameter_gradient_is_named() -> None:
    class Linear(nn.Linear):
        def _backward(self, saved: Any, dy: np.ndarray) -> np.ndarray:
            dx = super()._backward(saved, dy)
            self.weight.grad[2, 1] *= 1.01
            return dx

    with pytest.raises(GradientError, match=r"element[^\n]*\nweight\[2, 1\]"):
        gradcheck(Linear(3, 4, rng=0), X)


def test_wrong_loss_is_caught() -> None:
    class MSELoss(nn.MSELoss):
        def _backward(self, saved: Any, dlosses: np.ndarray) -> np.ndarray:
            return super()._backward(saved, dlosses) / 2

    with pytest.raises(GradientError, match=r"x\[\d, \d\]"):
        gradcheck(MSELoss(), X, X[::-1])


def test_function_is_left_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    before, x = copy.deepcopy(model), X.astype(np.float32)
    assert gradcheck(model, x) < 1e-6
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before.state_dict()[name])
        assert value.dtype == before.state_dict()[name].dtype
    assert model[2].step == 0
    assert not any(parameter.grad.any() for parameter in model.parameters())


def test_nan_does_not_pass() -> None:
    with pytest.raises(GradientError):
        gradcheck(nn.Tanh(), np.array([[1.0, np.nan]]))

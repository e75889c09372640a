"""Modules made of parts under names of their own."""

import copy

import numpy as np
import pytest

import minigrad
from minigrad import models, nn, optim
from minigrad.gradcheck import gradcheck
from tests.backend import needs_engine


class Block(nn.Composite):
    """Two layers around a shortcut, one of them used twice."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.inner, self.norm, self.drop = nn.Linear(width, width), nn.LayerNorm(width), nn.Dropout(0.3, rng=0)

    def compose(self) -> nn.Module:
        body = nn.Sequential(self.inner, nn.Tanh(), self.inner, self.drop)
        return nn.Sequential(nn.Residual(body), self.norm)


X = np.random.default_rng(0).standard_normal((6, 4))


def test_the_names_are_its_own() -> None:
    model = nn.Sequential(Block(), Block())
    assert list(model.state_dict())[:4] == ["0.inner.weight", "0.inner.bias", "0.norm.weight", "0.norm.bias"]
    assert [name for name, _ in model[0].named_modules()] == ["", "inner", "norm", "drop"]
    model.eval()
    assert not model[0].drop.training


def test_gradients() -> None:
    gradcheck(nn.Sequential(Block(), Block()).to(np.float64).eval(), X)
    block = Block().to(np.float64)
    twin = copy.deepcopy(block)
    dy = np.random.default_rng(1).standard_normal(block(X).shape)
    _, pullback = twin.compose().vjp(X)
    np.testing.assert_array_equal(block.backward(dy), pullback(dy))
    for mine, theirs in zip(block.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(mine.grad, theirs.grad)


def test_errors_name_the_part() -> None:
    with pytest.raises(nn.LayerError, match=r"^Sequential\[1\]\.inner\.Linear: want input of shape \(\*, 5\), got"):
        nn.Sequential(Block(), Block(5))(X.astype(np.float32))


def test_a_part_can_be_replaced() -> None:
    model = models.resnet20(in_channels=1, rng=0)
    images = np.ones((2, 1, 8, 8), np.float32)
    assert model(images).shape == (2, 10)
    model.fc = nn.Linear(64, 3)
    assert model(images).shape == (2, 3)
    assert model.state_dict()["fc.weight"].shape == (3, 64)


@needs_engine
def test_compiled_equals_eager() -> None:
    y = np.arange(6) % 4
    results = []
    for make in (minigrad.engine.EagerStep, minigrad.compile):
        minigrad.manual_seed(0)
        model = nn.Sequential(Block(), Block()).to(np.float64)
        step = make(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
        results.append([step(X, y) for _ in range(5)])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)


class Own(nn.Module):
    """A layer without a lowering."""

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        return 2 * x, None

    def _backward(self, saved: None, dy: np.ndarray) -> np.ndarray:
        return 2 * dy


class WithOwn(nn.Composite):
    """A composition with such a layer, which is no part."""

    def compose(self) -> nn.Module:
        return nn.Sequential(Own(), nn.ReLU())


@needs_engine
def test_what_is_inside_has_to_lower() -> None:
    model = nn.Sequential(nn.Linear(4, 4), WithOwn())
    with pytest.warns(UserWarning, match=r"Sequential\[1\]\.WithOwn has no lowering"):
        minigrad.compile(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1))

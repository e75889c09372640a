"""Layers of images in the compiled step, where they are done otherwise than alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import engine, models, nn, optim
from tests.backend import needs_engine
from tests.engine_runs import Parts, Training, assert_compiled_equals_eager, programs_of

pytestmark = needs_engine


def batches(shape: tuple[int, ...], target_shape: tuple[int, ...]) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Return a function that makes the batch of a step: random images, and random targets."""

    def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(step)
        return rng.standard_normal(shape), rng.standard_normal(target_shape)

    return batch


@pytest.mark.parametrize("options", [{}, {"padding": 1, "dilation": 3}, {"stride": 3, "ceil_mode": True}], ids=str)
def test_pooling_before_a_relu_is_the_same(options: dict[str, Any]) -> None:
    """Outputs and gradients, also of windows where all is 0 or below, or that see no pixel."""

    def make(dtype: Any) -> Parts:
        layers = nn.Conv2d(1, 3, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2, **options), nn.Conv2d(3, 2, 1, rng=1)
        model = nn.Sequential(*layers).to(dtype)
        return model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1)

    shape = make(np.float64)[0](np.ones((5, 1, 9, 7))).shape

    batch = batches((5, 1, 9, 7), shape)
    assert_compiled_equals_eager(Training(make, batch, steps=3), np.float64)


@pytest.mark.parametrize("shortcut", [None, nn.Conv2d], ids=["identity", "convolution"])
def test_a_sum_with_a_relu_is_taken_behind_batch_norm(shortcut: type[nn.Conv2d] | None) -> None:
    def make(dtype: Any) -> Parts:
        body = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, rng=0), nn.BatchNorm2d(2))
        block = nn.Residual(body, shortcut(2, 2, 1, rng=1) if shortcut else None)
        model = nn.Sequential(nn.Conv2d(1, 2, 1, rng=2), block, nn.ReLU(), nn.Conv2d(2, 1, 1, rng=3)).to(dtype)
        return model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1)

    batch = batches((5, 1, 6, 7), (5, 1, 6, 7))
    assert_compiled_equals_eager(Training(make, batch, steps=3), np.float64)
    model, loss, optimizer = make(np.float64)
    step = engine.compile(model, loss, optimizer)
    step(*batch(0))
    assert "channel_norm_add_relu" in repr(step)


@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_convolutions_are_the_same(stride: int) -> None:
    """With channels that fill some vectors and a part of one."""

    def make(dtype: Any) -> Parts:
        layers = (
            nn.Conv2d(1, 37, 1, rng=0),
            nn.Conv2dSame(37, 37, 5, stride, groups=37, rng=1),
            nn.Conv2d(37, 2, 1, rng=2),
        )
        model = nn.Sequential(*layers).to(dtype)
        return model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1)

    shape = make(np.float64)[0](np.ones((3, 1, 9, 8))).shape

    batch = batches((3, 1, 9, 8), shape)
    assert_compiled_equals_eager(Training(make, batch, steps=3), np.float64)


def conv(channels: int, size: int, seed: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, size, stride, padding=size // 2, bias=False, rng=seed)


RESIDUALS: dict[str, Callable[[], nn.Module]] = {
    "identity": lambda: nn.Residual(conv(2, 1, 1)),
    "shortcut": lambda: nn.Residual(nn.Sequential(conv(2, 3, 1, 2), nn.Tanh()), conv(2, 1, 2, 2)),
    "nested": lambda: nn.Residual(nn.Sequential(conv(2, 1, 1), nn.Residual(conv(2, 1, 2)))),
    "norm": lambda: nn.Sequential(nn.Residual(nn.Sequential(conv(2, 1, 1), nn.BatchNorm2d(2))), nn.ReLU()),
    "several groups": lambda: nn.Residual(nn.Conv2d(2, 2, 1, groups=2, bias=False, rng=1), conv(2, 1, 2)),
    "one input twice": lambda: nn.Residual(nn.Residual(nn.Sequential(nn.Flatten(2), nn.Unflatten(2, (6, 7))))),
    "two convolutions": lambda: nn.Residual(conv(2, 1, 1), conv(2, 1, 2)),
}


@pytest.mark.parametrize("name", RESIDUALS)
@pytest.mark.parametrize("images", [3, 9])
def test_a_branch_adds_its_gradient_to_another(name: str, images: int) -> None:
    """Where it can: never to a gradient that somebody else has still to see."""

    def make(dtype: Any) -> Parts:
        model = nn.Sequential(conv(2, 1, 5), RESIDUALS[name](), conv(2, 1, 6)).to(dtype)
        return model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1)

    shape = make(np.float64)[0](np.ones((images, 2, 6, 7))).shape
    assert_compiled_equals_eager(Training(make, batches((images, 2, 6, 7), shape), steps=3), np.float64)


def test_the_backward_of_a_resnet_has_no_sum_of_its_own() -> None:
    model = models.resnet20(in_channels=1, rng=0)
    step = engine.compile(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
    step(np.ones((8, 1, 12, 12), np.float32), np.arange(8))
    (program,) = programs_of(step)
    assert "add" not in [instruction.kernel for instruction in program.instructions]

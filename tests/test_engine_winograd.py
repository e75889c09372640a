"""Convolutions by Winograd's patches: the same sums in fewer products, where the engine takes them."""

from typing import Any

import numpy as np
import pytest

from minigrad import engine, nn, optim
from minigrad.kernels.reference import conv, winograd
from minigrad.nn.windows import Windows, table_of
from tests.backend import needs_engine
from tests.engine_runs import Parts, Training, assert_compiled_equals_eager, programs_of

pytestmark = needs_engine
Lengths = tuple[int, int]


def both_ways(lengths: Lengths, padding: int, channels: tuple[int, int], dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the same convolution of random images by patches, and by taps in float64."""
    from minigrad.engine.winograd import patches_of

    (C, K), rng = channels, np.random.default_rng(0)
    outputs = (lengths[0] + 2 * padding - 2, lengths[1] + 2 * padding - 2)
    windows = Windows(lengths, outputs, (3, 3), (1, 1), (-padding, -padding), (1, 1))
    table = table_of(windows)
    x = rng.standard_normal((lengths[0] * lengths[1], 2, C)).astype(dtype)
    w, b = rng.standard_normal((K, C, 9)).astype(dtype), rng.standard_normal(K).astype(dtype)
    exact, by_patches = np.empty((len(table), 2, K)), np.full((len(table), 2, K), np.nan, dtype)
    taps = w.transpose(2, 1, 0).reshape(1, 9 * C, K)
    conv.conv_forward(*(a.astype(np.float64) for a in (x, taps, b)), table, False, exact)
    u = np.empty((1, 36, C, K), dtype)
    winograd.winograd_weights(w, False, 0, C, u)
    patches, places = patches_of(lengths, outputs, windows.start)
    winograd.winograd_forward(x, u, b, patches, places, False, 0, len(patches), by_patches)
    return by_patches, exact


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("lengths", [(3, 4), (7, 6), (5, 8)])
def test_is_the_convolution(lengths: Lengths, padding: int) -> None:
    by_patches, exact = both_ways(lengths, padding, (5, 3), np.float64)
    np.testing.assert_allclose(by_patches, exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channels", [32, 128, 512])
def test_what_float32_loses(channels: int) -> None:
    """No more than the roundings of a plain sum of 9 C products would add up to by chance: √(9 C) units."""
    by_patches, exact = both_ways((8, 8), 1, (channels, 32), np.float32)
    error = np.sqrt(np.mean((by_patches - exact) ** 2) / np.mean(exact**2))
    assert 1e-8 < error < 2.0**-24 * (9 * channels) ** 0.5


def training(lengths: Lengths, padding: int, bias: bool, channels: tuple[int, int] = (32, 64)) -> Training:
    """Towards random targets; with images and channels enough for tiles."""
    C, K = channels

    def make(dtype: Any) -> Parts:
        layers = [
            nn.Conv2d(1, C, 3, padding=padding, bias=bias, rng=1),
            nn.Tanh(),
            nn.Conv2d(C, K, 3, padding=padding, bias=bias, rng=2),
        ]
        model = nn.Sequential(*layers).to(dtype)
        return model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1, momentum=0.5)

    shape = tuple(n + 4 * padding - 4 for n in lengths)

    def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(step)
        return rng.standard_normal((9, 1, *lengths)), rng.standard_normal((9, K, *shape))

    return Training(make, batch, steps=3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(("lengths", "padding", "bias"), [((7, 6), 1, True), ((6, 9), 0, False), ((4, 4), 2, True)])
def test_compiled_equals_eager(lengths: Lengths, padding: int, bias: bool, dtype: Any) -> None:
    assert_compiled_equals_eager(training(lengths, padding, bias), dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_few_patches_and_many_channels(dtype: Any) -> None:
    assert "winograd_of_few" in kernels_of(nn.Conv2d(96, 128, 3, padding=1, rng=0), 9)
    assert_compiled_equals_eager(training((7, 6), 1, True, (96, 128)), dtype)


def kernels_of(layer: nn.Conv2d, images: int) -> set[str]:
    """Return which kernels train a convolution behind another layer."""
    model = nn.Sequential(nn.Conv2d(1, layer.in_channels, 1, rng=0), layer)
    step = engine.compile(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1))
    x = np.ones((images, 1, 5, 5), np.float32)
    step(x, np.zeros_like(model(x)))
    (program,) = programs_of(step)
    return {instruction.kernel for instruction in program.instructions}


def test_where_patches_are_taken() -> None:
    from minigrad.engine.winograd import MOST_VECTORS, ROWS, unit, vector_width

    too_many, too_narrow = (MOST_VECTORS + 1) * vector_width(np.float32), unit(np.float32) // 2
    layer = nn.Conv2d(64, 32, 3, padding=1, rng=0)
    assert {"winograd_forward", "winograd_backward_weight"} <= kernels_of(layer, 8)
    others = [
        (nn.Conv2d(64, 32, 3, stride=2, rng=0), 8),
        (nn.Conv2d(64, 32, 3, dilation=2, rng=0), 8),
        (nn.Conv2d(64, 64, 3, groups=2, rng=0), 8),
        (nn.Conv2d(64, 32, 5, padding=2, rng=0), 8),
        (nn.Conv2d(64, 31, 3, rng=0), 8),
        (nn.Conv2d(too_narrow, 32, 3, rng=0), 8),
        (nn.Conv2d(too_many, 32, 3, rng=0), 8),
        (layer, ROWS - 1),
    ]
    for other, images in others:
        assert not any(name.startswith("winograd") for name in kernels_of(other, images)), other


def test_few_patches_of_any_number_of_channels() -> None:
    from minigrad.engine.winograd import MOST_VECTORS, vector_width

    many = nn.Conv2d((MOST_VECTORS + 2) * vector_width(np.float32), 64, 3, padding=1, rng=0)
    assert "winograd_of_few" in kernels_of(many, 8)
    assert "conv_forward" in kernels_of(many, 40)


def test_many_patches_share_transformed_weights() -> None:
    assert "winograd_forward" in kernels_of(nn.Conv2d(96, 128, 3, padding=1, rng=0), 33)


def test_many_channels_take_taps_for_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minigrad.engine.winograd.MOST_FOR_GRADIENT", 64)
    used = kernels_of(nn.Conv2d(96, 32, 3, padding=1, rng=0), 8)
    assert {"winograd_forward", "conv_backward_weight"} <= used
    assert "winograd_backward_weight" not in used

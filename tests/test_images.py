"""The layers of images, beyond what the battery checks: what constructors refuse, paths, sizes, tables."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from minigrad import nn
from minigrad.nn.windows import Windows, adaptive_table, inverse_of, padded_table, table_of

REFUSED: list[tuple[Callable[[], nn.Module], str]] = [
    (lambda: nn.Conv2d(4, 6, 3, groups=3), "channels that groups divides, got in_channels=4, out_channels=6, groups=3"),
    (lambda: nn.Conv2d(6, 4, 3, groups=3), "got in_channels=6, out_channels=4, groups=3"),
    (lambda: nn.Conv2d(3, 4, 3, groups=0), "groups=0"),
    (lambda: nn.Conv2d(-3, 4, 3), "in_channels=-3"),
    (lambda: nn.Conv2d(3, 4, 0), "want kernel_size to be an integer or 2 of them, at least 1, got 0"),
    (lambda: nn.Conv2d(3, 4, (3, 3, 3)), r"got \(3, 3, 3\)"),
    (lambda: nn.Conv2d(3, 4, 2.5), "got 2.5"),
    (lambda: nn.Conv2d(3, 4, 3, stride=-1), "want stride to be an integer or 2 of them, at least 1, got -1"),
    (lambda: nn.Conv2d(3, 4, 3, dilation=0), "want dilation"),
    (lambda: nn.Conv2d(3, 4, 3, padding=-1), "want padding to be an integer or 2 of them, at least 0, got -1"),
    (lambda: nn.Conv2d(3, 4, 3, padding="full"), "want padding 'same', 'valid' or numbers, got 'full'"),
    (lambda: nn.Conv2d(3, 4, 3, stride=2, padding="same"), "padding='same' wants a stride of 1, got 2"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), "want padding_mode in .*, got 'mirror'"),
    (lambda: nn.Conv1d(3, 4, (3, 3)), "want kernel_size to be an integer or 1 of them"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, output_padding=1), "want output_padding below the stride or the dilation"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), "want padding_mode 'zeros', got 'reflect'"),
    (lambda: nn.MaxPool2d(2, padding=2), r"want padding of at most half the kernel, got \(2, 2\) for \(2, 2\)"),
    (lambda: nn.MaxPool2d(2, return_indices=True), "return_indices must be False"),
    (lambda: nn.MaxPool1d(0), "want kernel_size to be an integer or 1 of them, at least 1, got 0"),
    (lambda: nn.AvgPool2d(2, divisor_override=0), "want a positive divisor_override, got 0"),
    (lambda: nn.AdaptiveAvgPool2d((0, 2)), r"want output_size to be 2 positive numbers or None, got \(0, 2\)"),
    (lambda: nn.AdaptiveAvgPool1d(-1), "want output_size"),
    (lambda: nn.GroupNorm(4, 6), "want groups that divide the channels, got 4 and 6"),
    (lambda: nn.GroupNorm(0, 6), "got 0 and 6"),
    (lambda: nn.BatchNorm2d(3, eps=0), "BatchNorm2d: want eps > 0, got 0"),
    (lambda: nn.BatchNorm2d(-3), "BatchNorm2d: want num_features of at least 1, got -3"),
    (lambda: nn.InstanceNorm2d(0), "InstanceNorm2d: want num_features of at least 1, got 0"),
    (lambda: nn.Dropout2d(1.5), r"Dropout2d: want a probability p in \[0, 1\], got 1.5"),
    (lambda: nn.Upsample(), "want either size or scale_factor, got None and None"),
    (lambda: nn.Upsample(2, 2.0), "want either size or scale_factor, got 2 and 2.0"),
    (lambda: nn.Upsample(2, mode="cubic"), "want mode in .*, got 'cubic'"),
    (lambda: nn.Upsample(2, align_corners=True), "align_corners has a meaning for linear and bilinear only"),
    (lambda: nn.Upsample(-3), "want size in positive integers, got -3"),
    (lambda: nn.Upsample((4, 2.5)), r"want size in positive integers, got \(4, 2.5\)"),
    (lambda: nn.Upsample(scale_factor=(2, -1.5)), r"want scale_factor in positive numbers, got \(2, -1.5\)"),
    (lambda: nn.Upsample(scale_factor=np.nan), "want scale_factor in positive numbers, got nan"),
    (lambda: nn.PixelShuffle(0), "want a positive upscale_factor, got 0"),
    (lambda: nn.ZeroPad2d((1, 2)), r"want padding to be an integer or \(left, right, top, bottom\), got \(1, 2\)"),
    (lambda: nn.ZeroPad2d(1.5), "got 1.5"),
    (lambda: nn.Unflatten(1, (-1, -1)), "want positive sizes, one of them perhaps -1"),
    (lambda: nn.Unflatten(1, (0, 3)), "want positive sizes"),
    (lambda: nn.Unflatten(1, ()), "want positive sizes"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_constructors_refuse_what_cannot_be(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_errors_name_the_path() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(3, 2, 3)))
    with pytest.raises(nn.LayerError, match=r"^Sequential\[1\]\[1\]\.Conv2d: want input of shape \(N, 3, H, W\)"):
        model(np.ones((2, 1, 8, 8), np.float32))
    with pytest.raises(
        nn.LayerError,
        match=r"^Sequential\[0\]\.Conv2d: want an image .* got 2 x 5 pixels, which give 0 x 3, for 1, 4, kernel_size",
    ):
        model(np.ones((2, 1, 2, 5), np.float32))
    with pytest.raises(nn.LayerError, match="want a size or scale_factor for 2 axes, got 1 numbers"):
        nn.Upsample((3,))(np.ones((1, 1, 2, 2)))


@pytest.mark.parametrize(("channels", "filters", "size"), [(37, 35, 9), (300, 33, 4), (1, 64, 20), (16, 16, 8)])
@pytest.mark.parametrize("groups", [1, 2])
def test_more_than_is_gathered_at_a_time(channels: int, filters: int, size: int, groups: int) -> None:
    """More windows, longer ones, and wider results than one block, one pass over the sum, and one tile hold."""
    ours = nn.Conv2d(groups * channels, groups * filters, 3, padding=1, groups=groups).to(np.float64)
    theirs = torch.nn.Conv2d(groups * channels, groups * filters, 3, padding=1, groups=groups).double()
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in ours.state_dict().items()})
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, groups * channels, size, size))
    leaf = torch.from_numpy(x).requires_grad_()
    y, expected = ours(x), theirs(leaf)
    dy = rng.standard_normal(y.shape)
    dx = ours.backward(dy)
    expected.backward(torch.from_numpy(dy))
    pairs = [(y, expected.detach()), (dx, leaf.grad), (ours.weight.grad, theirs.weight.grad)]
    for mine, other in pairs:
        np.testing.assert_allclose(mine, other.numpy(), rtol=0, atol=1e-12 * np.abs(other.numpy()).max())


def test_multiply_adds_are_counted() -> None:
    """Every pixel of the smaller image meets every weight of its group."""
    assert nn.Conv2d(4, 6, 3, padding=1, groups=2).multiply_adds((5, 4, 8, 7), (5, 6, 8, 7)) == 5 * 6 * 8 * 7 * 2 * 9
    assert nn.ConvTranspose2d(4, 6, 3).multiply_adds((5, 4, 8, 7), (5, 6, 10, 9)) == 5 * 4 * 8 * 7 * 6 * 9
    assert "56,448" in str(nn.Conv2d(1, 8, 3, padding=1).summary((1, 1, 28, 28)))


def test_tables_are_made_once() -> None:
    windows = Windows((6, 5), (3, 2), (2, 3), (2, 2), (0, -1), (1, 1))
    assert table_of(windows) is table_of(windows)
    assert inverse_of(windows) is inverse_of(windows)
    assert adaptive_table((6, 5), (2, 3)) is adaptive_table((6, 5), (2, 3))
    assert padded_table((6, 5), (1, 1), (0, 2), "zeros") is padded_table((6, 5), (1, 1), (0, 2), "zeros")


def test_an_inverse_leads_back() -> None:
    table = table_of(windows := Windows((6, 5), (3, 3), (3, 2), (2, 2), (-1, -1), (1, 2)))
    back = inverse_of(windows)
    for output, taps in enumerate(table):
        for tap, pixel in enumerate(taps):
            assert pixel < 0 or back[pixel, tap] == output
    assert (table >= 0).sum() == (back >= 0).sum()

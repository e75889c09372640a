"""Windows that move over an image: which pixels each of them sees, as tables that the kernels take.

A table (P, T) holds, for each of P outputs and T taps, the number of a pixel, or -1 where the tap lies outside. Pixels
are counted along the last axis first. An image may have any number of axes; lengths, strides, ... are one for each.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from minigrad.nn.parameter import Array

Lengths = tuple[int, ...]

TABLES = 256  # of each kind that are kept
PadMode = Literal["reflect", "edge", "wrap"]
PAD_MODES: dict[str, PadMode] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # from PyTorch's names


class Windows(NamedTuple):
    """Windows of one form, at equal distances.

    Arguments:
        lengths: of the image.
        outputs: how many windows there are along each axis.
        kernel: taps of a window along each axis.
        stride: pixels from one window to the next.
        start: the pixel that the first tap of the first window sees: minus the padding.
        step: pixels from one tap to the next.
    """

    lengths: Lengths
    outputs: Lengths
    kernel: Lengths
    stride: Lengths
    start: Lengths
    step: Lengths


@lru_cache(TABLES)
def table_of(windows: Windows) -> Array:
    """Return the table of what the windows see.

    >>> table_of(Windows((4,), (2,), (3,), (2,), (-1,), (1,))).tolist()
    [[-1, 0, 1], [1, 2, 3]]
    """
    axes = zip(*windows[1:], strict=True)
    return join(
        windows.lengths,
        [
            np.arange(count)[:, None] * stride + start + np.arange(taps) * step
            for count, taps, stride, start, step in axes
        ],
    )


@lru_cache(TABLES)
def inverse_of(windows: Windows) -> Array:
    """Return the table (S, T) of which output sees a pixel through a tap: the way back of a gradient.

    >>> inverse_of(Windows((4,), (2,), (3,), (2,), (-1,), (1,))).tolist()
    [[-1, 0, -1], [1, -1, 0], [-1, 1, -1], [-1, -1, 1]]
    """
    table = table_of(windows)
    back = np.full((math.prod(windows.lengths), table.shape[1]), -1)
    outputs, taps = np.nonzero(table >= 0)
    back[table[outputs, taps], taps] = outputs
    return back


def turned(table: Array, weight: Array, pixels: int) -> tuple[Array, Array]:
    """Return the way back of weighted sums: which outputs see each pixel (pixels, most), and with what weights.

    Here many outputs may see a pixel through one tap, and places have no meaning.

    >>> turned(np.array([[0, 1], [1, -1]]), np.array([[2.0, 3.0], [4.0, 5.0]]), 3)[0].tolist()
    [[0, -1], [0, 1], [-1, -1]]
    """
    outputs, taps = np.nonzero(table >= 0)
    order = np.argsort(table[outputs, taps], kind="stable")
    outputs, taps = outputs[order], taps[order]
    seen = table[outputs, taps]
    counts = np.bincount(seen, minlength=pixels)
    place = np.arange(seen.size) - np.repeat(np.cumsum(counts) - counts, counts)
    back = np.full((pixels, max(1, counts.max())), -1)
    shares = np.zeros(back.shape, weight.dtype)
    back[seen, place], shares[seen, place] = outputs, weight[outputs, taps]
    return back, shares


@lru_cache(TABLES)
def adaptive_table(lengths: Lengths, outputs: Lengths) -> Array:
    """Return the table of windows that cover an image: the o-th of O sees pixels ⌊o L/O⌋ to ⌈(o + 1) L/O⌉ - 1.

    >>> adaptive_table((5,), (3,)).tolist()
    [[0, 1, -1], [1, 2, 3], [3, 4, -1]]
    """
    axes = []
    for length, count in zip(lengths, outputs, strict=True):
        first, end = (np.arange(count) * length // count, -(-np.arange(1, count + 1) * length // count))
        seen = first[:, None] + np.arange((end - first).max())
        axes.append(np.where(seen < end[:, None], seen, -1))
    return join(lengths, axes)


@lru_cache(TABLES)
def padded_table(lengths: Lengths, before: Lengths, behind: Lengths, mode: str) -> Array:
    """Return the table (P, 1) of a padded image; mode is PyTorch's: "zeros", "reflect", "replicate" or "circular".

    >>> padded_table((3,), (2,), (1,), "reflect").tolist()
    [[2], [1], [0], [1], [2], [1]]
    """
    axes = []
    for length, left, right in zip(lengths, before, behind, strict=True):
        if mode == "zeros":
            seen = np.arange(-left, length + right)
        else:
            seen = np.pad(np.arange(length), (left, right), PAD_MODES[mode])
        axes.append(seen[:, None])
    return join(lengths, axes)


def join(lengths: Sequence[int], axes: Sequence[Array]) -> Array:
    """Return the table of an image from one (outputs, taps) for each axis, where what is out of range is outside."""
    table = np.zeros((1, 1), np.int64)
    for length, seen in zip(lengths, axes, strict=True):
        before, along = table[:, None, :, None], seen[None, :, None, :]
        is_inside = (before >= 0) & (along >= 0) & (along < length)
        table = np.where(is_inside, before * length + along, -1).reshape(len(table) * len(seen), -1)
    return table

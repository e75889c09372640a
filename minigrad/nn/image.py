"""What layers of images share: numbers for each axis, and the form in which kernels take images."""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from minigrad import kernels
from minigrad.nn.errors import LayerError
from minigrad.nn.module import Module
from minigrad.nn.parameter import Array
from minigrad.nn.windows import Lengths

Size = int | Sequence[int]
AXES = {1: "L", 2: "H, W"}


class ImageLayer(Module):
    """A layer of images (N, C, *lengths), or of one image (C, *lengths), with `rank` axes of pixels.

    Kernels take them pixel by pixel, and of each pixel image by image, channels last: (S, N, C).
    """

    rank: ClassVar[int]

    def _image(self, x: Array, channels: int | None = None) -> Array:
        """Return the input as a kernel wants it, or raise what is wrong with it."""
        want = f"(N, {channels or 'C'}, {AXES[self.rank]}), or without N"
        fits = x.ndim in (self.rank + 1, self.rank + 2)
        return self._input(x, want, fits and channels in (None, x.shape[-self.rank - 1]))

    def _each(self, name: str, value: Size, least: int = 0) -> Lengths:
        """Return an option of the constructor as one number for each axis of pixels."""
        numbers = tuple(value) if isinstance(value, Sequence) else (value,) * self.rank
        if len(numbers) != self.rank or not all(isinstance(n, (int, np.integer)) and n >= least for n in numbers):
            wanted = f"an integer or {self.rank} of them, at least {least}"
            raise ValueError(f"{type(self).__name__}: want {name} to be {wanted}, got {value!r}")
        return tuple(map(int, numbers))

    def _check_outputs(self, lengths: Lengths, outputs: Lengths) -> Lengths:
        """Return the lengths of the output, if there is one."""
        if min(outputs) < 1:
            came, given = (" x ".join(map(str, numbers)) for numbers in (lengths, outputs))
            message = f"want an image large enough for an output, got {came} pixels, which give {given}"
            raise LayerError(self, f"{message}, for {self.extra_repr()}")
        return outputs


def weighted_sums(pixels: Array, table: Array, weight: Array) -> Array:
    """Return the sum over each window of `table` (P, T), with these weights (P, T), as (P, N, C)."""
    sums = np.empty((len(table), *pixels.shape[1:]), pixels.dtype)
    kernels.window_sums(pixels, table, weight.astype(pixels.dtype), sums)
    return sums


def to_pixels(x: Array, rank: int) -> Array:
    """Return images, or one, as (S, N, C): pixel by pixel, contiguous."""
    C = x.shape[-rank - 1]
    return np.ascontiguousarray(x.reshape(-1, C, math.prod(x.shape[-rank:])).transpose(2, 0, 1))


def from_pixels(y: Array, lengths: Lengths, like: tuple[int, ...]) -> Array:
    """Return (S, N, C) as (N, C, *lengths), contiguous; without N where images of shape `like` had none."""
    C = y.shape[-1]
    return np.ascontiguousarray(y.transpose(1, 2, 0)).reshape(*like[: -len(lengths) - 1], C, *lengths)

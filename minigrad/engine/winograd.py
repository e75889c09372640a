"""Convolutions of 3 x 3 with stride 1 patch by patch: 36 products for 16 outputs in place of 144 (Winograd)."""

import math
from typing import Any

import numpy as np

from minigrad.engine.lowering import Lowering
from minigrad.engine.memory import Array, Memory
from minigrad.engine.taps import Taps
from minigrad.kernels.jit._tile import ROWS, VECTOR_BYTES
from minigrad.kernels.jit.winograd import FEW, WIDE
from minigrad.nn.conv import Convolution
from minigrad.nn.windows import Lengths, Windows, table_of

PLACES = 36  # products of a patch
MOST_VECTORS = 32  # of channels: for more of them there is room for few patches only
MOST_FOR_GRADIENT = 256  # channels, beyond which the weights' gradient is faster tap by tap
PARTS = 8  # of a weights' gradient at most,
ELEMENTS = 8192  # and of all of them together, each of PLACES numbers: about the second cache


def fits(layer: Convolution, windows: Windows, pixels: Memory) -> bool:
    """Return whether a convolution has this form, images to fill tiles, and channels to fill them without a rest."""
    N, channels, vector = pixels.shape[1], (layer.in_channels, layer.out_channels), unit(pixels.dtype)
    return (
        windows.kernel == (3, 3)
        and windows.stride == windows.step == (1, 1)
        and layer.groups == 1
        and not layer.transposed
        and N >= ROWS
        and all(n % vector == 0 for n in channels)
        and (
            max(channels) <= MOST_VECTORS * vector
            or all(
                are_few(N * math.prod(patches_along(lengths)), channels, pixels.dtype)
                for lengths in (windows.outputs, windows.lengths)
            )
        )
    )


def are_few(rows: int, channels: tuple[int, int], dtype: Any) -> bool:
    """Return whether weights cost less to transform where they are used, for so many rows, than to write and read."""
    wide = WIDE * vector_width(dtype)
    return rows <= FEW and math.prod(channels) > ELEMENTS and all(n % wide == 0 for n in channels)


def patches_along(lengths: Lengths) -> Lengths:
    """Return how many patches of 4 x 4 cover an image, along each axis."""
    return tuple(-(-n // 4) for n in lengths)


def vector_width(dtype: Any) -> int:
    """Return how many numbers a vector register has."""
    return int(VECTOR_BYTES // np.dtype(dtype).itemsize)


def unit(dtype: Any) -> int:
    """Return what channels must be a multiple of, to fill vectors and the rows of tiles."""
    return max(vector_width(dtype), ROWS)


def panel_width(channels: int, dtype: Any) -> int:
    """Return how many of the output's channels are computed at a time: a tile's width, or else a vector's."""
    vector = vector_width(dtype)
    return vector if channels % (WIDE * vector) else WIDE * vector


def patches_of(lengths: Lengths, outputs: Lengths, start: Lengths) -> tuple[Array, Array]:
    """Return the pixels that each patch of 4 x 4 outputs sees, the first from pixel `start` on, and the outputs."""
    count = patches_along(outputs)
    seen = Windows(lengths, count, (6, 6), (4, 4), start, (1, 1))
    return table_of(seen), table_of(Windows(outputs, count, (4, 4), (4, 4), (0, 0), (1, 1)))


class Patches(Taps):
    """A convolution patch by patch, where `fits` says so."""

    patches: tuple[Array, Array]

    def __init__(self, b: Lowering, layer: Convolution, windows: Windows, pixels: Memory) -> None:
        super().__init__(b, layer, windows, pixels)
        self.patches = patches_of(windows.lengths, windows.outputs, windows.start)

    def forward(self, y: Memory) -> None:
        """Emit y, the bias added."""
        bias = np.zeros(y.shape[2], y.dtype) if self.layer.bias is None else self.layer.bias.data
        self._emit(self.pixels, False, bias, self.patches, y)

    def backward_input(self, dy: Memory, dx: Memory) -> None:
        """Emit dx: the convolution of dy with the kernel turned around."""
        start = tuple(-2 - pixel for pixel in self.windows.start)
        patches = patches_of(self.windows.outputs, self.windows.lengths, start)
        self._emit(dy, True, np.zeros(dx.shape[2], dx.dtype), patches, dx)

    def _emit(self, x: Memory, turned: bool, bias: Array, patches: tuple[Array, Array], y: Memory) -> None:
        b, (_, N, C), K = self.b, x.shape, y.shape[2]
        width, rows, products = panel_width(K, x.dtype), len(patches[0]) * N, self._products(patches[0])
        w = self.layer.weight.data.reshape(*self.layer.weight.shape[:2], 9)
        if are_few(rows, (C, K), x.dtype):
            v = b.buffer((PLACES, rows * C + vector_width(x.dtype)), x.dtype, "v")
            b.emit("winograd_input", x, patches[0], v, over=rows, grain=ROWS, work=v.size)
            of_few = v, w, turned, bias, patches[1], False, y
            b.emit("winograd_of_few", *of_few, over=K, grain=width, multiply_adds=products, can_add=True)
            return
        u = b.buffer((K // width, PLACES, C, width), x.dtype, "u")
        b.emit("winograd_weights", w, turned, u, over=C, work=u.size)
        operands, pieces = (x, u, bias, *patches, False, y), len(patches[0]) * u.shape[0]
        b.emit("winograd_forward", *operands, over=pieces, grain=1, multiply_adds=products, can_add=True)

    def _products(self, patches: Array) -> int:
        return PLACES * len(patches) * self.pixels.shape[1] * self.layer.in_channels * self.layer.out_channels

    def backward_weight(self, dy: Memory) -> None:
        """Emit the weights' gradient; threads share parts of the patches and, where there are few, channels."""
        C, K = self.pixels.shape[2], dy.shape[2]
        if max(C, K) > MOST_FOR_GRADIENT:
            super().backward_weight(dy)
            return
        parts = min(PARTS, len(self.patches[0]), max(1, ELEMENTS // (C * K)))
        du = self.b.buffer((parts, PLACES, C, K), dy.dtype, "du")
        operands, products = (self.pixels, dy, *self.patches, du), self._products(self.patches[0])
        grain = unit(dy.dtype)
        self.b.emit("winograd_backward_weight", *operands, over=parts * C, grain=grain, multiply_adds=products)
        with self.b.gradient(self.layer.weight, (K, C, 9), dy.dtype) as dw:
            self.b.emit("winograd_weight_gradient", du, dw, over=C, work=du.size)

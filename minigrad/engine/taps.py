"""Convolutions tap by tap, for windows of any form."""

import math
from functools import cached_property

from minigrad.engine.layers import NOTHING
from minigrad.engine.lowering import Lowering
from minigrad.engine.memory import Memory, cut
from minigrad.engine.weights import packed, put_gradient
from minigrad.kernels.jit._tile import ROWS as TILE_ROWS
from minigrad.nn.conv import Convolution
from minigrad.nn.windows import Windows, table_of


class Taps:
    """A convolution tap by tap, for windows of any form.

    Arguments:
        b: gets the instructions.
        layer: the convolution.
        windows: of its input.
        pixels: the input, padded if not with zeros.
    """

    def __init__(self, b: Lowering, layer: Convolution, windows: Windows, pixels: Memory) -> None:
        self.b, self.layer, self.windows, self.pixels = b, layer, windows, pixels
        self.seen, self.given, _ = layer.tables(windows)
        self.multiply_adds = pixels.shape[1] * math.prod(windows.outputs) * layer.weight.size

    @cached_property
    def weights(self) -> tuple[Memory, Memory]:
        """The weights as the kernel takes them, for y and for dx: laid out where they are first wanted."""
        return packed(self.b, self.layer)

    def forward(self, y: Memory) -> None:
        """Emit y, the bias added."""
        bias = NOTHING[y.dtype] if self.layer.bias is None else self.layer.bias.data
        self._convolve(self.pixels, self.weights[0], bias, self.seen, y)

    def backward_input(self, dy: Memory, dx: Memory) -> None:
        """Emit dx."""
        self._convolve(dy, self.weights[1], NOTHING[dy.dtype], self.given, dx)

    def _convolve(self, x: Memory, w: Memory, bias: Memory, table: Memory, y: Memory) -> None:
        self.b.emit("conv_forward", x, w, bias, cut(table), cut(y), multiply_adds=self.multiply_adds)

    def backward_weight(self, dy: Memory) -> None:
        """Emit the weights' gradient."""
        G, T, large_channels, small_channels = self.layer.form
        large, small = (dy, self.pixels) if self.layer.transposed else (self.pixels, dy)
        dw = self.b.buffer((G, T * large_channels, small_channels), dy.dtype, "dw")
        self.b.emit(
            "conv_backward_weight",
            *(large, small, table_of(self.windows), dw),
            over=G * T * large_channels,
            grain=TILE_ROWS,
            multiply_adds=self.multiply_adds,
        )
        put_gradient(self.b, self.layer, dw)

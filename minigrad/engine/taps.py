"""Convolutions tap by tap, for windows of any form."""

import math
from functools import cached_property

from minigrad.engine.layers import NOTHING
from minigrad.engine.lowering import Lowering
from minigrad.engine.memory import Memory, cut
from minigrad.kernels.jit._tile import ROWS as TILE_ROWS
from minigrad.kernels.jit.conv import CHANNELS, DEPTH
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

    pixels: Memory
    b: Lowering
    layer: Convolution
    windows: Windows
    multiply_adds: int

    def __init__(self, b: Lowering, layer: Convolution, windows: Windows, pixels: Memory) -> None:
        self.b, self.layer, self.windows, self.pixels = b, layer, windows, pixels
        self.seen, self.given, _ = layer.tables(windows)
        self.multiply_adds = pixels.shape[1] * math.prod(windows.outputs) * layer.weight.size

    @cached_property
    def weights(self) -> tuple[Memory, Memory]:
        """What `layer.packed()` is, for y and for dx: laid out where it is first wanted."""
        b, (G, T, large, small) = self.b, self.layer.form
        by_tap = b.to_rows(self.layer.weight.data.reshape(G, small * large, T), 1)
        by_channel = b.to_rows(by_tap.reshape(G * T, small, large), 1)
        to_small, to_large = by_channel.reshape(G, T * large, small), by_tap.reshape(G, T * small, large)
        return (to_large, to_small) if self.layer.transposed else (to_small, to_large)

    def forward(self, y: Memory) -> None:
        """Emit y, the bias added."""
        bias = NOTHING[y.dtype] if self.layer.bias is None else self.layer.bias.data
        self._convolve(self.pixels, self.weights[0], bias, self.seen, y)

    def backward_input(self, dy: Memory, dx: Memory) -> None:
        """Emit dx."""
        self._convolve(dy, self.weights[1], NOTHING[dy.dtype], self.given, dx)

    def _convolve(self, x: Memory, w: Memory, bias: Memory, table: Memory, y: Memory) -> None:
        groups, depth = w.shape[:2]
        # Only a sum that is taken in one go can be added as a whole.
        can_add = x.shape[1] >= TILE_ROWS and x.shape[2] // groups <= CHANNELS and depth <= DEPTH
        operands = (x, w, bias, cut(table), False, cut(y))
        self.b.emit("conv_forward", *operands, multiply_adds=self.multiply_adds, can_add=can_add)

    def backward_weight(self, dy: Memory) -> None:
        """Emit the weights' gradient; threads share its rows or, where these are few, parts of the outputs."""
        b, layer, (G, T, large_channels, small_channels) = self.b, self.layer, self.layer.form
        large, small = (dy, self.pixels) if layer.transposed else (self.pixels, dy)
        table, rows = table_of(self.windows), G * T * large_channels
        parts = layer.gradient_parts(len(table))
        dw = b.buffer((parts, G, T * large_channels, small_channels), dy.dtype, "dw")
        over, grain = parts * rows, rows if parts > 1 else TILE_ROWS
        operands = large, small, table, dw
        b.emit("conv_backward_weight", *operands, over=over, grain=grain, multiply_adds=self.multiply_adds)
        with b.gradient(layer.weight, (G * small_channels, large_channels, T), dy.dtype) as target:
            b.emit("conv_weight_gradient", dw, target, over=G * large_channels, work=dw.size)

"""The lowerings of the convolutions."""

import math
from collections.abc import Callable

import numpy as np

from minigrad import nn
from minigrad.engine.images import weighted_sums
from minigrad.engine.layers import NOTHING
from minigrad.engine.lowering import Lowering, Pull, lowers
from minigrad.engine.memory import Image, Memory, Value, cut
from minigrad.kernels.jit._tile import ROWS as TILE_ROWS
from minigrad.nn.conv import Convolution
from minigrad.nn.windows import Lengths, Windows, table_of, turned


@lowers(nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, images=True)
def convolution(b: Lowering, layer: Convolution, x: Value) -> tuple[Value, Pull]:
    """The products of what windows see with weights; threads share the outputs, and in dw the weights."""
    rank, K, dtype = layer.rank, layer.out_channels, x.dtype
    lengths = x.shape[-rank:]
    windows = layer.windows(lengths)
    outputs = layer.tables(windows)[2]
    pixels, restore = _padded(b, layer, b.pixels(x, rank), lengths)
    products = Taps(b, layer, windows, pixels)
    y = b.buffer((math.prod(outputs), pixels.shape[1], K), dtype, "y")
    products.forward(y)

    def pull(dy: Value, wants_dx: bool) -> Value:
        cotangent = b.pixels(dy, rank)
        if b.wants(layer.weight):
            products.backward_weight(cotangent)
        if layer.bias is not None and b.wants(layer.bias):
            is_added = b.begin_gradient(layer.bias)
            b.emit("column_sums", cotangent.reshape(-1, K), is_added, layer.bias.grad, over=K, work=y.size)
        dx = b.like(pixels, "dx")
        if wants_dx:
            products.backward_input(cotangent, dx)
            dx = restore(dx)
        return Image(dx, x.shape)

    return Image(y, (*x.shape[: -rank - 1], K, *outputs)), pull


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
        self.weights = _packed(b, layer)

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


def _packed(b: Lowering, layer: Convolution) -> tuple[Memory, Memory]:
    """Emit what `layer.packed()` does, and return the two."""
    (G, T, large, small), dtype = layer.form, layer.weight.dtype
    by_tap, by_channel = b.buffer((G, T, small * large), dtype, "w"), b.buffer((G * T, large, small), dtype, "w")
    b.swap_axes(layer.weight.data.reshape(G, small * large, T), by_tap)
    b.swap_axes(by_tap.reshape(G * T, small, large), by_channel)
    to_small, to_large = by_channel.reshape(G, T * large, small), by_tap.reshape(G, T * small, large)
    return (to_large, to_small) if layer.transposed else (to_small, to_large)


def put_gradient(b: Lowering, layer: Convolution, dw: Memory) -> None:
    """Emit the gradient of the weights to the small image, (G, T large, small), in the form of `weight`."""
    (G, T, large, small), dtype = layer.form, dw.dtype
    by_tap = b.buffer((G * T, small, large), dtype, "dw")
    b.swap_axes(dw.reshape(G * T, large, small), by_tap)
    with b.gradient(layer.weight, (G, small * large, T), dtype) as target:
        b.swap_axes(by_tap.reshape(G, T, small * large), target)


def _padded(
    b: Lowering, layer: Convolution, pixels: Memory, lengths: Lengths
) -> tuple[Memory, Callable[[Memory], Memory]]:
    """Emit a padding that is not zeros; return the padded images, and what emits its backward."""
    table = layer.padding_table(lengths)
    if table is None:
        return pixels, lambda dx: dx
    weight = np.ones(table.shape)
    way_back = turned(table, weight, math.prod(lengths))
    return weighted_sums(b, pixels, table, weight), lambda dpadded: weighted_sums(b, dpadded, *way_back)

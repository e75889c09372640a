"""The lowerings of the convolutions."""

import math
from collections.abc import Callable

import numpy as np

from minigrad import nn
from minigrad.engine.depthwise import Depthwise
from minigrad.engine.images import weighted_sums
from minigrad.engine.lowering import Lowering, Pull, lowers
from minigrad.engine.memory import Image, Memory, Value
from minigrad.engine.taps import Taps
from minigrad.engine.winograd import Patches, fits
from minigrad.nn.conv import Convolution
from minigrad.nn.windows import Lengths, turned


@lowers(nn.Conv1d, nn.Conv2d, nn.Conv2dSame, nn.ConvTranspose2d, images=True)
def convolution(b: Lowering, layer: Convolution, x: Value) -> tuple[Value, Pull]:
    """The products of what windows see with weights; threads share the outputs, and in dw the weights."""
    rank, K, dtype = layer.rank, layer.out_channels, x.dtype
    lengths = x.shape[-rank:]
    windows = layer.windows(lengths)
    outputs = layer.tables(windows)[2]
    pixels, restore = _padded(b, layer, b.pixels(x, rank), lengths)
    kind = Depthwise if layer.is_depthwise else Patches if fits(layer, windows, pixels) else Taps
    products = kind(b, layer, windows, pixels)
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

"""The lowerings of the layers of images, which lie pixel by pixel from one such layer to the next."""

import math

import numpy as np

from minigrad import nn
from minigrad.engine.layers import mask_keys
from minigrad.engine.lowering import Lowering, Pull, lowers
from minigrad.engine.memory import Array, Image, Memory, Shape, Value, cut
from minigrad.nn.pool import WeightedWindows
from minigrad.nn.windows import inverse_of, table_of, turned


def weighted_sums(b: Lowering, pixels: Memory, table: Array, weight: Array) -> Memory:
    """Emit the weighted sum over each window; threads share the windows."""
    y = b.buffer((len(table), *pixels.shape[1:]), pixels.dtype, "sums")
    work = y.size * table.shape[1]
    b.emit("window_sums", pixels, cut(table), cut(weight.astype(pixels.dtype)), cut(y), work=work)
    return y


@lowers(nn.MaxPool1d, nn.MaxPool2d, images=True)
def max_pool(b: Lowering, layer: nn.MaxPool1d | nn.MaxPool2d, x: Value) -> tuple[Value, Pull]:
    """The largest of each window, and which tap it is; threads share the windows, and in dx the pixels."""
    rank = layer.rank
    windows, pixels = layer.windows(x.shape[-rank:]), b.pixels(x, rank)
    table = table_of(windows)
    y = b.buffer((len(table), *pixels.shape[1:]), x.dtype, "y")
    index, work = b.like(y, "index", layer.index_dtype), y.size * table.shape[1]
    b.emit("max_pool_forward", pixels, cut(table), cut(index), cut(y), work=work)

    def pull(dy: Value, wants_dx: bool) -> Value:
        dx = b.like(pixels, "dx")
        b.emit("max_pool_backward", b.pixels(dy, rank), index, cut(inverse_of(windows)), cut(dx), work=work)
        return Image(dx, x.shape)

    return Image(y, (*x.shape[:-rank], *windows.outputs)), pull


@lowers(
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.Upsample,
    nn.ZeroPad2d,
    images=True,
)
def weighted_windows(b: Lowering, layer: WeightedWindows, x: Value) -> tuple[Value, Pull]:
    """A weighted sum over each window."""
    rank = layer.rank_of(x.shape)
    lengths = x.shape[-rank:]
    outputs, table, weight = layer.plan(lengths)
    y = weighted_sums(b, b.pixels(x, rank), table, weight)

    def pull(dy: Value, wants_dx: bool) -> Value:
        return Image(weighted_sums(b, b.pixels(dy, rank), *turned(table, weight, math.prod(lengths))), x.shape)

    return Image(y, (*x.shape[:-rank], *outputs)), pull


@lowers(nn.PixelShuffle)
def pixel_shuffle(b: Lowering, layer: nn.PixelShuffle, x: Memory) -> tuple[Memory, Pull]:
    """The elements in their new order: each is a pixel, and a window."""
    form = x.shape[-3:]
    size = math.prod(form)
    order = layer.moved(np.arange(size).reshape(form))

    def moved(x: Memory, order: Array, shape: Shape) -> Memory:
        elements = b.to_rows(x.reshape(-1, size), 0).reshape(size, -1, 1)
        y = weighted_sums(b, elements, order.reshape(-1, 1), np.ones((size, 1)))
        return b.to_rows(y.reshape(size, -1), 0).reshape(*shape)

    y = moved(x, order, (*x.shape[:-3], *order.shape))
    return y, lambda dy, wants_dx: moved(dy, np.argsort(order.reshape(-1)), x.shape)


@lowers(nn.Dropout2d, images=True)
def dropout_2d(b: Lowering, layer: nn.Dropout2d, x: Value) -> tuple[Value, Pull]:
    """y_nc = m_nc x_nc / (1 - p), the factors of all channels first."""
    if not layer.training or layer.p == 0:
        return x, lambda dy, wants_dx: dy
    pixels = b.pixels(x, 2)
    _, N, C = pixels.shape
    factor, ones = b.buffer((N, C), x.dtype, "factor"), np.ones(N * C, x.dtype)
    b.emit("dropout", cut(ones), *mask_keys(b, layer), layer.threshold, layer.scale, cut(factor.reshape(-1)))

    def scaled(source: Memory, name: str) -> Value:
        target = b.like(source, name)
        b.emit("scale_channels", cut(source), factor, cut(target))
        return Image(target, x.shape)

    return scaled(pixels, "y"), lambda dy, wants_dx: scaled(b.pixels(dy, 2), "dx")

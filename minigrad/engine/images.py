"""The lowerings of the layers of images, which lie with their channels last from one such layer to the next."""

import math
from collections.abc import Callable

import numpy as np

from minigrad import nn
from minigrad.engine.layers import NOTHING, affine_of, batch_norm, mask_keys
from minigrad.engine.lowering import Lowering, Pull, lowers
from minigrad.engine.memory import Cell, Image, Memory, Value, cut
from minigrad.nn.conv import Convolution
from minigrad.nn.errors import LayerError
from minigrad.nn.pool import WeightedWindows
from minigrad.nn.windows import Lengths, table_of


@lowers(nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, images=True)
def convolution(b: Lowering, layer: Convolution, x: Value) -> tuple[Value, Pull]:
    """The products of what windows see with weights; threads share the images, and in dw the weights."""
    rank, K, dtype = layer.rank, layer.out_channels, x.dtype
    lengths = x.shape[-rank:]
    windows = layer.windows(lengths)
    seen, given, outputs = layer.tables(windows)
    pixels, restore = _padded(b, layer, b.pixels(x, rank), lengths)
    forward, backward, put_gradient = _packed(b, layer)
    N = pixels.shape[0]
    products = N * math.prod(windows.outputs) * layer.weight.size
    y = b.buffer((N, math.prod(outputs), K), dtype, "y")
    bias = NOTHING[dtype] if layer.bias is None else layer.bias.data
    b.emit("conv_forward", cut(pixels), forward, bias, seen, cut(y), multiply_adds=products)

    def pull(dy: Value, wants_dx: bool) -> Value:
        cotangent = b.pixels(dy, rank)
        if b.wants(layer.weight):
            large, small = (cotangent, pixels) if layer.transposed else (pixels, cotangent)
            G, T, large_channels, small_channels = layer.form
            dw = b.buffer((G, T * large_channels, small_channels), dtype, "dw")
            operands = large, small, table_of(windows), dw
            b.emit("conv_backward_weight", *operands, over=G * T * large_channels, multiply_adds=products)
            put_gradient(dw)
        if layer.bias is not None and b.wants(layer.bias):
            is_added = b.begin_gradient(layer.bias)
            b.emit("column_sums", cotangent.reshape(-1, K), is_added, layer.bias.grad, over=K, work=y.size)
        dx = b.like(pixels, "dx")
        if wants_dx:
            b.emit("conv_forward", cut(cotangent), backward, NOTHING[dtype], given, cut(dx), multiply_adds=products)
            dx = restore(dx)
        return Image(dx, x.shape)

    return Image(y, (*x.shape[: -rank - 1], K, *outputs)), pull


def _packed(b: Lowering, layer: Convolution) -> tuple[Memory, Memory, Callable[[Memory], None]]:
    """Emit what `layer.packed()` does; return the two, and what puts a gradient in their form where it belongs."""
    (G, T, large, small), dtype = layer.form, layer.weight.dtype
    by_tap, by_channel = b.buffer((G, T, small * large), dtype, "w"), b.buffer((G * T, large, small), dtype, "w")
    b.emit("swap_axes", cut(layer.weight.data.reshape(G, small * large, T)), cut(by_tap))
    b.emit("swap_axes", cut(by_tap.reshape(G * T, small, large)), cut(by_channel))
    to_small, to_large = by_channel.reshape(G, T * large, small), by_tap.reshape(G, T * small, large)

    def put_gradient(dw: Memory) -> None:
        turned = b.buffer((G * T, small, large), dtype, "dw")
        b.emit("swap_axes", cut(dw.reshape(G * T, large, small)), cut(turned))
        with b.gradient(layer.weight, (G, small * large, T), dtype) as target:
            b.emit("swap_axes", cut(turned.reshape(G, T, small * large)), cut(target))

    return (to_large, to_small, put_gradient) if layer.transposed else (to_small, to_large, put_gradient)


def _padded(
    b: Lowering, layer: Convolution, pixels: Memory, lengths: Lengths
) -> tuple[Memory, Callable[[Memory], Memory]]:
    """Emit a padding that is not zeros; return the padded images, and what emits its backward."""
    table = layer.padding_table(lengths)
    if table is None:
        return pixels, lambda dx: dx
    N, _, C = pixels.shape
    ones = np.ones(table.shape, pixels.dtype)
    padded = b.buffer((N, len(table), C), pixels.dtype, "padded")
    b.emit("window_forward", cut(pixels), table, ones, cut(padded))

    def restore(dpadded: Memory) -> Memory:
        dx = b.like(pixels, "dx")
        b.emit("window_backward", cut(dpadded), table, ones, cut(dx))
        return dx

    return padded, restore


@lowers(nn.MaxPool1d, nn.MaxPool2d, images=True)
def max_pool(b: Lowering, layer: nn.MaxPool1d | nn.MaxPool2d, x: Value) -> tuple[Value, Pull]:
    """The largest of each window, and which tap it is; threads share the images."""
    rank = layer.rank
    windows, pixels = layer.windows(x.shape[-rank:]), b.pixels(x, rank)
    table, (N, _, C) = table_of(windows), pixels.shape
    y = b.buffer((N, len(table), C), x.dtype, "y")
    index = b.like(y, "index", layer.index_dtype)
    b.emit("max_pool_forward", cut(pixels), table, cut(index), cut(y), work=N * table.size * C)

    def pull(dy: Value, wants_dx: bool) -> Value:
        dx = b.like(pixels, "dx")
        b.emit("max_pool_backward", cut(b.pixels(dy, rank)), cut(index), table, cut(dx))
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
    """A weighted sum over each window; threads share the images."""
    rank = layer.rank_of(x.shape)
    outputs, table, weight = layer.plan(x.shape[-rank:])
    pixels, weight = b.pixels(x, rank), weight.astype(x.dtype)
    N, _, C = pixels.shape
    y = b.buffer((N, len(table), C), x.dtype, "y")
    b.emit("window_forward", cut(pixels), table, weight, cut(y), work=N * table.size * C)

    def pull(dy: Value, wants_dx: bool) -> Value:
        dx = b.like(pixels, "dx")
        b.emit("window_backward", cut(b.pixels(dy, rank)), table, weight, cut(dx), work=N * table.size * C)
        return Image(dx, x.shape)

    return Image(y, (*x.shape[:-rank], *outputs)), pull


@lowers(nn.PixelShuffle)
def pixel_shuffle(b: Lowering, layer: nn.PixelShuffle, x: Memory) -> tuple[Memory, Pull]:
    """The elements in their new order: windows of one element each."""
    form = x.shape[-3:]
    size = math.prod(form)
    order = layer.moved(np.arange(size).reshape(form))
    table = order.reshape(-1, 1)
    shape, ones = (*x.shape[:-3], *order.shape), np.ones((size, 1), x.dtype)
    y = b.buffer(shape, x.dtype, "y")
    b.emit("window_forward", cut(x.reshape(-1, size, 1)), table, ones, cut(y.reshape(-1, size, 1)))

    def pull(dy: Memory, wants_dx: bool) -> Memory:
        dx = b.like(x, "dx")
        b.emit("window_backward", cut(dy.reshape(-1, size, 1)), table, ones, cut(dx.reshape(-1, size, 1)))
        return dx

    return y, pull


@lowers(nn.Dropout2d, images=True)
def dropout_2d(b: Lowering, layer: nn.Dropout2d, x: Value) -> tuple[Value, Pull]:
    """y_nc = m_nc x_nc / (1 - p), the factors of all channels first."""
    if not layer.training or layer.p == 0:
        return x, lambda dy, wants_dx: dy
    pixels = b.pixels(x, 2)
    N, _, C = pixels.shape
    factor, ones = b.buffer((N, C), x.dtype, "factor"), np.ones(N * C, x.dtype)
    b.emit("dropout", cut(ones), *mask_keys(b, layer), layer.threshold, layer.scale, cut(factor.reshape(-1)))

    def scaled(source: Memory, name: str) -> Value:
        target = b.like(source, name)
        b.emit("scale_channels", cut(source), cut(factor), cut(target))
        return Image(target, x.shape)

    return scaled(pixels, "y"), lambda dy, wants_dx: scaled(b.pixels(dy, 2), "dx")


@lowers(nn.GroupNorm, nn.InstanceNorm2d, images=True)
def group_norm(b: Lowering, layer: nn.GroupNorm | nn.InstanceNorm2d, x: Value) -> tuple[Value, Pull]:
    """y = γ x̂ + β over groups of channels, or each channel as a group; threads share the images."""
    pixels, dtype = b.pixels(x, len(x.shape) - 2 if isinstance(layer, nn.GroupNorm) else 2), x.dtype
    N, S, C = pixels.shape
    groups = layer.num_groups if isinstance(layer, nn.GroupNorm) else C
    if isinstance(layer, nn.InstanceNorm2d) and layer.track_running_stats and not layer.training:
        return batch_norm(b, layer, x)
    if groups == N * S * C or (isinstance(layer, nn.InstanceNorm2d) and S == 1):
        raise LayerError(layer, f"want more than 1 value in each group, got {x.shape}").seen_from(b.model)
    gamma, beta = affine_of(layer.weight, layer.bias, C, dtype)
    mean, var, inv_std = (b.buffer((N, groups), dtype, name) for name in ("mean", "var", "inv_std"))
    b.emit("group_norm_statistics", cut(pixels), layer.eps, cut(mean), cut(var), cut(inv_std))
    if isinstance(layer, nn.InstanceNorm2d) and layer.track_running_stats:
        _track_average(b, layer, mean, var, S)
    y = b.like(pixels, "y")
    b.emit("group_norm_forward", cut(pixels), gamma, beta, cut(mean), cut(inv_std), cut(y))

    def pull(dy: Value, wants_dx: bool) -> Value:
        cotangent, dx = b.laid_out_as(dy, Image(pixels, x.shape)), b.like(pixels, "dx")
        saved = pixels, mean, inv_std
        if wants_dx:
            b.emit("group_norm_backward", cut(cotangent), gamma, *map(cut, saved), cut(dx))
        if b.wants(layer.weight) or b.wants(layer.bias):
            with b.gradient(layer.weight, (C,), dtype) as dgamma, b.gradient(layer.bias, (C,), dtype) as dbeta:
                b.emit("group_norm_backward_parameters", cotangent, *saved, dgamma, dbeta)
        return Image(dx, x.shape)

    return Image(y, x.shape), pull


def _track_average(b: Lowering, layer: nn.InstanceNorm2d, mean: Memory, var: Memory, S: int) -> None:
    """Move the running statistics towards the means of the images' statistics."""
    averages = []
    for values in (mean, var):
        average, *unused = (b.buffer(mean.shape[1:], mean.dtype, name) for name in ("average", "unused", "unused"))
        b.emit("batch_norm_statistics", values, layer.eps, average, *unused, over=mean.shape[1])
        averages.append(cut(average))
    running = cut(layer.running_mean), cut(layer.running_var)
    b.emit("batch_norm_track", *averages, Cell(float(layer.momentum or 0)), S / (S - 1), *running)

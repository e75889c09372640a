"""The lowerings of the normalisations."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad import nn
from minigrad.engine.lowering import Lowering, Pull, lowers
from minigrad.engine.memory import Array, Cell, Cut, Image, Memory, Value, cut
from minigrad.nn.errors import LayerError
from minigrad.nn.parameter import Parameter

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.InstanceNorm2d


@lowers(nn.BatchNorm1d, nn.BatchNorm2d, images=True)
def batch_norm(b: Lowering, layer: BatchNorm, x: Value) -> tuple[Value, Pull]:
    """y = γ x̂ + β for each channel."""
    return channel_norm(b, layer, x, relu=False) if len(x.shape) > 2 else _column_norm(b, layer, b.plain(x))


def _column_norm(b: Lowering, layer: BatchNorm, rows: Memory) -> tuple[Memory, Pull]:
    """The channels are columns, which the threads share, as they do in the products around it."""
    (M, C), dtype = rows.shape, rows.dtype
    gamma, beta = affine_of(layer.weight, layer.bias, C, dtype)

    def take(*statistics: Memory) -> None:
        b.emit("batch_norm_statistics", rows, layer.eps, *statistics, over=C, work=2 * rows.size)

    mean, inv_std, uses_batch = _statistics(b, layer, (M, C), dtype, take)
    y = b.like(rows, "y")
    b.emit("batch_norm_forward", rows, gamma, beta, mean, inv_std, y, over=C, work=rows.size)

    def pull(dy: Memory, wants_dx: bool) -> Memory:
        dx = b.like(rows, "dx")
        with b.gradient(layer.weight, (C,), dtype) as dgamma, b.gradient(layer.bias, (C,), dtype) as dbeta:
            parts = b.plain(dy), gamma, rows, mean, inv_std, uses_batch, dgamma, dbeta, dx
            b.emit("batch_norm_backward", *parts, over=C, work=3 * rows.size)
        return dx

    return y, pull


class ChannelNorm:
    """A BatchNorm of images, whose pixels the threads share: its instructions but for those that write y.

    Arguments:
        b: gets the instructions.
        layer: the BatchNorm.
        x: its input.
    """

    layer: BatchNorm
    x: Value
    pixels: Memory
    inv_std: Memory
    b: Lowering
    uses_batch: bool
    affine: tuple[Array, Array]
    statistics: tuple[Memory, Memory]

    def __init__(self, b: Lowering, layer: BatchNorm, x: Value) -> None:
        self.b, self.layer, self.x, self.rank = b, layer, x, 1 if isinstance(layer, nn.BatchNorm1d) else 2
        self.pixels = pixels = b.pixels(x, self.rank)
        P, N, C = pixels.shape
        gamma, beta = affine_of(layer.weight, layer.bias, C, x.dtype)

        def take(*statistics: Memory) -> None:
            moments = b.buffer((P, 2, C), np.float64, "moments")
            b.emit("channel_moments", cut(pixels), cut(moments), work=2 * pixels.size)
            b.emit("channel_statistics", moments, N, layer.eps, *statistics)

        mean, self.inv_std, self.uses_batch = _statistics(b, layer, (P * N, C), x.dtype, take)
        self.affine, self.statistics = (gamma, beta), (mean, self.inv_std)

    def forward(self, *, relu: bool) -> Value:
        """Emit y, with the ReLU behind it in the same pass."""
        y = self.b.like(self.pixels, "y")
        self.b.emit("channel_norm_forward", cut(self.pixels), *self.affine, *self.statistics, relu, cut(y))
        return Image(y, self.x.shape)

    def forward_add_relu(self, other: Value) -> tuple[Value, Pull]:
        """Emit the ReLU of y plus another image; return it, and what emits the gradient of the sum."""
        b, y, added = self.b, self.b.like(self.pixels, "y"), self.b.pixels(other, self.rank)
        b.emit("channel_norm_add_relu", cut(self.pixels), *self.affine, *self.statistics, cut(added), cut(y))

        def pull(dy: Value, wants_dx: bool) -> Value:
            cotangent, dsum = b.pixels(dy, self.rank), b.like(self.pixels, "dsum")
            b.emit("relu_backward", cut(cotangent.reshape(-1)), cut(y.reshape(-1)), cut(dsum.reshape(-1)))
            return Image(dsum, self.x.shape)

        return Image(y, self.x.shape), pull

    def backward(self, dy: Value, *, relu: bool) -> Value:
        """Emit the gradients of gamma and beta, and dx."""
        b, (P, N, C), dtype = self.b, self.pixels.shape, self.x.dtype
        cotangent, dx = cut(b.pixels(dy, self.rank)), b.like(self.pixels, "dx")
        sums, saved = b.buffer((P, 2, C), np.float64, "sums"), (*self.affine, cut(self.pixels), *self.statistics, relu)
        b.emit("channel_norm_sums", cotangent, *saved, cut(sums), work=2 * dx.size)
        with (
            b.gradient(self.layer.weight, (C,), dtype) as dgamma,
            b.gradient(self.layer.bias, (C,), dtype) as dbeta,
        ):
            b.emit("channel_norm_backward_parameters", sums, self.inv_std, dgamma, dbeta)
            share = 1 / (P * N) if self.uses_batch else 0.0
            b.emit("channel_norm_backward", cotangent, dgamma, dbeta, *saved, share, cut(dx), work=2 * dx.size)
        return Image(dx, self.x.shape)


def channel_norm(b: Lowering, layer: BatchNorm, x: Value, *, relu: bool) -> tuple[Value, Pull]:
    """The channels of images; with the ReLU behind it, in one pass each way."""
    norm = ChannelNorm(b, layer, x)
    return norm.forward(relu=relu), lambda dy, wants_dx: norm.backward(dy, relu=relu)


def _statistics(
    b: Lowering, layer: BatchNorm, form: tuple[int, int], dtype: Any, take: Callable[..., None]
) -> tuple[Memory, Memory, bool]:
    """Emit the statistics of so many values of so many channels: those of the batch by `take(mean, var, inv_std)`.

    Return mean and 1 / the standard deviation, and whether they are the batch's.
    """
    M, C = form
    mean, var, inv_std = (b.buffer((C,), dtype, name) for name in ("mean", "var", "inv_std"))
    if (fixed := layer.fixed) is not None:
        b.emit("batch_norm_inv_std", cut(fixed[1]), layer.eps, cut(inv_std))
        return fixed[0], inv_std, False
    if M == 1:
        raise LayerError(layer, f"want more than 1 value for each channel in training, got {form}").seen_from(b.model)
    take(mean, var, inv_std)
    if (tracked := layer.tracked) is not None:
        b.once_finite.append(partial(_track, b, layer, (mean, var), M, tracked))
    return mean, inv_std, True


def _track(b: Lowering, layer: BatchNorm, moments: tuple[Memory, Memory], M: int, tracked: tuple[Array, Array]) -> None:
    """Emit that the running statistics move towards the batch's, of M values."""
    b.emit("batch_norm_track", *map(cut, moments), _share(b, layer), M / (M - 1), *map(cut, tracked))


def _share(b: Lowering, layer: BatchNorm) -> Cell:
    """Count a batch, and return its share in the running statistics."""
    share = Cell(float(layer.momentum or 0))
    if layer.num_batches_tracked is not None:
        count = layer.num_batches_tracked.reshape(1)
        b.emit("count", count)
        if layer.momentum is None:
            b.emit("inverse", count, share.array)
    return share


@lowers(nn.LayerNorm)
def layer_norm(b: Lowering, layer: nn.LayerNorm, x: Memory) -> tuple[Memory, Pull]:
    """y = γ x̂ + β over the rows, which the threads share."""
    D, dtype = math.prod(layer.normalized_shape), x.dtype
    rows = x.reshape(-1, D)
    M = rows.shape[0]
    gamma, beta = affine_of(layer.weight, layer.bias, D, dtype)
    mean, inv_std, y = b.buffer((M,), dtype, "mean"), b.buffer((M,), dtype, "inv_std"), b.like(rows, "y")
    b.emit("layer_norm_forward", cut(rows), gamma, beta, layer.eps, cut(mean), cut(inv_std), cut(y))

    def pull(dy: Memory, wants_dx: bool) -> Memory:
        dy_rows, dx = dy.reshape(M, D), b.like(rows, "dx")
        if wants_dx:
            saved = cut(rows), cut(mean), cut(inv_std)
            b.emit("layer_norm_backward", cut(dy_rows), gamma, *saved, cut(dx))
        if b.wants(layer.weight) or b.wants(layer.bias):
            with b.gradient(layer.weight, (D,), dtype) as dgamma, b.gradient(layer.bias, (D,), dtype) as dbeta:
                parts = dy_rows, rows, mean, inv_std, dgamma, dbeta
                b.emit("layer_norm_backward_parameters", *parts, over=D, work=2 * rows.size)
        return dx.reshape(*x.shape)

    return y.reshape(*x.shape), pull


def affine_of(weight: Parameter | None, bias: Parameter | None, size: int, dtype: Any) -> tuple[Array, Array]:
    """Return γ and β as vectors: ones and zeros where the layer has none."""
    gamma = np.ones(size, dtype) if weight is None else weight.data.reshape(-1)
    beta = np.zeros(size, dtype) if bias is None else bias.data.reshape(-1)
    return gamma, beta


@lowers(nn.GroupNorm, nn.InstanceNorm2d, images=True)
def group_norm(b: Lowering, layer: nn.GroupNorm | nn.InstanceNorm2d, x: Value) -> tuple[Value, Pull]:
    """y = γ x̂ + β over groups of channels, or each channel as a group."""
    pixels, dtype = b.pixels(x, len(x.shape) - 2 if isinstance(layer, nn.GroupNorm) else 2), x.dtype
    S, N, C = pixels.shape
    groups = layer.num_groups if isinstance(layer, nn.GroupNorm) else C
    if isinstance(layer, nn.InstanceNorm2d) and layer.fixed is not None:
        return batch_norm(b, layer, x)
    if groups == N * S * C or (isinstance(layer, nn.InstanceNorm2d) and S == 1):
        raise LayerError(layer, f"want more than 1 value in each group, got {x.shape}").seen_from(b.model)
    gamma, beta = affine_of(layer.weight, layer.bias, C, dtype)
    mean, var, inv_std = (b.buffer((N, groups), dtype, name) for name in ("mean", "var", "inv_std"))
    b.emit("group_norm_statistics", pixels, layer.eps, mean, var, inv_std, over=N, grain=1, work=2 * pixels.size)
    if isinstance(layer, nn.InstanceNorm2d) and (tracked := layer.tracked) is not None:
        average, share = _averages(b, layer, mean, var), Cell(float(layer.momentum or 0))
        b.once_finite.append(lambda: b.emit("batch_norm_track", *average, share, S / (S - 1), *map(cut, tracked)))
    y = b.like(pixels, "y")
    b.emit("group_norm_forward", cut(pixels), gamma, beta, mean, inv_std, cut(y))

    def pull(dy: Value, wants_dx: bool) -> Value:
        cotangent, dx = b.laid_out_as(dy, Image(pixels, x.shape)), b.like(pixels, "dx")
        saved = pixels, mean, inv_std
        if wants_dx:
            b.emit("group_norm_backward", cotangent, gamma, *saved, dx, over=N, grain=1, work=3 * dx.size)
        if b.wants(layer.weight) or b.wants(layer.bias):
            with b.gradient(layer.weight, (C,), dtype) as dgamma, b.gradient(layer.bias, (C,), dtype) as dbeta:
                b.emit("group_norm_backward_parameters", cotangent, *saved, dgamma, dbeta)
        return Image(dx, x.shape)

    return Image(y, x.shape), pull


def _averages(b: Lowering, layer: nn.InstanceNorm2d, mean: Memory, var: Memory) -> list[Cut]:
    """Emit the means of the images' statistics."""
    averages = []
    for values in (mean, var):
        average, *unused = (b.buffer(mean.shape[1:], mean.dtype, name) for name in ("average", "unused", "unused"))
        b.emit("batch_norm_statistics", values, layer.eps, average, *unused, over=mean.shape[1])
        averages.append(cut(average))
    return averages

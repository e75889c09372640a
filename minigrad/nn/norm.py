"""Normalisation: over the batch (BatchNorm1d, BatchNorm2d) or over the features of each sample (LayerNorm)."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from minigrad import kernels
from minigrad.nn.errors import LayerError
from minigrad.nn.module import Module
from minigrad.nn.parameter import Array, Parameter
from minigrad.nn.rows import from_rows, to_rows


class ChannelNorm(Module):
    """A normalisation of channels: γ and β, and running statistics, each of which a layer has or has as None.

    Arguments:
        num_features: channels C.
        eps: added to the variance.
        momentum: share of the new batch in the running statistics.
        affine: whether there are γ and β.
        track_running_stats: whether there are running statistics.
        bias: whether there is β.
    """

    num_features: int
    eps: float
    momentum: float | None
    affine: bool
    track_running_stats: bool
    weight: Parameter | Any
    bias: Parameter | Any

    optional_state: ClassVar[tuple[str, ...]] = ("num_batches_tracked",)  # PyTorch's since 0.4.1

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        *,
        bias: bool,
    ) -> None:
        super().__init__()
        if num_features < 1:
            raise ValueError(f"{type(self).__name__}: want num_features of at least 1, got {num_features}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(np.ones(num_features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_features, np.float32)) if affine and bias else None
        self.running_mean: Array | Any = None
        self.running_var: Array | Any = None
        self.num_batches_tracked: Array | Any = None
        if track_running_stats:
            self.running_mean = np.zeros(num_features, np.float32)
            self.running_var = np.ones(num_features, np.float32)
            self.num_batches_tracked = np.zeros((), np.int64)

    @property
    def running(self) -> tuple[Array, Array] | None:
        """The running mean and variance, or None where one of them is None."""
        mean, var = self.running_mean, self.running_var
        return None if mean is None or var is None else (mean, var)

    @property
    def fixed(self) -> tuple[Array, Array] | None:
        """The running statistics where x is normalised by them, None where that is by its own."""
        return None if self.is_learning else self.running

    @property
    def tracked(self) -> tuple[Array, Array] | None:
        """The running statistics where x, normalised by its own, moves them; None where not."""
        return self.running if self.track_running_stats else None

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(ChannelNorm):
    """What the two have in common: y = γ x̂ + β over the vectors along axis 1, wherever in the batch they lie.

    A class says which numbers of axes its input may have, and what follows the channels.
    """

    axes: ClassVar[dict[int, str]]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
    ) -> None:
        if eps <= 0:
            raise ValueError(f"{type(self).__name__}: want eps > 0, got {eps}")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias)

    def _forward(self, x: Array) -> tuple[Array, Any]:
        C = self.num_features
        want = " or ".join(f"(N, {C}{axes})" for axes in self.axes.values())
        x = self._input(x, want, x.ndim in self.axes and x.shape[1] == C)
        self._want_shape((C,), "weight", "bias", "running_mean", "running_var")
        rows, fixed = to_rows(x, 1), self.fixed
        if fixed is None:
            mean, inv_std = self._batch_statistics(rows)
        else:
            mean, inv_std = fixed[0].copy(), np.empty(C, x.dtype)
            kernels.batch_norm_inv_std(fixed[1], self.eps, inv_std)
        gamma, beta = affine(self.weight, self.bias, C, x.dtype)
        y = np.empty_like(rows)
        kernels.batch_norm_forward(rows, gamma, beta, mean, inv_std, 0, C, y)
        return from_rows(y, x.shape, 1), (rows, mean, inv_std, fixed is None)

    def _batch_statistics(self, rows: Array) -> tuple[Array, Array]:
        M, C = rows.shape
        if M == 1:
            raise LayerError(self, f"want more than 1 value for each channel in training, got {rows.shape}")
        mean, var, inv_std = np.empty((3, C), rows.dtype)
        kernels.batch_norm_statistics(rows, self.eps, 0, C, mean, var, inv_std)
        if (tracked := self.tracked) is not None:
            kernels.batch_norm_track(mean, var, self._count(), M / (M - 1), *tracked)
        return mean, inv_std

    def _count(self) -> float:
        """Count a batch, and return its share in the running statistics."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            if self.momentum is None:
                return 1 / int(self.num_batches_tracked)
        return self.momentum or 0.0

    def _backward(self, saved: Any, dy: Array) -> Array:
        rows, mean, inv_std, uses_batch = saved
        gamma, _ = affine(self.weight, self.bias, self.num_features, dy.dtype)
        dy_rows = to_rows(dy, 1)
        dx, dgamma, dbeta = np.empty_like(rows), np.empty_like(gamma), np.empty_like(gamma)
        C = self.num_features
        kernels.batch_norm_backward(dy_rows, gamma, rows, mean, inv_std, uses_batch, 0, C, dgamma, dbeta, dx)
        add_affine_gradients(self.weight, self.bias, dgamma, dbeta)
        return from_rows(dx, dy.shape, 1)


class BatchNorm1d(_BatchNorm):
    r"""y = γ x̂ + β with x̂ = (x - μ_c) / √(σ²_c + eps), channel by channel (axis 1).

    In training μ and σ² are the mean and the biased variance of the batch (and the length); the running statistics
    move towards them, running += momentum (batch - running), with the unbiased variance. In evaluation the running
    statistics are used. Where γ and β are frozen (`requires_grad_(False)`) it is as in evaluation, also in training.

    Arguments:
        num_features: channels C.
        eps: added to the variance.
        momentum: share of the new batch in the running statistics; None for their plain average.
        affine: whether there are γ and β.
        track_running_stats: whether there are running statistics; without them evaluation uses the batch's too.
        bias: whether there is β.

    Shape:
        x: (N, C) or (N, C, L), y: the same. In training more than one value for each channel.

    Parameters:
        weight: γ (C,), ones. bias: β (C,), zeros.

    Buffers:
        running_mean: (C,), zeros. running_var: (C,), ones. num_batches_tracked: int64.

    Backward: let M be the number of values in a channel, g = γ dy. All M outputs depend on x through μ and σ²:
        ∂x̂_i/∂x_j = (δ_ij - 1/M - x̂_i x̂_j / M) / √(σ² + eps), so
        dx = (g - mean(g) - x̂ mean(g x̂)) / √(σ² + eps),  dγ = Σ dy x̂,  dβ = Σ dy.
        With running statistics μ and σ² are constants: dx = g / √(σ² + eps).

    Saved: x, μ, 1/√(σ² + eps), whether they are the batch's.

    >>> BatchNorm1d(3)(np.array([[1.0, 2, 3], [3, 2, 1]], np.float32)).round(3).tolist()
    [[-1.0, 0.0, 1.0], [1.0, 0.0, -1.0]]
    """

    axes: ClassVar[dict[int, str]] = {2: "", 3: ", L"}


class BatchNorm2d(_BatchNorm):
    r"""y = γ x̂ + β with x̂ = (x - μ_c) / √(σ²_c + eps), channel by channel, over all images and pixels.

    As BatchNorm1d, and with its arguments, for images.

    Shape:
        x: (N, C, H, W), y: the same. In training more than one value for each channel.

    Parameters:
        weight: γ (C,), ones. bias: β (C,), zeros.

    Buffers:
        running_mean: (C,), zeros. running_var: (C,), ones. num_batches_tracked: int64.

    Backward: BatchNorm1d's: with M = N H W values in a channel and g = γ dy,
        dx = (g - mean(g) - x̂ mean(g x̂)) / √(σ² + eps),  dγ = Σ dy x̂,  dβ = Σ dy.
        With running statistics μ and σ² are constants: dx = g / √(σ² + eps).

    Saved: x, its channels last, μ, 1/√(σ² + eps), whether they are the batch's.

    >>> BatchNorm2d(1)(np.array([[[[1.0, 3.0]]], [[[3.0, 1.0]]]], np.float32)).round(3).tolist()
    [[[[-1.0, 1.0]]], [[[1.0, -1.0]]]]
    """

    axes: ClassVar[dict[int, str]] = {4: ", H, W"}


class LayerNorm(Module):
    r"""y = γ x̂ + β with x̂ = (x - μ) / √(σ² + eps), over the last axes of each sample.

    Arguments:
        normalized_shape: the shape of the last axes, or the size of the last one.
        eps: added to the (biased) variance.
        elementwise_affine: whether there are γ and β.
        bias: whether there is β.

    Shape:
        x: (*, normalized_shape), y: the same.

    Parameters:
        weight: γ, ones; bias: β, zeros; both of normalized_shape.

    Backward: as in BatchNorm1d, the roles of batch and features exchanged. With D values in a row and g = γ dy,
        dx = (g - mean(g) - x̂ mean(g x̂)) / √(σ² + eps) over each row; dγ = Σ_rows dy x̂, dβ = Σ_rows dy.

    Saved: x, μ and 1/√(σ² + eps) of each row.

    >>> LayerNorm(2)(np.array([[1.0, 3.0]], np.float32)).round(3).tolist()
    [[-1.0, 1.0]]
    """

    normalized_shape: tuple[int, ...]
    eps: float
    elementwise_affine: bool
    weight: Parameter | Any
    bias: Parameter | Any

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.weight = Parameter(np.ones(shape, np.float32)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(shape, np.float32)) if elementwise_affine and bias else None

    def _forward(self, x: Array) -> tuple[Array, Any]:
        shape = self.normalized_shape
        x = self._input(x, f"(*, {', '.join(map(str, shape))})", x.shape[-len(shape) :] == shape)
        self._want_shape(shape, "weight", "bias")
        rows = x.reshape(-1, math.prod(shape))
        gamma, beta = affine(self.weight, self.bias, rows.shape[1], x.dtype)
        mean, inv_std = np.empty(len(rows), x.dtype), np.empty(len(rows), x.dtype)
        y = np.empty_like(rows)
        kernels.layer_norm_forward(rows, gamma, beta, self.eps, mean, inv_std, y)
        return y.reshape(x.shape), (rows, mean, inv_std)

    def _backward(self, saved: Any, dy: Array) -> Array:
        rows, mean, inv_std = saved
        gamma, _ = affine(self.weight, self.bias, rows.shape[1], dy.dtype)
        dx: Array = np.empty_like(rows)
        dgamma, dbeta = np.empty_like(gamma), np.empty_like(gamma)
        dy_rows, D = dy.reshape(rows.shape), rows.shape[1]
        kernels.layer_norm_backward(dy_rows, gamma, rows, mean, inv_std, dx)
        kernels.layer_norm_backward_parameters(dy_rows, rows, mean, inv_std, 0, D, dgamma, dbeta)
        add_affine_gradients(self.weight, self.bias, dgamma, dbeta)
        return dx.reshape(dy.shape)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


def affine(weight: Parameter | None, bias: Parameter | None, size: int, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Return γ and β as vectors: ones and zeros where the layer has none."""
    gamma = np.ones(size, dtype) if weight is None else weight.data.reshape(-1)
    beta = np.zeros(size, dtype) if bias is None else bias.data.reshape(-1)
    return gamma, beta


def add_affine_gradients(weight: Parameter | None, bias: Parameter | None, dgamma: Array, dbeta: Array) -> None:
    """Add the gradients of γ and β, vectors, where the layer has those and they are trained."""
    if weight is not None and weight.requires_grad:
        weight.grad += dgamma.reshape(weight.shape)
    if bias is not None and bias.requires_grad:
        bias.grad += dbeta.reshape(bias.shape)

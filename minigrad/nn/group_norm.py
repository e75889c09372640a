"""Normalisation of each image by itself: by groups of channels (GroupNorm), or channel by channel (InstanceNorm2d)."""

from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.nn.errors import LayerError
from minigrad.nn.image import ImageLayer, from_pixels, to_pixels
from minigrad.nn.module import Module
from minigrad.nn.norm import ChannelNorm, add_affine_gradients, affine
from minigrad.nn.parameter import Array, Parameter


class GroupNorm(Module):
    r"""y = γ_c x̂ + β_c with x̂ = (x - μ) / √(σ² + eps), over each group of channels of each sample.

    Arguments:
        num_groups: G, into which the channels are divided.
        num_channels: C, which G divides.
        eps: added to the (biased) variance.
        affine: whether there are γ and β.
        bias: whether there is β.

    Shape:
        x: (N, C, *), y: the same. More than one value in a group.

    Parameters:
        weight: γ (C,), ones. bias: β (C,), zeros.

    Backward: as in LayerNorm, a group being what a row is there: with g = γ_c dy,
        dx = (g - mean(g) - x̂ mean(g x̂)) / √(σ² + eps) over each group of each sample; dγ_c = Σ dy x̂, dβ_c = Σ dy.

    Saved: x, its channels last, μ and 1/√(σ² + eps) of each group.

    >>> GroupNorm(1, 2)(np.array([[[1.0], [3.0]]], np.float32)).round(3).tolist()
    [[[-1.0], [1.0]]]
    """

    num_groups: int
    num_channels: int
    eps: float
    affine: bool
    weight: Parameter | Any
    bias: Parameter | Any

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: want groups that divide the channels, got {num_groups} and {num_channels}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.weight = Parameter(np.ones(num_channels, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, np.float32)) if affine and bias else None

    def _forward(self, x: Array) -> tuple[Array, Any]:
        C = self.num_channels
        x = self._input(x, f"(N, {C}, *)", x.ndim >= 2 and x.shape[1] == C)
        self._want_shape((C,), "weight", "bias")
        if C % self.num_groups:
            raise LayerError(self, f"want groups that divide the channels, got {self.num_groups} and {C}")
        if x.size == self.num_groups:
            raise LayerError(self, f"want more than 1 value in each group, got {x.shape}")
        pixels = to_pixels(x.reshape(len(x), C, -1), 1)
        mean, var, inv_std = np.empty((3, len(x), self.num_groups), x.dtype)
        kernels.group_norm_statistics(pixels, self.eps, 0, len(x), mean, var, inv_std)
        y = np.empty_like(pixels)
        kernels.group_norm_forward(pixels, *affine(self.weight, self.bias, C, x.dtype), mean, inv_std, y)
        return from_pixels(y, (len(y),), (len(x), C, 1)).reshape(x.shape), (pixels, mean, inv_std)

    def _backward(self, saved: Any, dy: Array) -> Array:
        pixels, mean, inv_std = saved
        C = self.num_channels
        cotangent = to_pixels(dy.reshape(len(dy), C, -1), 1)
        gamma, _ = affine(self.weight, self.bias, C, dy.dtype)
        dx, dgamma, dbeta = np.empty_like(pixels), np.empty_like(gamma), np.empty_like(gamma)
        kernels.group_norm_backward(cotangent, gamma, pixels, mean, inv_std, 0, len(dy), dx)
        kernels.group_norm_backward_parameters(cotangent, pixels, mean, inv_std, dgamma, dbeta)
        add_affine_gradients(self.weight, self.bias, dgamma, dbeta)
        return from_pixels(dx, (len(dx),), (len(dy), C, 1)).reshape(dy.shape)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class InstanceNorm2d(ChannelNorm, ImageLayer):
    r"""y = γ_c x̂ + β_c with x̂ = (x - μ_nc) / √(σ²_nc + eps), over the pixels of each channel of each image.

    With running statistics those move in training, running += momentum (batch - running), towards the means over the
    batch of μ and of the unbiased variance, and are used in evaluation, or where γ and β are frozen.

    Arguments:
        num_features: channels C.
        eps: added to the (biased) variance.
        momentum: share of the new batch in the running statistics; None for 0.
        affine: whether there are γ and β.
        track_running_stats: whether there are running statistics.
        bias: whether there is β.

    Shape:
        x: (N, C, H, W) or (C, H, W), y: the same. More than one pixel, unless running statistics are used.

    Parameters:
        weight: γ (C,), ones. bias: β (C,), zeros.

    Buffers:
        running_mean: (C,), zeros. running_var: (C,), ones. num_batches_tracked: int64, 0, as in PyTorch.

    Backward: GroupNorm's, each channel a group of its own: with g = γ_c dy,
        dx = (g - mean(g) - x̂ mean(g x̂)) / √(σ² + eps) over the pixels; dγ_c = Σ dy x̂, dβ_c = Σ dy.
        With running statistics μ and σ² are constants: dx = g / √(σ² + eps).

    Saved: x, its channels last, μ and 1/√(σ² + eps).

    >>> InstanceNorm2d(1)(np.array([[[1.0, 3.0]]], np.float32)).round(3).tolist()
    [[[-1.0, 1.0]]]
    """

    rank = 2

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias)

    @property
    def fixed(self) -> tuple[Array, Array] | None:
        """The running statistics where x is normalised by them: only while they are tracked, unlike BatchNorm's."""
        return super().fixed if self.track_running_stats else None

    def _forward(self, x: Array) -> tuple[Array, Any]:
        C = self.num_features
        x = self._image(x, C)
        self._want_shape((C,), "weight", "bias", "running_mean", "running_var")
        pixels = to_pixels(x, self.rank)
        y = np.empty_like(pixels)
        gamma, beta = affine(self.weight, self.bias, C, x.dtype)
        if (fixed := self.fixed) is not None:
            mean, inv_std = fixed[0].copy(), np.empty(C, x.dtype)
            kernels.batch_norm_inv_std(fixed[1], self.eps, inv_std)
            kernels.batch_norm_forward(pixels.reshape(-1, C), gamma, beta, mean, inv_std, 0, C, y.reshape(-1, C))
        else:
            mean, inv_std = self._statistics(pixels)
            kernels.group_norm_forward(pixels, gamma, beta, mean, inv_std, y)
        return from_pixels(y, x.shape[-2:], x.shape), (pixels, mean, inv_std, x.shape)

    def _statistics(self, pixels: Array) -> tuple[Array, Array]:
        S, N, C = pixels.shape
        if S == 1:
            raise LayerError(self, "want more than 1 pixel, got 1 x 1")
        mean, var, inv_std = np.empty((3, N, C), pixels.dtype)
        kernels.group_norm_statistics(pixels, self.eps, 0, N, mean, var, inv_std)
        if (tracked := self.tracked) is not None:
            average, unused = np.empty((2, C), pixels.dtype), np.empty((2, C), pixels.dtype)
            for values, to in zip((mean, var), average, strict=True):
                kernels.batch_norm_statistics(values, self.eps, 0, C, to, *unused)
            kernels.batch_norm_track(*average, self.momentum or 0.0, S / (S - 1), *tracked)
        return mean, inv_std

    def _backward(self, saved: Any, dy: Array) -> Array:
        pixels, mean, inv_std, shape = saved
        C = self.num_features
        cotangent = to_pixels(dy, self.rank)
        gamma, _ = affine(self.weight, self.bias, C, dy.dtype)
        dx, dgamma, dbeta = np.empty_like(pixels), np.empty_like(gamma), np.empty_like(gamma)
        if mean.ndim == 1:
            dy_rows, rows, dx_rows = (part.reshape(-1, C) for part in (cotangent, pixels, dx))
            kernels.batch_norm_backward(dy_rows, gamma, rows, mean, inv_std, False, 0, C, dgamma, dbeta, dx_rows)
        else:
            kernels.group_norm_backward(cotangent, gamma, pixels, mean, inv_std, 0, len(mean), dx)
            kernels.group_norm_backward_parameters(cotangent, pixels, mean, inv_std, dgamma, dbeta)
        add_affine_gradients(self.weight, self.bias, dgamma, dbeta)
        return from_pixels(dx, shape[-2:], shape)

"""Normalisation of the channels of images over the batch, pixel by pixel, with the ReLU behind it: BatchNorm2d.

Images lie pixel by pixel: (P, N, C). What is summed over the batch is summed over each pixel's images first, so
that the pixels can be shared among threads; in float64.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def channel_moments(x: Array, moments: Array) -> None:
    """The mean of each channel over the images of a pixel, and its sum of squared distances: moments (P, 2, C)."""
    wide = x.astype(np.float64)
    moments[:, 0] = wide.mean(axis=1)
    moments[:, 1] = ((wide - wide.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)


def channel_statistics(moments: Array, images: int, eps: float, mean: Array, var: Array, inv_std: Array) -> None:
    """Mean, biased variance and 1 / sqrt(variance + eps) of each channel, from the moments of its pixels."""
    center = moments[:, 0].mean(axis=0)
    spread = (moments[:, 1] + images * (moments[:, 0] - center) ** 2).sum(axis=0) / (len(moments) * images)
    mean[...], var[...], inv_std[...] = center, spread, 1 / np.sqrt(spread + eps)


def _output(x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array) -> Array:
    y: Array = (x - mean) * (inv_std * gamma) + beta
    return y


def channel_norm_forward(
    x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, relu: bool, y: Array
) -> None:
    """y = gamma (x - mean) inv_std + beta, or 0 where that is negative and `relu`; x and y (P, N, C)."""
    y[...] = _output(x, gamma, beta, mean, inv_std)
    if relu:
        y[y <= 0] = 0


def channel_norm_add_relu(
    x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, other: Array, y: Array
) -> None:
    """y = max(gamma (x - mean) inv_std + beta + other, 0), NaN stays; x, other and y (P, N, C)."""
    y[...] = _output(x, gamma, beta, mean, inv_std) + other
    y[y <= 0] = 0


def channel_norm_sums(
    dy: Array, gamma: Array, beta: Array, x: Array, mean: Array, inv_std: Array, relu: bool, sums: Array
) -> None:
    """The sums of g and g (x - mean) over the images of a pixel: sums (P, 2, C).

    g = dy, with `relu` 0 where the output is: that is computed anew, which costs less than to read it.
    """
    g = np.where(_output(x, gamma, beta, mean, inv_std) <= 0, 0, dy) if relu else dy
    g = g.astype(np.float64)
    sums[:, 0], sums[:, 1] = g.sum(axis=1), (g * (x.astype(np.float64) - mean)).sum(axis=1)


def channel_norm_backward_parameters(sums: Array, inv_std: Array, dgamma: Array, dbeta: Array) -> None:
    """With x_hat = (x - mean) inv_std: dgamma = sum(g x_hat), dbeta = sum(g)."""
    dbeta[...], dgamma[...] = sums[:, 0].sum(axis=0), sums[:, 1].sum(axis=0) * inv_std


def channel_norm_backward(
    dy: Array,
    dgamma: Array,
    dbeta: Array,
    gamma: Array,
    beta: Array,
    x: Array,
    mean: Array,
    inv_std: Array,
    relu: bool,
    share: float,
    dx: Array,
) -> None:
    """Dx = (g - share (dbeta + x_hat dgamma)) gamma inv_std, share being 1 / the number of values in a channel.

    0 where the statistics are constants; g as in `channel_norm_sums`, x_hat = (x - mean) inv_std.
    """
    share = x.dtype.type(share)
    g = np.where(_output(x, gamma, beta, mean, inv_std) <= 0, x.dtype.type(0), dy) if relu else dy
    dx[...] = (g - share * dbeta - (x - mean) * (share * dgamma * inv_std)) * (gamma * inv_std)

"""Normalisation: of a matrix its columns over the rows (BatchNorm) or its rows over the columns (LayerNorm), of
images their groups of channels (GroupNorm).

Statistics and sums over the batch are accumulated in float64.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def batch_norm_statistics(x: Array, eps: float, first: int, last: int, mean: Array, var: Array, inv_std: Array) -> None:
    """Mean, biased variance and 1 / sqrt(variance + eps) of these columns of x (M, C)."""
    wide = x[:, first:last].astype(np.float64)
    mean[first:last] = wide.mean(axis=0)
    var[first:last] = wide.var(axis=0)
    inv_std[first:last] = 1 / np.sqrt(wide.var(axis=0) + eps)


def batch_norm_track(
    mean: Array, var: Array, share: float, unbias: float, running_mean: Array, running_var: Array
) -> None:
    """Move the running statistics by `share` towards mean and unbias * var."""
    running_mean += running_mean.dtype.type(share) * (mean - running_mean)
    running_var += running_var.dtype.type(share) * (running_var.dtype.type(unbias) * var - running_var)


def batch_norm_inv_std(var: Array, eps: float, inv_std: Array) -> None:
    """1 / sqrt(variance + eps)."""
    inv_std[...] = 1 / np.sqrt(var + var.dtype.type(eps))


def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, first: int, last: int, y: Array
) -> None:
    """y = gamma (x - mean) inv_std + beta in these columns; x and y are (M, C)."""
    c = slice(first, last)
    y[:, c] = (x[:, c] - mean[c]) * (inv_std[c] * gamma[c]) + beta[c]


def batch_norm_backward(
    dy: Array,
    gamma: Array,
    x: Array,
    mean: Array,
    inv_std: Array,
    uses_batch: bool,
    first: int,
    last: int,
    dgamma: Array,
    dbeta: Array,
    dx: Array,
) -> None:
    """With x_hat = (x - mean) inv_std: dgamma = sum(dy x_hat), dbeta = sum(dy), and for g = gamma dy
    dx = (g - mean(g) - x_hat mean(g x_hat)) inv_std, without the two means where the statistics are constants.
    """
    c = slice(first, last)
    x_hat, dy = (x[:, c] - mean[c]) * inv_std[c], dy[:, c]
    dgamma[c] = (dy * x_hat).sum(axis=0, dtype=np.float64)
    dbeta[c] = dy.sum(axis=0, dtype=np.float64)
    g = dy - (dbeta[c] + x_hat * dgamma[c]) / x.dtype.type(len(x)) if uses_batch else dy
    dx[:, c] = g * (gamma[c] * inv_std[c])


def layer_norm_forward(x: Array, gamma: Array, beta: Array, eps: float, mean: Array, inv_std: Array, y: Array) -> None:
    """y = gamma (x - mean) inv_std + beta with the statistics of each row; x and y are (M, D)."""
    wide = x.astype(np.float64)
    mean[...] = wide.mean(axis=1)
    inv_std[...] = 1 / np.sqrt(wide.var(axis=1) + eps)
    y[...] = (x - mean[:, None]) * inv_std[:, None] * gamma + beta


def layer_norm_backward(dy: Array, gamma: Array, x: Array, mean: Array, inv_std: Array, dx: Array) -> None:
    """With x_hat = (x - mean) inv_std, g = gamma dy: dx = (g - mean(g) - x_hat mean(g x_hat)) inv_std, row by row."""
    x_hat = (x - mean[:, None]) * inv_std[:, None]
    g = (gamma * dy).astype(np.float64)
    slope = (g * x_hat).mean(axis=1, keepdims=True)
    dx[...] = (g - g.mean(axis=1, keepdims=True) - x_hat * slope) * inv_std[:, None]


def layer_norm_backward_parameters(
    dy: Array, x: Array, mean: Array, inv_std: Array, first: int, last: int, dgamma: Array, dbeta: Array
) -> None:
    """dgamma = sum(dy x_hat), dbeta = sum(dy) over the rows, in these columns."""
    c = slice(first, last)
    x_hat = (x[:, c] - mean[:, None]) * inv_std[:, None]
    dgamma[c] = (dy[:, c] * x_hat).sum(axis=0, dtype=np.float64)
    dbeta[c] = dy[:, c].sum(axis=0, dtype=np.float64)


def _by_group(x: Array, groups: int) -> Array:
    """Return images (S, N, C) as (S, N, G, C / G)."""
    return x.reshape(*x.shape[:2], groups, -1)


def _group_norm_x_hat(x: Array, mean: Array, inv_std: Array) -> Array:
    return ((_by_group(x, mean.shape[1]) - mean[..., None]) * inv_std[..., None]).reshape(x.shape)


def group_norm_statistics(x: Array, eps: float, first: int, last: int, mean: Array, var: Array, inv_std: Array) -> None:
    """Mean, biased variance and 1 / sqrt(variance + eps), (N, G), of each of G groups of channels of x (S, N, C).

    That for the images [first, last).
    """
    n = slice(first, last)
    wide = _by_group(x[:, n], mean.shape[1]).astype(np.float64)
    mean[n] = wide.mean(axis=(0, 3))
    var[n] = wide.var(axis=(0, 3))
    inv_std[n] = 1 / np.sqrt(wide.var(axis=(0, 3)) + eps)


def group_norm_forward(x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, y: Array) -> None:
    """y = gamma (x - mean) inv_std + beta; x and y (S, N, C), gamma and beta (C,), the statistics (N, G)."""
    y[...] = _group_norm_x_hat(x, mean, inv_std) * gamma + beta


def group_norm_backward(
    dy: Array, gamma: Array, x: Array, mean: Array, inv_std: Array, first: int, last: int, dx: Array
) -> None:
    """With x_hat = (x - mean) inv_std, g = gamma dy: dx = (g - mean(g) - x_hat mean(g x_hat)) inv_std, by groups.

    That for the images [first, last).
    """
    n, groups = slice(first, last), mean.shape[1]
    x_hat, g = (_by_group(part[:, n], groups) for part in (_group_norm_x_hat(x, mean, inv_std), gamma * dy))
    g = g.astype(np.float64)
    slope = (g * x_hat).mean(axis=(0, 3), keepdims=True)
    values = (g - g.mean(axis=(0, 3), keepdims=True) - x_hat * slope) * inv_std[n, :, None]
    dx[:, n] = values.reshape(dx[:, n].shape)


def group_norm_backward_parameters(
    dy: Array, x: Array, mean: Array, inv_std: Array, dgamma: Array, dbeta: Array
) -> None:
    """dgamma = sum(dy x_hat), dbeta = sum(dy) over images and pixels."""
    dgamma[...] = (dy * _group_norm_x_hat(x, mean, inv_std)).sum(axis=(0, 1), dtype=np.float64)
    dbeta[...] = dy.sum(axis=(0, 1), dtype=np.float64)

"""Normalisation of a matrix: its columns over the rows (BatchNorm) or its rows over the columns (LayerNorm).

Statistics and sums over the batch are accumulated in float64.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def batch_norm_statistics(x: Array, eps: float, mean: Array, var: Array, inv_std: Array) -> None:
    """Mean, biased variance and 1 / sqrt(variance + eps) of each column of x (M, C)."""
    wide = x.astype(np.float64)
    mean[...] = wide.mean(axis=0)
    var[...] = wide.var(axis=0)
    inv_std[...] = 1 / np.sqrt(wide.var(axis=0) + eps)


def batch_norm_track(
    mean: Array, var: Array, share: float, unbias: float, running_mean: Array, running_var: Array
) -> None:
    """Move the running statistics by `share` towards mean and unbias * var."""
    running_mean += running_mean.dtype.type(share) * (mean - running_mean)
    running_var += running_var.dtype.type(share) * (running_var.dtype.type(unbias) * var - running_var)


def batch_norm_forward(x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, y: Array) -> None:
    """y = gamma (x - mean) inv_std + beta; x and y are (M, C)."""
    y[...] = (x - mean) * (inv_std * gamma) + beta


def batch_norm_backward(
    dy: Array,
    gamma: Array,
    x: Array,
    mean: Array,
    inv_std: Array,
    uses_batch: bool,
    dgamma: Array,
    dbeta: Array,
    dx: Array,
) -> None:
    """With x_hat = (x - mean) inv_std: dgamma = sum(dy x_hat), dbeta = sum(dy), and for g = gamma dy
    dx = (g - mean(g) - x_hat mean(g x_hat)) inv_std, without the two means where the statistics are constants.
    """
    x_hat = (x - mean) * inv_std
    dgamma[...] = (dy * x_hat).sum(axis=0, dtype=np.float64)
    dbeta[...] = dy.sum(axis=0, dtype=np.float64)
    g = dy - (dbeta + x_hat * dgamma) / x.dtype.type(len(x)) if uses_batch else dy
    dx[...] = g * (gamma * inv_std)


def layer_norm_forward(x: Array, gamma: Array, beta: Array, eps: float, mean: Array, inv_std: Array, y: Array) -> None:
    """y = gamma (x - mean) inv_std + beta with the statistics of each row; x and y are (M, D)."""
    wide = x.astype(np.float64)
    mean[...] = wide.mean(axis=1)
    inv_std[...] = 1 / np.sqrt(wide.var(axis=1) + eps)
    y[...] = (x - mean[:, None]) * inv_std[:, None] * gamma + beta


def layer_norm_backward(
    dy: Array, gamma: Array, x: Array, mean: Array, inv_std: Array, dgamma: Array, dbeta: Array, dx: Array
) -> None:
    """With x_hat = (x - mean) inv_std: dgamma = sum(dy x_hat), dbeta = sum(dy) over the rows, and for g = gamma dy
    dx = (g - mean(g) - x_hat mean(g x_hat)) inv_std over each row.
    """
    x_hat = (x - mean[:, None]) * inv_std[:, None]
    dgamma[...] = (dy * x_hat).sum(axis=0, dtype=np.float64)
    dbeta[...] = dy.sum(axis=0, dtype=np.float64)
    g = (gamma * dy).astype(np.float64)
    slope = (g * x_hat).mean(axis=1, keepdims=True)
    dx[...] = (g - g.mean(axis=1, keepdims=True) - x_hat * slope) * inv_std[:, None]

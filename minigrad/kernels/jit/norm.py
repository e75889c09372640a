"""Normalisation of a matrix: its columns over the rows (BatchNorm) or its rows over the columns (LayerNorm).

Statistics and sums over the batch are accumulated in float64.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit

Array = npt.NDArray[Any]


@jit()
def batch_norm_statistics(x: Array, eps: float, mean: Array, var: Array, inv_std: Array) -> None:
    """Mean, biased variance and 1 / sqrt(variance + eps) of each column of x (M, C)."""
    M, C = x.shape
    total, squares = np.zeros(C), np.zeros(C)
    for m in range(M):
        for c in range(C):
            total[c] += x[m, c]
    total /= M
    for m in range(M):
        for c in range(C):
            squares[c] += (x[m, c] - total[c]) ** 2
    for c in range(C):
        mean[c] = total[c]
        var[c] = squares[c] / M
        inv_std[c] = 1 / math.sqrt(squares[c] / M + eps)


@jit()
def batch_norm_track(
    mean: Array, var: Array, share: float, unbias: float, running_mean: Array, running_var: Array
) -> None:
    """Move the running statistics by `share` towards mean and unbias * var."""
    part, factor = mean.dtype.type(share), mean.dtype.type(unbias)
    for c in range(mean.size):
        running_mean[c] += part * (mean[c] - running_mean[c])
        running_var[c] += part * (factor * var[c] - running_var[c])


@jit()
def batch_norm_forward(x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, y: Array) -> None:
    """y = gamma (x - mean) inv_std + beta; x and y are (M, C)."""
    M, C = x.shape
    scale = gamma * inv_std
    for m in range(M):
        for c in range(C):
            y[m, c] = (x[m, c] - mean[c]) * scale[c] + beta[c]


@jit()
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
    M, C = x.shape
    by_x_hat, plain = np.zeros(C), np.zeros(C)
    for m in range(M):
        for c in range(C):
            by_x_hat[c] += dy[m, c] * ((x[m, c] - mean[c]) * inv_std[c])
            plain[c] += dy[m, c]
    for c in range(C):
        dgamma[c] = by_x_hat[c]
        dbeta[c] = plain[c]
    share = x.dtype.type(1 / M if uses_batch else 0)
    scale, offset, slope = gamma * inv_std, dbeta * share, dgamma * inv_std * share
    for m in range(M):
        for c in range(C):
            dx[m, c] = (dy[m, c] - offset[c] - (x[m, c] - mean[c]) * slope[c]) * scale[c]


@jit()
def layer_norm_forward(x: Array, gamma: Array, beta: Array, eps: float, mean: Array, inv_std: Array, y: Array) -> None:
    """y = gamma (x - mean) inv_std + beta with the statistics of each row; x and y are (M, D)."""
    M, D = x.shape
    for m in range(M):
        total, squares = 0.0, 0.0
        for d in range(D):
            total += x[m, d]
        total /= D
        for d in range(D):
            squares += (x[m, d] - total) ** 2
        mean[m] = total
        inv_std[m] = 1 / math.sqrt(squares / D + eps)
        for d in range(D):
            y[m, d] = (x[m, d] - mean[m]) * inv_std[m] * gamma[d] + beta[d]


@jit()
def layer_norm_backward(
    dy: Array, gamma: Array, x: Array, mean: Array, inv_std: Array, dgamma: Array, dbeta: Array, dx: Array
) -> None:
    """With x_hat = (x - mean) inv_std: dgamma = sum(dy x_hat), dbeta = sum(dy) over the rows, and for g = gamma dy
    dx = (g - mean(g) - x_hat mean(g x_hat)) inv_std over each row.
    """
    M, D = x.shape
    by_x_hat, plain = np.zeros(D), np.zeros(D)
    for m in range(M):
        g_sum, slope_sum = 0.0, 0.0
        for d in range(D):
            x_hat = (x[m, d] - mean[m]) * inv_std[m]
            g = gamma[d] * dy[m, d]
            g_sum += g
            slope_sum += g * x_hat
            by_x_hat[d] += dy[m, d] * x_hat
            plain[d] += dy[m, d]
        offset, slope = x.dtype.type(g_sum / D), x.dtype.type(slope_sum / D)
        for d in range(D):
            x_hat = (x[m, d] - mean[m]) * inv_std[m]
            dx[m, d] = (gamma[d] * dy[m, d] - offset - x_hat * slope) * inv_std[m]
    for d in range(D):
        dgamma[d] = by_x_hat[d]
        dbeta[d] = plain[d]

"""Normalisation: of a matrix its columns over the rows (BatchNorm) or its rows over the columns (LayerNorm), of
images their groups of channels (GroupNorm).

Statistics and sums over the batch are accumulated in float64.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._stack import room
from minigrad.kernels.jit.move import clear

Array = npt.NDArray[Any]

BLOCK = 256  # columns that are summed at a time


@jit()
def batch_norm_statistics(x: Array, eps: float, first: int, last: int, mean: Array, var: Array, inv_std: Array) -> None:
    """Mean, biased variance and 1 / sqrt(variance + eps) of these columns of x (M, C)."""
    M, total, squares = x.shape[0], room(np.float64), room(np.float64)
    for start in range(first, last, BLOCK):
        end = min(start + BLOCK, last)
        clear(total[:BLOCK])
        clear(squares[:BLOCK])
        for m in range(M):
            row = x[m, start:end]
            for j in range(row.size):
                total[j] += row[j]
        for j in range(end - start):
            total[j] /= M
        for m in range(M):
            row = x[m, start:end]
            for j in range(row.size):
                squares[j] += (row[j] - total[j]) ** 2
        for j in range(end - start):
            mean[start + j] = total[j]
            var[start + j] = squares[j] / M
            inv_std[start + j] = 1 / math.sqrt(squares[j] / M + eps)


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
def batch_norm_inv_std(var: Array, eps: float, inv_std: Array) -> None:
    """1 / sqrt(variance + eps)."""
    cast = var.dtype.type
    for c in range(var.size):
        inv_std[c] = cast(1) / np.sqrt(var[c] + cast(eps))


@jit()
def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, first: int, last: int, y: Array
) -> None:
    """y = gamma (x - mean) inv_std + beta in these columns; x and y are (M, C)."""
    cast = x.dtype.type
    center, scale, shift = room(cast), room(cast), room(cast)
    for start in range(first, last, BLOCK):
        end = min(start + BLOCK, last)
        for j in range(end - start):
            c = start + j
            center[j], scale[j], shift[j] = mean[c], gamma[c] * inv_std[c], beta[c]
        for m in range(x.shape[0]):
            row, target = x[m, start:end], y[m, start:end]
            for j in range(row.size):
                target[j] = (row[j] - center[j]) * scale[j] + shift[j]


@jit()
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
    M, cast, by_x, plain = x.shape[0], x.dtype.type, room(np.float64), room(np.float64)
    center, scale, slope, shift = room(cast), room(cast), room(cast), room(cast)
    share = cast(1 / M if uses_batch else 0)
    for start in range(first, last, BLOCK):
        end = min(start + BLOCK, last)
        clear(by_x[:BLOCK])
        clear(plain[:BLOCK])
        for j in range(end - start):
            center[j] = mean[start + j]
        for m in range(M):
            row, cotangent = x[m, start:end], dy[m, start:end]
            for j in range(row.size):
                by_x[j] += cotangent[j] * (row[j] - center[j])
                plain[j] += cotangent[j]
        for j in range(end - start):
            c = start + j
            dgamma[c], dbeta[c] = by_x[j] * inv_std[c], plain[j]
            scale[j], slope[j], shift[j] = gamma[c] * inv_std[c], dgamma[c] * inv_std[c] * share, dbeta[c] * share
        for m in range(M):
            row, cotangent, target = x[m, start:end], dy[m, start:end], dx[m, start:end]
            for j in range(row.size):
                target[j] = (cotangent[j] - shift[j] - (row[j] - center[j]) * slope[j]) * scale[j]


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
def layer_norm_backward(dy: Array, gamma: Array, x: Array, mean: Array, inv_std: Array, dx: Array) -> None:
    """With x_hat = (x - mean) inv_std, g = gamma dy: dx = (g - mean(g) - x_hat mean(g x_hat)) inv_std, row by row."""
    M, D = x.shape
    for m in range(M):
        g_sum, slope_sum = 0.0, 0.0
        for d in range(D):
            g = gamma[d] * dy[m, d]
            g_sum += g
            slope_sum += g * ((x[m, d] - mean[m]) * inv_std[m])
        offset, slope = x.dtype.type(g_sum / D), x.dtype.type(slope_sum / D)
        for d in range(D):
            x_hat = (x[m, d] - mean[m]) * inv_std[m]
            dx[m, d] = (gamma[d] * dy[m, d] - offset - x_hat * slope) * inv_std[m]


@jit()
def layer_norm_backward_parameters(
    dy: Array, x: Array, mean: Array, inv_std: Array, first: int, last: int, dgamma: Array, dbeta: Array
) -> None:
    """dgamma = sum(dy x_hat), dbeta = sum(dy) over the rows, in these columns."""
    by_x_hat, plain = room(np.float64), room(np.float64)
    for start in range(first, last, BLOCK):
        end = min(start + BLOCK, last)
        clear(by_x_hat[:BLOCK])
        clear(plain[:BLOCK])
        for m in range(x.shape[0]):
            row, cotangent = x[m, start:end], dy[m, start:end]
            for j in range(row.size):
                by_x_hat[j] += cotangent[j] * ((row[j] - mean[m]) * inv_std[m])
                plain[j] += cotangent[j]
        for j in range(end - start):
            dgamma[start + j], dbeta[start + j] = by_x_hat[j], plain[j]


@jit()
def group_norm_statistics(x: Array, eps: float, first: int, last: int, mean: Array, var: Array, inv_std: Array) -> None:
    """Mean, biased variance and 1 / sqrt(variance + eps), (N, G), of each of G groups of channels of x (S, N, C).

    That for the images [first, last).
    """
    S, _, C = x.shape
    width = C // mean.shape[1]
    for n in range(first, last):
        for g in range(mean.shape[1]):
            total, squares = 0.0, 0.0
            for s in range(S):
                row = x[s, n, g * width : g * width + width]
                for c in range(width):
                    total += row[c]
            total /= S * width
            for s in range(S):
                row = x[s, n, g * width : g * width + width]
                for c in range(width):
                    squares += (row[c] - total) ** 2
            mean[n, g] = total
            var[n, g] = squares / (S * width)
            inv_std[n, g] = 1 / math.sqrt(squares / (S * width) + eps)


@jit()
def group_norm_forward(x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, y: Array) -> None:
    """y = gamma (x - mean) inv_std + beta; x and y (S, N, C), gamma and beta (C,), the statistics (N, G)."""
    S, N, C = x.shape
    width = C // mean.shape[1]
    for s in range(S):
        for n in range(N):
            for g in range(mean.shape[1]):
                center, scale, start = mean[n, g], inv_std[n, g], g * width
                row, target = x[s, n, start : start + width], y[s, n, start : start + width]
                for c in range(width):
                    target[c] = (row[c] - center) * scale * gamma[start + c] + beta[start + c]


@jit()
def group_norm_backward(
    dy: Array, gamma: Array, x: Array, mean: Array, inv_std: Array, first: int, last: int, dx: Array
) -> None:
    """With x_hat = (x - mean) inv_std, g = gamma dy: dx = (g - mean(g) - x_hat mean(g x_hat)) inv_std, by groups.

    That for the images [first, last).
    """
    S, _, C = x.shape
    width = C // mean.shape[1]
    for n in range(first, last):
        for g in range(mean.shape[1]):
            start, end = g * width, g * width + width
            center, scale, factors = mean[n, g], inv_std[n, g], gamma[start:end]
            g_sum, slope_sum = 0.0, 0.0
            for s in range(S):
                row, cotangent = x[s, n, start:end], dy[s, n, start:end]
                for c in range(width):
                    part = factors[c] * cotangent[c]
                    g_sum += part
                    slope_sum += part * ((row[c] - center) * scale)
            offset, slope = x.dtype.type(g_sum / (S * width)), x.dtype.type(slope_sum / (S * width))
            for s in range(S):
                row, cotangent, target = x[s, n, start:end], dy[s, n, start:end], dx[s, n, start:end]
                for c in range(width):
                    x_hat = (row[c] - center) * scale
                    target[c] = (factors[c] * cotangent[c] - offset - x_hat * slope) * scale


@jit()
def group_norm_backward_parameters(
    dy: Array, x: Array, mean: Array, inv_std: Array, dgamma: Array, dbeta: Array
) -> None:
    """dgamma = sum(dy x_hat), dbeta = sum(dy) over images and pixels."""
    S, N, C = x.shape
    width, by_x_hat, plain = C // mean.shape[1], room(np.float64), room(np.float64)
    for start in range(0, C, BLOCK):
        end = min(start + BLOCK, C)
        clear(by_x_hat[:BLOCK])
        clear(plain[:BLOCK])
        for s in range(S):
            for n in range(N):
                row, cotangent = x[s, n, start:end], dy[s, n, start:end]
                for j in range(row.size):
                    g = (start + j) // width
                    by_x_hat[j] += cotangent[j] * ((row[j] - mean[n, g]) * inv_std[n, g])
                    plain[j] += cotangent[j]
        for j in range(end - start):
            dgamma[start + j], dbeta[start + j] = by_x_hat[j], plain[j]

"""Normalisation of the channels of images over the batch, pixel by pixel, with the ReLU behind it: BatchNorm2d.

Images lie pixel by pixel: (P, N, C). What is summed over the batch is summed over each pixel's images first, so
that the pixels can be shared among threads; in float64.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._stack import SIZE, room

Array = npt.NDArray[Any]


@jit()
def channel_moments(x: Array, moments: Array) -> None:
    """The mean of each channel over the images of a pixel, and its sum of squared distances: moments (P, 2, C)."""
    P, N, C = x.shape
    for p in range(P):
        center, spread = moments[p, 0], moments[p, 1]
        for c in range(C):
            center[c], spread[c] = 0, 0
        for n in range(N):
            row = x[p, n]
            for c in range(C):
                center[c] += row[c]
        for c in range(C):
            center[c] /= N
        for n in range(N):
            row = x[p, n]
            for c in range(C):
                spread[c] += (row[c] - center[c]) ** 2


@jit()
def channel_statistics(moments: Array, images: int, eps: float, mean: Array, var: Array, inv_std: Array) -> None:
    """Mean, biased variance and 1 / sqrt(variance + eps) of each channel, from the moments of its pixels."""
    P, _, C = moments.shape
    center, spread = room(np.float64), room(np.float64)
    for start in range(0, C, SIZE):
        width = min(SIZE, C - start)
        for c in range(width):
            center[c], spread[c] = 0, 0
        for p in range(P):
            means = moments[p, 0, start : start + width]
            for c in range(width):
                center[c] += means[c]
        for c in range(width):
            center[c] /= P
        for p in range(P):
            means, squares = moments[p, 0, start : start + width], moments[p, 1, start : start + width]
            for c in range(width):
                spread[c] += squares[c] + images * (means[c] - center[c]) ** 2
        for c in range(width):
            value = spread[c] / (P * images)
            mean[start + c], var[start + c], inv_std[start + c] = center[c], value, 1 / math.sqrt(value + eps)


@jit()
def channel_norm_forward(
    x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, relu: bool, y: Array
) -> None:
    """y = gamma (x - mean) inv_std + beta, or 0 where that is negative and `relu`; x and y (P, N, C)."""
    P, N, C = x.shape
    cast = x.dtype.type
    scale, least = room(cast), cast(0 if relu else -np.inf)
    for start in range(0, C, SIZE):
        end = min(start + SIZE, C)
        for c in range(start, end):
            scale[c - start] = gamma[c] * inv_std[c]
        center, shift = mean[start:end], beta[start:end]
        for p in range(P):
            for n in range(N):
                row, target = x[p, n, start:end], y[p, n, start:end]
                for c in range(row.size):
                    value = (row[c] - center[c]) * scale[c] + shift[c]
                    target[c] = least if value <= least else value


@jit()
def channel_norm_sums(
    dy: Array, gamma: Array, beta: Array, x: Array, mean: Array, inv_std: Array, relu: bool, sums: Array
) -> None:
    """The sums of g and g (x - mean) over the images of a pixel: sums (P, 2, C).

    g = dy, with `relu` 0 where the output is: that is computed anew, which costs less than to read it.
    """
    P, N, C = x.shape
    cast = x.dtype.type
    scale, zero, least = room(cast), cast(0), cast(0 if relu else -np.inf)
    for start in range(0, C, SIZE):
        end = min(start + SIZE, C)
        for c in range(start, end):
            scale[c - start] = gamma[c] * inv_std[c]
        center, shift = mean[start:end], beta[start:end]
        for p in range(P):
            plain, by_x = sums[p, 0, start:end], sums[p, 1, start:end]
            plain[:], by_x[:] = 0, 0
            for n in range(N):
                row, cotangent = x[p, n, start:end], dy[p, n, start:end]
                for c in range(row.size):
                    g, value = cotangent[c], (row[c] - center[c]) * scale[c] + shift[c]
                    g = zero if value <= least else g
                    plain[c] += g
                    by_x[c] += g * (np.float64(row[c]) - center[c])


@jit()
def channel_norm_backward_parameters(sums: Array, inv_std: Array, dgamma: Array, dbeta: Array) -> None:
    """With x_hat = (x - mean) inv_std: dgamma = sum(g x_hat), dbeta = sum(g)."""
    P, _, C = sums.shape
    plain, by_x = room(np.float64), room(np.float64)
    for start in range(0, C, SIZE):
        width = min(SIZE, C - start)
        for c in range(width):
            plain[c], by_x[c] = 0, 0
        for p in range(P):
            first, second = sums[p, 0, start : start + width], sums[p, 1, start : start + width]
            for c in range(width):
                plain[c] += first[c]
                by_x[c] += second[c]
        for c in range(width):
            dgamma[start + c], dbeta[start + c] = by_x[c] * inv_std[start + c], plain[c]


@jit()
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
    P, N, C = x.shape
    cast = x.dtype.type
    scale, slope, offset, part = room(cast), room(cast), room(cast), cast(share)
    zero, least = cast(0), cast(0 if relu else -np.inf)
    for start in range(0, C, SIZE):
        end = min(start + SIZE, C)
        for c in range(start, end):
            j = c - start
            scale[j], slope[j], offset[j] = gamma[c] * inv_std[c], dgamma[c] * inv_std[c] * part, dbeta[c] * part
        center, shift = mean[start:end], beta[start:end]
        for p in range(P):
            for n in range(N):
                row, cotangent, target = x[p, n, start:end], dy[p, n, start:end], dx[p, n, start:end]
                for c in range(row.size):
                    g, distance = cotangent[c], row[c] - center[c]
                    g = zero if distance * scale[c] + shift[c] <= least else g
                    target[c] = (g - offset[c] - distance * slope[c]) * scale[c]

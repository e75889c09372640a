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
wide = np.float64
ROWS = 4  # summed at a time: one after the other, each would wait for the sum before it


@jit()
def channel_moments(x: Array, moments: Array) -> None:
    """The mean of each channel over the images of a pixel, and its sum of squared distances: moments (P, 2, C)."""
    P, N, C = x.shape
    for p in range(P):
        center, spread = moments[p, 0], moments[p, 1]
        center[:], spread[:], whole = 0, 0, N - N % ROWS
        for n in range(0, whole, ROWS):
            a, b, c, d = x[p, n], x[p, n + 1], x[p, n + 2], x[p, n + 3]
            for k in range(C):
                center[k] += (wide(a[k]) + wide(b[k])) + (wide(c[k]) + wide(d[k]))
        for n in range(whole, N):
            row = x[p, n]
            for k in range(C):
                center[k] += row[k]
        for k in range(C):
            center[k] /= N
        for n in range(0, whole, ROWS):
            a, b, c, d = x[p, n], x[p, n + 1], x[p, n + 2], x[p, n + 3]
            for k in range(C):
                m = center[k]
                spread[k] += ((a[k] - m) ** 2 + (b[k] - m) ** 2) + ((c[k] - m) ** 2 + (d[k] - m) ** 2)
        for n in range(whole, N):
            row = x[p, n]
            for k in range(C):
                spread[k] += (row[k] - center[k]) ** 2


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
def channel_norm_add_relu(
    x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, other: Array, y: Array
) -> None:
    """y = max(gamma (x - mean) inv_std + beta + other, 0), NaN stays; x, other and y (P, N, C)."""
    P, N, C = x.shape
    cast = x.dtype.type
    scale, zero = room(cast), cast(0)
    for start in range(0, C, SIZE):
        end = min(start + SIZE, C)
        for c in range(start, end):
            scale[c - start] = gamma[c] * inv_std[c]
        center, shift = mean[start:end], beta[start:end]
        for p in range(P):
            for n in range(N):
                row, added, target = x[p, n, start:end], other[p, n, start:end], y[p, n, start:end]
                for c in range(row.size):
                    value = (row[c] - center[c]) * scale[c] + shift[c] + added[c]
                    target[c] = zero if value <= zero else value


@jit(inline="always")
def _passed(g: Any, x: Any, center: Any, scale: Any, shift: Any, least: Any) -> Any:
    """Return what a ReLU behind the normalisation lets through of a gradient: 0 where the output is its least."""
    return type(g)(0) if (x - center) * scale + shift <= least else g


@jit()
def channel_norm_sums(
    dy: Array, gamma: Array, beta: Array, x: Array, mean: Array, inv_std: Array, relu: bool, sums: Array
) -> None:
    """The sums of g and g (x - mean) over the images of a pixel: sums (P, 2, C).

    g = dy, with `relu` 0 where the output is: that is computed anew, which costs less than to read it.
    """
    P, N, C = x.shape
    cast = x.dtype.type
    scale, least = room(cast), cast(0 if relu else -np.inf)
    for start in range(0, C, SIZE):
        end = min(start + SIZE, C)
        for c in range(start, end):
            scale[c - start] = gamma[c] * inv_std[c]
        center, shift = mean[start:end], beta[start:end]
        for p in range(P):
            plain, by_x = sums[p, 0, start:end], sums[p, 1, start:end]
            plain[:], by_x[:] = 0, 0
            for n in range(0, N - N % 2, 2):
                row, other = x[p, n, start:end], x[p, n + 1, start:end]
                given, next_given = dy[p, n, start:end], dy[p, n + 1, start:end]
                for c in range(row.size):
                    g = _passed(given[c], row[c], center[c], scale[c], shift[c], least)
                    h = _passed(next_given[c], other[c], center[c], scale[c], shift[c], least)
                    plain[c] += wide(g) + wide(h)
                    by_x[c] += g * (wide(row[c]) - center[c]) + h * (wide(other[c]) - center[c])
            for n in range(N - N % 2, N):
                row, given = x[p, n, start:end], dy[p, n, start:end]
                for c in range(row.size):
                    g = _passed(given[c], row[c], center[c], scale[c], shift[c], least)
                    plain[c] += g
                    by_x[c] += g * (wide(row[c]) - center[c])


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
    least = cast(0 if relu else -np.inf)
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
                    g = _passed(cotangent[c], row[c], center[c], scale[c], shift[c], least)
                    target[c] = (g - offset[c] - (row[c] - center[c]) * slope[c]) * scale[c]

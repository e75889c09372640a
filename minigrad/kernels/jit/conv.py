"""Convolution, and what else looks at an image through windows, by a table of what each window sees.

What some outputs see is gathered into a block of rows in the cache, and multiplied on register tiles from there. Each
sum is taken in one order, whatever part of the images or of the weights is asked for.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._product import product
from minigrad.kernels.jit._tile import scratch

Array = npt.NDArray[Any]

BLOCK = 64  # outputs whose windows are gathered at a time
SCRATCH = 512  # rows of memory for them: BLOCK rows of 256 numbers of float32


@jit(inline="always")
def _gather(x: Array, table: Array, output: int, channel: int, width: int, first: int, last: int, rows: Array) -> None:
    """Set rows[i, : last - first]: what output `output + i` sees of `width` channels, from place `first` to `last`.

    Outputs are counted on from image to image; places are the channels of tap 0, then those of tap 1, ...
    """
    for i in range(len(rows)):
        n, p = divmod(output + i, len(table))
        place = first
        while place < last:
            t, c = divmod(place, width)
            count, pixel = min(width - c, last - place), table[p, t]
            target = rows[i, place - first : place - first + count]
            if pixel < 0:
                target[:] = 0
            else:
                source = x[n, pixel, channel + c : channel + c + count]
                for j in range(count):
                    target[j] = source[j]
            place += count


@jit()
def conv_forward(x: Array, w: Array, b: Array, table: Array, y: Array) -> None:
    """y[n, p, g Kg + k] = b[g Kg + k] + the sum over t and c of x[n, table[p, t], g Cg + c] w[g, t Cg + c, k].

    x (N, S, C), w (G, T Cg, Kg) of G groups of channels, Cg = C / G and Kg = K / G; b (K,) or empty, y (N, P, K).
    """
    G, D, Kg = w.shape
    width, outputs = x.shape[2] // G, y.reshape(-1, y.shape[2])
    block = scratch(SCRATCH, x.dtype).reshape(BLOCK, -1)
    for start in range(0, len(outputs), BLOCK):
        target = outputs[start : start + BLOCK]
        for i in range(len(target)):
            row = target[i]
            for k in range(row.size):
                row[k] = b[k] if b.size else 0
        for g in range(G):
            for d in range(0, D, block.shape[1]):
                end = min(d + block.shape[1], D)
                rows = block[: len(target), : end - d]
                _gather(x, table, start, g * width, width, d, end, rows)
                product(rows, w[g, d:end], 0, Kg, True, target[:, g * Kg : g * Kg + Kg])


@jit()
def conv_backward_weight(x: Array, dy: Array, table: Array, first: int, last: int, dw: Array) -> None:
    """dw[g, t Cg + c, k] = the sum over n and p of x[n, table[p, t], g Cg + c] dy[n, p, g Kg + k].

    That for the rows [first, last) of all groups; x (N, S, C), dy (N, P, K), dw (G, T Cg, Kg).
    """
    G, D, Kg = dw.shape
    width, outputs = x.shape[2] // G, dy.reshape(-1, dy.shape[2])
    block = scratch(SCRATCH, x.dtype).reshape(BLOCK, -1)
    for g in range(first // D, (last - 1) // D + 1):
        high = min(last - g * D, D)
        for d in range(max(first - g * D, 0), high, block.shape[1]):
            end = min(d + block.shape[1], high)
            for start in range(0, len(outputs), BLOCK):
                cotangent = outputs[start : start + BLOCK, g * Kg : g * Kg + Kg]
                rows = block[: len(cotangent), : end - d]
                _gather(x, table, start, g * width, width, d, end, rows)
                product(rows.T, cotangent, 0, Kg, start > 0, dw[g, d:end])


@jit()
def max_pool_forward(x: Array, table: Array, index: Array, y: Array) -> None:
    """y[n, p, c] = the largest of x[n, table[p], c], NaN before all; its tap goes to index, the first of equal ones.

    x (N, S, C), index and y (N, P, C). A window that sees nothing gives -inf.
    """
    N, P, C = y.shape
    T = table.shape[1]
    for n in range(N):
        for p in range(P):
            best, taps = y[n, p], index[n, p]
            start = 0
            while start < T and table[p, start] < 0:
                start += 1
            start %= T
            for c in range(C):
                best[c], taps[c] = -np.inf, start
            for t in range(start, T):
                if table[p, t] >= 0:
                    row = x[n, table[p, t]]
                    for c in range(C):
                        if row[c] > best[c] or np.isnan(row[c]):
                            best[c], taps[c] = row[c], t


@jit()
def max_pool_backward(dy: Array, index: Array, table: Array, dx: Array) -> None:
    """Dx[n, table[p, index[n, p, c]], c] = the sum of those dy[n, p, c]."""
    N, P, C = dy.shape
    for n in range(N):
        dx[n] = 0
        for p in range(P):
            for c in range(C):
                pixel = table[p, index[n, p, c]]
                if pixel >= 0:
                    dx[n, pixel, c] += dy[n, p, c]


@jit()
def window_forward(x: Array, table: Array, weight: Array, y: Array) -> None:
    """y[n, p, c] = the sum over t of weight[p, t] x[n, table[p, t], c]; x (N, S, C), weight (P, T), y (N, P, C)."""
    N, P, _ = y.shape
    for n in range(N):
        for p in range(P):
            target = y[n, p]
            target[:] = 0
            for t in range(table.shape[1]):
                if table[p, t] >= 0:
                    row, factor = x[n, table[p, t]], weight[p, t]
                    for c in range(target.size):
                        target[c] += factor * row[c]


@jit()
def window_backward(dy: Array, table: Array, weight: Array, dx: Array) -> None:
    """Dx[n, s, c] = the sum of weight[p, t] dy[n, p, c] over all p and t where table[p, t] is s."""
    N, P, _ = dy.shape
    for n in range(N):
        dx[n] = 0
        for p in range(P):
            row = dy[n, p]
            for t in range(table.shape[1]):
                if table[p, t] >= 0:
                    target, factor = dx[n, table[p, t]], weight[p, t]
                    for c in range(row.size):
                        target[c] += factor * row[c]


@jit()
def scale_channels(x: Array, factor: Array, y: Array) -> None:
    """y[n, s, c] = x[n, s, c] factor[n, c]; x and y are (N, S, C)."""
    N, S, _ = x.shape
    for n in range(N):
        for s in range(S):
            row, target, factors = x[n, s], y[n, s], factor[n]
            for c in range(row.size):
                target[c] = row[c] * factors[c]

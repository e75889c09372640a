"""Gathering a batch, compiled: one pass, at the speed of memory."""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit

Array = npt.NDArray[Any]


@jit()
def gather_uint8(x: Array, index: Array, scale: float, shift: float, out: Array) -> None:
    """out_bj = x[index_b, j] * scale + shift, in float32, from bytes."""
    factor, offset = np.float32(scale), np.float32(shift)
    for b in range(index.size):
        row, target = x[index[b]], out[b]
        for j in range(row.size):
            target[j] = np.float32(row[j]) * factor + offset


@jit()
def gather_float(x: Array, index: Array, scale: float, shift: float, out: Array) -> None:
    """out_bj = x[index_b, j] * scale + shift, in the dtype of x."""
    factor, offset = out.dtype.type(scale), out.dtype.type(shift)
    for b in range(index.size):
        row, target = x[index[b]], out[b]
        for j in range(row.size):
            target[j] = row[j] * factor + offset


@jit()
def _shifted(x: Array, move: Array, factor: Any, offset: Any, out: Array) -> None:
    """An image shifted and flipped: pixel by pixel the same."""
    P, Q = out.shape
    flip, down, right = move[0] != 0, int(move[1]), int(move[2])
    ahead = right if flip else -right
    first, last = max(0, ahead), min(Q, Q + ahead)
    for i in range(P):
        row = i + down
        out[i] = offset
        if not (0 <= row < P and first < last):
            continue
        target = out[i, first:last]  # not out[i, first + j]: an index that may be negative costs the vectors
        if flip:
            source = x[row, Q - last + right : Q - first + right]
            for j in range(source.size):
                target[source.size - 1 - j] = out.dtype.type(source[j]) * factor + offset
        else:
            source = x[row, first + right : last + right]
            for j in range(source.size):
                target[j] = out.dtype.type(source[j]) * factor + offset


@jit()
def _share(place: float, length: int) -> float:
    """How much is seen at a place: all of it among the pixels, nothing a pixel outside."""
    return max(0.0, min(1.0, place + 1.0, length - place))


@jit()
def _there(place: float, length: int, source: int) -> float:
    """Where a place of the output is in the source, or the nearest one that has pixels."""
    return max(0.0, min(source - 1.0, (place + 0.5) * (source / length) - 0.5))


@jit()
def _interpolated(x: Array, move: Array, factor: Any, offset: Any, out: Array) -> None:
    """An image in another size, or rotated too."""
    (P, Q), (H, W), cast = out.shape, x.shape, out.dtype.type
    flip, down, right, cos, sin = move[0] != 0, int(move[1]), int(move[2]), move[3], move[4]
    middle, center = (P - 1) / 2, (Q - 1) / 2
    for i in range(P):
        r = i + down
        for j in range(Q):
            c = (Q - 1 - j if flip else j) + right
            out[i, j] = offset
            if not (0 <= r < P and 0 <= c < Q):
                continue
            turned_r = sin * (c - center) + cos * (r - middle) + middle
            turned_c = cos * (c - center) - sin * (r - middle) + center
            weight = _share(turned_r, P) * _share(turned_c, Q)
            if weight > 0:
                there_r, there_c = _there(turned_r, P, H), _there(turned_c, Q, W)
                top, left = int(there_r), int(there_c)
                bottom, end = min(top + 1, H - 1), min(left + 1, W - 1)
                by, bx, one = cast(there_r - top), cast(there_c - left), cast(1)
                above = cast(x[top, left]) * (one - bx) + cast(x[top, end]) * bx
                below = cast(x[bottom, left]) * (one - bx) + cast(x[bottom, end]) * bx
                out[i, j] = (above * (one - by) + below * by) * cast(weight) * factor + offset


@jit()
def gather_images(x: Array, index: Array, moves: Array, scale: Array, shift: Array, out: Array) -> None:
    """Images by number: brought to another size, rotated, shifted, flipped, scaled by channel, and in part erased."""
    B, C, P, Q = out.shape
    D, H, W = x.shape[1:]
    for b in range(B):
        move = moves[b]
        for c in range(C):
            source, target = x[index[b], c % D], out[b, c]
            factor, offset = out.dtype.type(scale[c]), out.dtype.type(shift[c])
            if H == P and W == Q and move[4] == 0:
                _shifted(source, move, factor, offset, target)
            else:
                _interpolated(source, move, factor, offset, target)
            for i in range(int(move[5]), int(move[7])):
                for j in range(int(move[6]), int(move[8])):
                    target[i, j] = 0

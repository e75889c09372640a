"""Softmax of the rows of a matrix (M, C), its logarithm, and the losses built on it.

With t_ic the weight of class c in the target of row i (smoothing s, class weights w): for an index k
t_ic = w_c s / C + (1 - s) w_k [c = k], for soft targets q t_ic = w_c (s / C + (1 - s) q_ic). The loss of row i is
-sum_c t_ic log p_ic, and its gradient p_ic sum_c' t_ic' - t_ic.
"""

from typing import Any

import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._math import exp, log, maximum
from minigrad.kernels.jit._stack import SIZE, room

Array = npt.NDArray[Any]

LONG = 64  # A longer row has loops for vectors of its own.


# Rows are taken in blocks, and exp runs over all numbers of a block at once, however short its rows are.
@jit()
def _rows_of_a_block(C: int) -> int:
    return max(1, SIZE // C)


@jit()
def _top(row: Array) -> Any:
    top = row[0]
    for c in range(1, row.size):
        top = maximum(top, row[c])
    return top


@jit()
def _sum(row: Array) -> Any:
    total = row.dtype.type(0)
    for c in range(row.size):
        total += row[c]
    return total


@jit()
def _exp_minus(x: Array, shift: Array, y: Array) -> None:
    """y_ic = exp(x_ic - shift_i)."""
    M, C = x.shape
    for m in range(M):
        for c in range(C):
            y[m, c] = x[m, c] - shift[m]
    numbers = y.reshape(y.size)
    for i in range(numbers.size):
        numbers[i] = exp(numbers[i])


@jit()
def _log_sum_exp(x: Array, log_sum: Array) -> None:
    """log_sum = log(sum(exp(x))) of each row."""
    M, C = x.shape
    for m in range(M):
        log_sum[m] = _top(x[m])
    if C > LONG:
        for m in range(M):
            total = x.dtype.type(0)
            for c in range(C):
                total += exp(x[m, c] - log_sum[m])
            log_sum[m] += log(total)
        return
    rows, numbers, totals = _rows_of_a_block(C), room(x.dtype), room(x.dtype)
    for first in range(0, M, rows):
        count = min(rows, M - first)
        e, top = numbers[: count * C].reshape(count, C), log_sum[first : first + count]
        _exp_minus(x[first : first + count], top, e)
        for m in range(count):
            totals[m] = _sum(e[m])
        for m in range(count):
            top[m] += log(totals[m])


@jit()
def softmax_forward(x: Array, y: Array) -> None:
    """y = exp(x) / sum(exp(x)) in each row."""
    M, C = x.shape
    rows, top = _rows_of_a_block(C), room(x.dtype)
    for first in range(0, M, rows):
        last = min(first + rows, M)
        for m in range(first, last):
            top[m - first] = _top(x[m])
        _exp_minus(x[first:last], top, y[first:last])
        for m in range(first, last):
            factor = 1 / _sum(y[m])
            for c in range(C):
                y[m, c] *= factor


@jit()
def softmax_backward(dy: Array, y: Array, dx: Array) -> None:
    """Dx = y (dy - sum(y dy)) in each row."""
    M, C = y.shape
    for m in range(M):
        total = y.dtype.type(0)
        for c in range(C):
            total += y[m, c] * dy[m, c]
        for c in range(C):
            dx[m, c] = y[m, c] * (dy[m, c] - total)


@jit()
def log_softmax_forward(x: Array, y: Array) -> None:
    """y = x - log(sum(exp(x))) in each row."""
    M, C = x.shape
    log_sum = room(x.dtype)
    for first in range(0, M, SIZE):
        last = min(first + SIZE, M)
        _log_sum_exp(x[first:last], log_sum[: last - first])
        for m in range(first, last):
            for c in range(C):
                y[m, c] = x[m, c] - log_sum[m - first]


@jit()
def log_softmax_backward(dy: Array, y: Array, dx: Array) -> None:
    """Dx = dy - exp(y) sum(dy) in each row."""
    M, C = y.shape
    for m in range(M):
        total = _sum(dy[m])
        for c in range(C):
            dx[m, c] = dy[m, c] - exp(y[m, c]) * total


@jit()
def nll_forward(x: Array, target: Array, weight: Array, ignore_index: int, losses: Array, weights: Array) -> None:
    """weights_i = w_k for the target k of row i, 0 where it is ignored; losses_i = -weights_i x_ik."""
    for m in range(x.shape[0]):
        k = target[m]
        weights[m] = 0 if k == ignore_index else weight[k]
        losses[m] = 0 if k == ignore_index else -weight[k] * x[m, k]


@jit()
def nll_backward(target: Array, dlosses: Array, weight: Array, ignore_index: int, dx: Array) -> None:
    """dx_ik = -w_k dlosses_i at the target k of row i, 0 elsewhere."""
    dx[:] = 0
    for m in range(target.size):
        k = target[m]
        if k != ignore_index:
            dx[m, k] = -weight[k] * dlosses[m]


@jit()
def cross_entropy_forward(
    x: Array,
    target: Array,
    weight: Array,
    smoothing: float,
    ignore_index: int,
    log_sum: Array,
    losses: Array,
    weights: Array,
) -> None:
    """Loss of each row for class indices; weights_i = w_k, 0 where ignored; log_sum is saved for the backward."""
    M, C = x.shape
    rest, each = x.dtype.type(1 - smoothing), x.dtype.type(smoothing / C)
    _log_sum_exp(x, log_sum)
    for m in range(M):
        k = target[m]
        if k == ignore_index:
            losses[m] = weights[m] = 0
            continue
        weights[m] = weight[k]
        loss = rest * weight[k] * (log_sum[m] - x[m, k])
        if smoothing > 0:
            for c in range(C):
                loss += each * weight[c] * (log_sum[m] - x[m, c])
        losses[m] = loss


@jit()
def cross_entropy_backward(
    x: Array,
    target: Array,
    dlosses: Array,
    weight: Array,
    smoothing: float,
    ignore_index: int,
    log_sum: Array,
    dx: Array,
) -> None:
    """dx_ic = dlosses_i (p_ic sum_c' t_ic' - t_ic), 0 in ignored rows."""
    M, C = x.shape
    rest, each = x.dtype.type(1 - smoothing), x.dtype.type(smoothing / C)
    spread, rows = each * _sum(weight), _rows_of_a_block(C)
    for first in range(0, M, rows):
        last = min(first + rows, M)
        _exp_minus(x[first:last], log_sum[first:last], dx[first:last])
        for m in range(first, last):
            k = target[m]
            if k == ignore_index:
                dx[m] = 0
                continue
            total = rest * weight[k] + spread
            for c in range(C):
                dx[m, c] = dlosses[m] * (dx[m, c] * total - each * weight[c])
            dx[m, k] -= dlosses[m] * rest * weight[k]


@jit()
def soft_cross_entropy_forward(
    x: Array, target: Array, weight: Array, smoothing: float, log_sum: Array, losses: Array
) -> None:
    """Loss of each row for soft targets (M, C); log_sum is saved for the backward."""
    M, C = x.shape
    rest, each = x.dtype.type(1 - smoothing), x.dtype.type(smoothing / C)
    _log_sum_exp(x, log_sum)
    for m in range(M):
        loss = x.dtype.type(0)
        for c in range(C):
            loss += weight[c] * (each + rest * target[m, c]) * (log_sum[m] - x[m, c])
        losses[m] = loss


@jit()
def soft_cross_entropy_backward(
    x: Array, target: Array, dlosses: Array, weight: Array, smoothing: float, log_sum: Array, dx: Array
) -> None:
    """dx_ic = dlosses_i (p_ic sum_c' t_ic' - t_ic)."""
    M, C = x.shape
    rest, each = x.dtype.type(1 - smoothing), x.dtype.type(smoothing / C)
    rows = _rows_of_a_block(C)
    for first in range(0, M, rows):
        last = min(first + rows, M)
        _exp_minus(x[first:last], log_sum[first:last], dx[first:last])
        for m in range(first, last):
            total = x.dtype.type(0)
            for c in range(C):
                total += weight[c] * (each + rest * target[m, c])
            for c in range(C):
                t = weight[c] * (each + rest * target[m, c])
                dx[m, c] = dlosses[m] * (dx[m, c] * total - t)

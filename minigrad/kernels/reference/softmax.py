"""Softmax of the rows of a matrix (M, C), its logarithm, and the losses built on it.

With t_ic the weight of class c in the target of row i (smoothing s, class weights w): for an index k
t_ic = w_c s / C + (1 - s) w_k [c = k], for soft targets q t_ic = w_c (s / C + (1 - s) q_ic). The loss of row i is
-sum_c t_ic log p_ic, and its gradient p_ic sum_c' t_ic' - t_ic.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def softmax_forward(x: Array, y: Array) -> None:
    """y = exp(x) / sum(exp(x)) in each row."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y[...] = e / e.sum(axis=1, keepdims=True)


def softmax_backward(dy: Array, y: Array, dx: Array) -> None:
    """Dx = y (dy - sum(y dy)) in each row."""
    dx[...] = y * (dy - (y * dy).sum(axis=1, keepdims=True))


def _log_sum_exp(x: Array) -> Array:
    top = x.max(axis=1)
    total: Array = top + np.log(np.exp(x - top[:, None]).sum(axis=1))
    return total


def log_softmax_forward(x: Array, y: Array) -> None:
    """y = x - log(sum(exp(x))) in each row."""
    y[...] = x - _log_sum_exp(x)[:, None]


def log_softmax_backward(dy: Array, y: Array, dx: Array) -> None:
    """Dx = dy - exp(y) sum(dy) in each row."""
    dx[...] = dy - np.exp(y) * dy.sum(axis=1, keepdims=True)


def nll_forward(x: Array, target: Array, weight: Array, ignore_index: int, losses: Array, weights: Array) -> None:
    """weights_i = w_k for the target k of row i, 0 where it is ignored; losses_i = -weights_i x_ik."""
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    weights[...] = np.where(kept, weight[index], 0)
    losses[...] = np.where(kept, -weights * x[np.arange(len(x)), index], 0)


def nll_backward(target: Array, dlosses: Array, weight: Array, ignore_index: int, dx: Array) -> None:
    """dx_ik = -w_k dlosses_i at the target k of row i, 0 elsewhere."""
    dx[...] = 0
    (kept,) = np.nonzero(target != ignore_index)
    dx[kept, target[kept]] = -weight[target[kept]] * dlosses[kept]


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
    log_sum[...] = _log_sum_exp(x)
    minus_log_p = log_sum[:, None] - x
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    weights[...] = np.where(kept, weight[index], 0)
    at_target = weights * minus_log_p[np.arange(len(x)), index]
    spread = (weight * minus_log_p).sum(axis=1) * x.dtype.type(smoothing / x.shape[1]) if smoothing else 0
    losses[...] = np.where(kept, x.dtype.type(1 - smoothing) * at_target + spread, 0)


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
    t = np.broadcast_to(weight * (smoothing / x.shape[1]), x.shape).astype(x.dtype)
    kept = target != ignore_index
    rows, index = np.nonzero(kept)[0], target[kept]
    t[rows, index] += x.dtype.type(1 - smoothing) * weight[index]
    p = np.exp(x - log_sum[:, None])
    dx[...] = np.where(kept, dlosses, 0)[:, None] * (p * t.sum(axis=1, keepdims=True) - t)
    dx[~kept] = 0


def soft_cross_entropy_forward(
    x: Array, target: Array, weight: Array, smoothing: float, log_sum: Array, losses: Array
) -> None:
    """Loss of each row for soft targets (M, C); log_sum is saved for the backward."""
    log_sum[...] = _log_sum_exp(x)
    t = weight * (x.dtype.type(smoothing / x.shape[1]) + x.dtype.type(1 - smoothing) * target)
    losses[...] = (t * (log_sum[:, None] - x)).sum(axis=1)


def soft_cross_entropy_backward(
    x: Array, target: Array, dlosses: Array, weight: Array, smoothing: float, log_sum: Array, dx: Array
) -> None:
    """dx_ic = dlosses_i (p_ic sum_c' t_ic' - t_ic)."""
    t = weight * (x.dtype.type(smoothing / x.shape[1]) + x.dtype.type(1 - smoothing) * target)
    dx[...] = dlosses[:, None] * (np.exp(x - log_sum[:, None]) * t.sum(axis=1, keepdims=True) - t)

"""One step of each optimizer over flat arrays, in plain NumPy.

Arguments come as: gradient, weights (updated), state (updated), then scalars. A state array that is optional and not
used is empty. `maximize` turns the gradient's sign; `weight_decay` and `l1` add λ w + l1 sign(w) to the gradient.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def _penalty(w: Array, weight_decay: float, l1: float) -> Array:
    return weight_decay * w + l1 * np.sign(w)


def sgd_update(
    grad: Array,
    w: Array,
    momentum_buffer: Array,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    l1: float,
    nesterov: bool,
    maximize: bool,
    is_first: bool,
) -> None:
    """Update `w` and the optional `momentum_buffer`. In the first step the buffer becomes the gradient."""
    g = (-grad if maximize else grad) + _penalty(w, weight_decay, l1)
    if momentum_buffer.size:
        momentum_buffer[...] = g if is_first else momentum * momentum_buffer + (1 - dampening) * g
        g = g + momentum * momentum_buffer if nesterov else momentum_buffer
    w -= lr * g


def adam_update(
    grad: Array,
    w: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    max_exp_avg_sq: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    l1: float,
    step: int,
    decoupled: bool,
    maximize: bool,
) -> None:
    """Update `w`, both moments and the optional `max_exp_avg_sq`. `decoupled` penalties act on `w` directly."""
    g, penalty = (-grad if maximize else grad), _penalty(w, weight_decay, l1)
    if decoupled:
        w -= lr * penalty
    else:
        g = g + penalty
    exp_avg += (1 - beta1) * (g - exp_avg)
    exp_avg_sq[...] = beta2 * exp_avg_sq + (1 - beta2) * g * g
    second = exp_avg_sq
    if max_exp_avg_sq.size:
        second = np.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
    w -= lr / (1 - beta1**step) * exp_avg / (np.sqrt(second) / (1 - beta2**step) ** 0.5 + eps)


def rmsprop_update(
    grad: Array,
    w: Array,
    square_avg: Array,
    grad_avg: Array,
    momentum_buffer: Array,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    l1: float,
    maximize: bool,
) -> None:
    """Update `w`, `square_avg`, the optional `grad_avg` (centered) and the optional `momentum_buffer`."""
    g = (-grad if maximize else grad) + _penalty(w, weight_decay, l1)
    square_avg[...] = alpha * square_avg + (1 - alpha) * g * g
    second = square_avg
    if grad_avg.size:
        grad_avg += (1 - alpha) * (g - grad_avg)
        second = square_avg - grad_avg * grad_avg
    g = g / (np.sqrt(second) + eps)
    if momentum_buffer.size:
        momentum_buffer[...] = momentum * momentum_buffer + g
        g = momentum_buffer
    w -= lr * g


def adagrad_update(
    grad: Array,
    w: Array,
    square_sum: Array,
    lr: float,
    lr_decay: float,
    eps: float,
    weight_decay: float,
    l1: float,
    step: int,
    maximize: bool,
) -> None:
    """Update `w` and `square_sum`."""
    g = (-grad if maximize else grad) + _penalty(w, weight_decay, l1)
    square_sum += g * g
    w -= lr / (1 + (step - 1) * lr_decay) * g / (np.sqrt(square_sum) + eps)


def ema_update(w: Array, average: Array, decay: float) -> None:
    """Update `average`, which moves towards `w`."""
    average += (1 - decay) * (w - average)

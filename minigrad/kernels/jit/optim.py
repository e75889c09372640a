"""One step of each optimizer over flat arrays, each in one pass over memory.

Arguments come as: gradient, weights (updated), state (updated), then scalars. A state array that is optional and not
used is empty. `maximize` turns the gradient's sign; `weight_decay` and `l1` add λ w + l1 sign(w) to the gradient.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit

Array = npt.NDArray[Any]


@jit()
def _penalty(w: Any, weight_decay: Any, l1: Any) -> Any:
    return weight_decay * w + l1 * np.sign(w)


@jit()
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
    cast = w.dtype.type
    rate, decay, lasso, sign = cast(lr), cast(weight_decay), cast(l1), cast(-1 if maximize else 1)
    # The direction is `ahead * buffer + now * gradient`.
    keep, take = cast(0 if is_first else momentum), cast(1 if is_first else 1 - dampening)
    ahead, now = cast(momentum if nesterov else 1), cast(1 if nesterov else 0)
    has_momentum = momentum_buffer.size > 0
    for i in range(w.size):
        g = sign * grad[i] + _penalty(w[i], decay, lasso)
        if has_momentum:
            buffer = keep * momentum_buffer[i] + take * g
            momentum_buffer[i] = buffer
            g = ahead * buffer + now * g
        w[i] -= rate * g


@jit()
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
    cast = w.dtype.type
    rate, correction = cast(lr / (1 - beta1**step)), cast((1 - beta2**step) ** 0.5)
    keep, take1, take2, floor = cast(beta2), cast(1 - beta1), cast(1 - beta2), cast(eps)
    decay, lasso, sign = cast(weight_decay), cast(l1), cast(-1 if maximize else 1)
    to_gradient, to_weight = cast(0 if decoupled else 1), cast(lr if decoupled else 0)
    amsgrad = max_exp_avg_sq.size > 0
    for i in range(w.size):
        penalty = _penalty(w[i], decay, lasso)
        g = sign * grad[i] + to_gradient * penalty
        first = exp_avg[i] + take1 * (g - exp_avg[i])
        second = keep * exp_avg_sq[i] + take2 * g * g
        exp_avg[i], exp_avg_sq[i] = first, second
        if amsgrad:
            # Not max(): a NaN must win.
            second = max_exp_avg_sq[i] if second <= max_exp_avg_sq[i] else second
            max_exp_avg_sq[i] = second
        w[i] -= to_weight * penalty + rate * first / (np.sqrt(second) / correction + floor)


@jit()
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
    cast = w.dtype.type
    rate, keep, take, floor, inertia = cast(lr), cast(alpha), cast(1 - alpha), cast(eps), cast(momentum)
    decay, lasso, sign = cast(weight_decay), cast(l1), cast(-1 if maximize else 1)
    centered, has_momentum = grad_avg.size > 0, momentum_buffer.size > 0
    for i in range(w.size):
        g = sign * grad[i] + _penalty(w[i], decay, lasso)
        second = keep * square_avg[i] + take * g * g
        square_avg[i] = second
        if centered:
            mean = grad_avg[i] + take * (g - grad_avg[i])
            grad_avg[i] = mean
            second -= mean * mean
        g /= np.sqrt(second) + floor
        if has_momentum:
            g += inertia * momentum_buffer[i]
            momentum_buffer[i] = g
        w[i] -= rate * g


@jit()
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
    cast = w.dtype.type
    rate, floor = cast(lr / (1 + (step - 1) * lr_decay)), cast(eps)
    decay, lasso, sign = cast(weight_decay), cast(l1), cast(-1 if maximize else 1)
    for i in range(w.size):
        g = sign * grad[i] + _penalty(w[i], decay, lasso)
        total = square_sum[i] + g * g
        square_sum[i] = total
        w[i] -= rate * g / (np.sqrt(total) + floor)


@jit()
def ema_update(w: Array, average: Array, decay: float) -> None:
    """Update `average`, which moves towards `w`."""
    take = average.dtype.type(1 - decay)
    for i in range(w.size):
        average[i] += take * (w[i] - average[i])

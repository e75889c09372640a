"""The lowerings of the losses: each emits its value and its gradient."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad import nn
from minigrad.engine.layers import NOTHING
from minigrad.engine.lowering import Lowering, lowering_of, lowers
from minigrad.engine.memory import Array, Cell, Memory, Operand, cut
from minigrad.nn import Loss

Gradient = Callable[[Memory], Memory]


def lower_loss(b: Lowering, loss: Loss, x: Memory, target: Memory, total: Cell, weight: Cell) -> Memory:
    """Emit the loss's two sums into cells, and its gradient; return the latter.

    Arguments:
        b: what is lowered so far.
        loss: of reduction "mean" or "sum".
        x: the model's output.
        target: what it should be.
        total: where the sum of the losses goes, and
        weight: where what a mean divides it by.
    """
    losses, weights, gradient = lowering_of(loss)(b, loss, x, target)
    dlosses = b.like(losses, "dlosses")
    sums = total.array, weight.array
    b.emit("reduce_loss", losses, weights, loss.reduction == "mean", *sums, dlosses, work=2 * losses.size)
    dx: Memory = gradient(dlosses)
    return dx


def _class_weight(b: Lowering, loss: nn.NLLLoss | nn.CrossEntropyLoss, C: int, dtype: np.dtype[Any]) -> Array:
    make = partial(loss._class_weight, C, dtype)
    return make() if loss.weight is None else b.follow(make)


def _class_axis(x: Memory) -> int:
    return min(1, len(x.shape) - 1)


@lowers(nn.NLLLoss)
def nll(b: Lowering, loss: nn.NLLLoss, x: Memory, target: Memory) -> tuple[Memory, Any, Gradient]:
    """Class indices against log-probabilities."""
    rows, index = b.to_rows(x, _class_axis(x)), target.reshape(-1)
    M, C = rows.shape
    weight = _class_weight(b, loss, C, x.dtype)
    losses, weights = b.buffer((M,), x.dtype, "losses"), b.buffer((M,), x.dtype, "weights")
    b.emit("nll_forward", cut(rows), cut(index), weight, loss.ignore_index, cut(losses), cut(weights), work=M)
    b.check(target, C, loss.wants(C), loss.ignore_index, loss.remedy(C))

    def gradient(dlosses: Memory) -> Memory:
        dx = b.like(rows, "dx")
        b.emit("nll_backward", cut(index), cut(dlosses), weight, loss.ignore_index, cut(dx))
        return b.from_rows(dx, x.shape, _class_axis(x))

    return losses, weights, gradient


@lowers(nn.CrossEntropyLoss)
def cross_entropy(b: Lowering, loss: nn.CrossEntropyLoss, x: Memory, target: Memory) -> tuple[Memory, Any, Gradient]:
    """Class indices or soft targets against logits."""
    rows = b.to_rows(x, _class_axis(x))
    M, C = rows.shape
    weight, smoothing = _class_weight(b, loss, C, x.dtype), loss.label_smoothing
    log_sum, losses = b.buffer((M,), x.dtype, "log_sum"), b.buffer((M,), x.dtype, "losses")
    work = 8 * rows.size
    options: list[Operand]
    if target.dtype.kind == "f":
        wanted = cut(b.to_rows(target, _class_axis(x)))
        weights: Any = NOTHING[x.dtype]
        kernel, options = "soft_cross_entropy", [weight, smoothing]
        b.emit(f"{kernel}_forward", cut(rows), wanted, *options, cut(log_sum), cut(losses), work=work)
    else:
        wanted, weights = cut(target.reshape(-1)), b.buffer((M,), x.dtype, "weights")
        kernel, options = "cross_entropy", [weight, smoothing, loss.ignore_index]
        results = cut(log_sum), cut(losses), cut(weights)
        b.emit(f"{kernel}_forward", cut(rows), wanted, *options, *results, work=work)
        b.check(target, C, loss.wants(C), loss.ignore_index, loss.remedy(C))

    def gradient(dlosses: Memory) -> Memory:
        dx = b.like(rows, "dx")
        b.emit(f"{kernel}_backward", cut(rows), wanted, cut(dlosses), *options, cut(log_sum), cut(dx), work=work)
        return b.from_rows(dx, x.shape, _class_axis(x))

    return losses, weights, gradient


@lowers(nn.MSELoss, nn.L1Loss, nn.HuberLoss, nn.SmoothL1Loss, nn.BCEWithLogitsLoss)
def per_element(b: Lowering, loss: Any, x: Memory, target: Memory) -> tuple[Memory, Any, Gradient]:
    """A loss of single elements."""
    # A kernel's array arguments are of the form of x.
    like, is_weighted = np.empty(x.shape, x.dtype), any(isinstance(value, np.ndarray) for value in vars(loss).values())

    def argument_number(i: int) -> Array:
        return np.asarray(loss._arguments(like)[i])

    arguments = [
        cut(b.follow(partial(argument_number, i)) if is_weighted else argument)
        if isinstance(argument, np.ndarray)
        else argument
        for i, argument in enumerate(loss._arguments(like))
    ]
    flat, wanted, losses = cut(x.reshape(-1)), cut(target.reshape(-1)), b.buffer((x.size,), x.dtype, "losses")
    b.emit(f"{loss.kernel}_forward", flat, wanted, *arguments, cut(losses))

    def gradient(dlosses: Memory) -> Memory:
        dx = b.like(x, "dx")
        b.emit(f"{loss.kernel}_backward", flat, wanted, cut(dlosses), *arguments, cut(dx.reshape(-1)))
        return dx

    return losses, NOTHING[x.dtype], gradient

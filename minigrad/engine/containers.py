"""The lowerings of the containers."""

import math
from typing import TypeGuard

from minigrad import nn
from minigrad.engine.layers import is_dropping, relu_dropout
from minigrad.engine.lowering import Lowering, Pull, lowers
from minigrad.engine.memory import Image, Memory, Shape, Value, cut, in_form_of, root_of
from minigrad.engine.norm import ChannelNorm, channel_norm
from minigrad.nn import Module


@lowers(nn.Sequential, images=True)
def sequential(b: Lowering, chain: nn.Sequential, x: Value) -> tuple[Value, Pull]:
    """Each layer's output is the next one's input. The backward ends at the first layer that is trained."""
    pulls: list[tuple[bool, Pull]] = []
    layers = _pooled_first(list(chain))
    while layers:
        layer = layers.pop(0)
        behind = layers[0] if layers else None
        if type(layer) is nn.ReLU and behind is not None and is_dropping(behind):
            x, pull = relu_dropout(b, behind, b.plain(x))
            del layers[0]
        elif type(layer) is nn.BatchNorm2d and type(behind) is nn.ReLU:
            x, pull = channel_norm(b, layer, x, relu=True)
            del layers[0]
        elif type(layer) is nn.Residual and _ends_in_norm(layer.body) and type(behind) is nn.ReLU:
            x, pull = _residual_relu(b, layer.body, layer.shortcut, x)
            del layers[0]
        else:
            x, pull = b.lower(layer, x)
        pulls.append((b.is_trained(layer), pull))

    def pull_all(dy: Value, wants_dx: bool) -> Value:
        wanted = [wants_dx]
        for is_trained, _ in pulls:
            wanted.append(wanted[-1] or is_trained)
        for i in range(len(pulls) - 1, -1, -1):
            if wanted[i + 1]:
                dy = pulls[i][1](dy, wanted[i])
        return dy

    return x, pull_all


def _pooled_first(layers: list[Module]) -> list[Module]:
    """Return the layers, each pooling before the ReLU in front of it: the largest of what is left of 0 is left of 0.

    A window that sees no pixel is -inf behind any ReLU, so this holds where windows have no padding.
    """
    for i in range(len(layers) - 1):
        relu, pool = layers[i : i + 2]
        if type(relu) is nn.ReLU and type(pool) is nn.MaxPool2d and not any(pool.padding) and not pool.ceil_mode:
            layers[i : i + 2] = pool, relu
    return layers


@lowers(nn.Composite, images=True)
def composite(b: Lowering, layer: nn.Composite, x: Value) -> tuple[Value, Pull]:
    """What the composition does."""
    return b.lower(layer.compose(), x)


@lowers(nn.Sum, images=True)
def sum_(b: Lowering, layer: nn.Sum, x: Value) -> tuple[Value, Pull]:
    """Branches over one input, added."""
    return _added(b, list(layer), x)


@lowers(nn.Residual, images=True)
def residual(b: Lowering, layer: nn.Residual, x: Value) -> tuple[Value, Pull]:
    """y = body(x) + shortcut(x)."""
    return _added(b, [layer.body, layer.shortcut], x)


def _ends_in_norm(body: Module) -> TypeGuard[nn.Sequential]:
    """Return whether a BatchNorm2d is the last of several layers."""
    return isinstance(body, nn.Sequential) and len(body) > 1 and type(body[-1]) is nn.BatchNorm2d


def _residual_relu(b: Lowering, body: nn.Sequential, shortcut: Module, x: Value) -> tuple[Value, Pull]:
    """y = relu(body(x) + shortcut(x)): the sum and the ReLU in the pass of the BatchNorm at the end of the body."""
    *front, last = body
    assert isinstance(last, nn.BatchNorm2d)
    value, pull_front = b.lower(nn.Sequential(*front), x)
    other, pull_shortcut = b.lower(shortcut, x)
    norm = ChannelNorm(b, last, value)
    y, pull_relu = norm.forward_add_relu(other)

    def pull_body(dy: Value, wants_dx: bool) -> Value:
        return pull_front(norm.backward(dy, relu=False), wants_dx)

    def pull_all(dy: Value, wants_dx: bool) -> Value:
        dsum = pull_relu(dy, True)
        return _pull_branches(b, [body, shortcut], [pull_body, pull_shortcut], [dsum] * 2, x, wants_dx, own=True)

    return y, pull_all


def _added(b: Lowering, branches: list[Module], x: Value) -> tuple[Value, Pull]:
    outputs, pulls = zip(*(b.lower(branch, x) for branch in branches), strict=True)

    def pull_all(dy: Value, wants_dx: bool) -> Value:
        return _pull_branches(b, branches, list(pulls), [dy] * len(pulls), x, wants_dx)

    return _add_all(b, list(outputs), kept=list(outputs)), pull_all


@lowers(nn.Concat)
def concat(b: Lowering, layer: nn.Concat, x: Memory) -> tuple[Memory, Pull]:
    """Branches over one input, side by side along one axis."""
    values, pulls = zip(*(b.lower(branch, x) for branch in layer), strict=True)
    outputs = [b.plain(value) for value in values]
    axis = layer.axis % len(outputs[0].shape)
    shapes = [output.shape for output in outputs]
    shape = (*shapes[0][:axis], sum(part[axis] for part in shapes), *shapes[0][axis + 1 :])
    y = b.buffer(shape, outputs[0].dtype, "y")
    column = 0
    for output in outputs:
        part = _matrix(output, axis)
        b.emit("put_columns", cut(part), column, cut(_matrix(y, axis)))
        column += part.shape[1]

    def pull_all(dy: Memory, wants_dx: bool) -> Value:
        parts: list[Value] = []
        column = 0
        for part_shape in shapes:
            part = b.buffer(part_shape, dy.dtype, "dy")
            b.emit("take_columns", cut(_matrix(dy, axis)), column, cut(_matrix(part, axis)))
            column += math.prod(part_shape[axis:])
            parts.append(part)
        return _pull_branches(b, list(layer), list(pulls), parts, x, wants_dx)

    return y, pull_all


def _matrix(memory: Memory, axis: int) -> Memory:
    """Return an array as a matrix whose columns hold all from `axis` on."""
    shape: Shape = memory.shape
    return memory.reshape(math.prod(shape[:axis]), math.prod(shape[axis:]))


def _pull_branches(
    b: Lowering,
    branches: list[Module],
    pulls: list[Pull],
    cotangents: list[Value],
    x: Value,
    wants_dx: bool,
    *,
    own: bool = False,
) -> Value:
    """Emit the backward of all branches and the sum of their dx. Cotangents that are `own` may be overwritten."""
    parts = [
        pull(dy, wants_dx)
        for branch, pull, dy in zip(branches, pulls, cotangents, strict=True)
        if wants_dx or b.is_trained(branch)
    ]
    return _add_all(b, parts, kept=[] if own else cotangents) if wants_dx else x


def _add_all(b: Lowering, parts: list[Value], kept: list[Value]) -> Value:
    """Emit the sum of values, where it can be by adding to one of them that has not to be kept."""
    form = next((part for part in parts if isinstance(part, Image)), parts[0])
    total, *others = [b.laid_out_as(part, form) for part in parts]
    fixed = [root_of(value) for value in kept]
    for part in others:
        if root_of(total) not in fixed and b.add_instead(part, total):
            continue
        if root_of(part) not in fixed and b.add_instead(total, part):
            total = part
            continue
        both, total = total, b.like(part, "sum")
        b.emit("add", cut(both.reshape(-1)), cut(part.reshape(-1)), cut(total.reshape(-1)))
    return in_form_of(total, form)

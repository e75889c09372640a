"""The lowerings of the layers."""

from typing import Any, TypeGuard

import numpy as np

from minigrad import nn
from minigrad.engine.lowering import Lowering, Pull, lowers
from minigrad.engine.memory import Array, Cell, Memory, Value, cut, in_form_of

CHAIN_ROWS = 32  # rows of a weight whose gradient is still in the cache when the update comes
NOTHING: dict[np.dtype[Any], Array] = {np.dtype(kind): np.empty(0, kind) for kind in (np.float32, np.float64)}


@lowers(nn.Linear)
def linear(b: Lowering, layer: nn.Linear, x: Memory) -> tuple[Memory, Pull]:
    """y = x Wᵀ + b, threads sharing the output's columns."""
    D, K = layer.in_features, layer.out_features
    rows, weight = x.reshape(-1, D), layer.weight.data
    M = rows.shape[0]
    y = b.buffer((M, K), x.dtype, "y")
    bias = NOTHING[x.dtype] if layer.bias is None else layer.bias.data
    work = max(M, 4) * D * K / 16  # with few rows they wait for the weight's memory
    b.emit("linear_forward", rows, weight, bias, y, over=K, work=work, multiply_adds=M * D * K)

    def pull(dy: Memory, wants_dx: bool) -> Memory:
        dy_rows, dx = dy.reshape(M, K), b.like(rows, "dx")
        if wants_dx:
            b.emit("linear_backward_input", dy_rows, weight, dx, over=D, multiply_adds=M * D * K)
        if b.wants(layer.weight):
            is_added, dw = b.begin_gradient(layer.weight), cut(layer.weight.grad)
            chain = b.chain_update if b.can_chain(layer.weight) else None
            b.emit(
                "linear_backward_weight",
                *(dy_rows, rows, is_added, dw),
                over=K,
                grain=CHAIN_ROWS if chain else None,
                multiply_adds=M * D * K,
            )
            if chain is not None:
                chain(layer.weight, K)
        if layer.bias is not None and b.wants(layer.bias):
            is_added = b.begin_gradient(layer.bias)
            b.emit("column_sums", dy_rows, is_added, layer.bias.grad, over=K, work=M * K)
        return dx.reshape(*x.shape)

    return y.reshape(*x.shape[:-1], K), pull


@lowers(nn.Embedding)
def embedding(b: Lowering, layer: nn.Embedding, x: Memory) -> tuple[Memory, Pull]:
    """y = W[x]."""
    V, D = layer.num_embeddings, layer.embedding_dim
    index = x.reshape(-1)
    y = b.buffer((index.size, D), layer.weight.dtype, "y")
    b.emit("take_rows", layer.weight.data, cut(index), cut(y))

    def pull(dy: Memory, wants_dx: bool) -> Memory:
        padding = -1 if layer.padding_idx is None else layer.padding_idx
        if b.wants(layer.weight):
            dw = b.summed_gradient(layer.weight)
            b.emit("embedding_backward", index, dy.reshape(-1, D), padding, dw, work=dy.size)
        dx = b.like(x, "dx", dy.dtype)
        if wants_dx:
            b.emit("clear", cut(dx.reshape(-1)))
        return dx

    b.check(x, V, f"{b.model.path_of(layer)}: want indices in [0, {V})")
    return y.reshape(*x.shape, D), pull


@lowers(nn.Dropout)
def dropout(b: Lowering, layer: nn.Dropout, x: Memory) -> tuple[Memory, Pull]:
    """y = m x / (1 - p); the mask is computed again in the backward."""
    if not is_dropping(layer):
        return x, lambda dy, wants_dx: dy
    arguments = *mask_keys(b, layer), layer.threshold, layer.scale

    def drop(source: Memory, name: str) -> Memory:
        target = b.like(source, name)
        b.emit("dropout", cut(source.reshape(-1)), *arguments, cut(target.reshape(-1)))
        return target

    return drop(x, "y"), lambda dy, wants_dx: drop(dy, "dx")


def relu_dropout(b: Lowering, layer: nn.Dropout, x: Memory) -> tuple[Memory, Pull]:
    """A ReLU and the dropout behind it, in one pass each way."""
    y = b.like(x, "y")
    arguments = *mask_keys(b, layer), layer.threshold, layer.scale
    b.emit("relu_dropout_forward", cut(x.reshape(-1)), *arguments, cut(y.reshape(-1)))

    def pull(dy: Memory, wants_dx: bool) -> Memory:
        dx = b.like(x, "dx")
        flat = cut(dy.reshape(-1)), cut(y.reshape(-1)), layer.scale, cut(dx.reshape(-1))
        b.emit("relu_dropout_backward", *flat)
        return dx

    return y, pull


def is_dropping(layer: nn.Module) -> TypeGuard[nn.Dropout]:
    """Return whether a layer is a Dropout that does something now."""
    return isinstance(layer, nn.Dropout) and type(layer) is nn.Dropout and layer.training and layer.p > 0


def mask_keys(b: Lowering, layer: nn.Dropout) -> tuple[Cell, Cell]:
    """Emit the computation of the keys of this use, and that it counts."""
    key0, key1 = Cell(0, "key0"), Cell(0, "key1")
    b.emit("mask_key", layer.seed, layer._steps, b.masks[id(layer)], key0.array, key1.array)
    b.masks[id(layer)] += 1
    b.once_finite.append(lambda: b.emit("count", layer._steps))
    return key0, key1


@lowers(nn.PReLU)
def prelu(b: Lowering, layer: nn.PReLU, x: Memory) -> tuple[Memory, Pull]:
    """y = x where x > 0, else w_c x."""
    C = layer.num_parameters
    form = (1, 1, x.size) if C == 1 else (*x.shape[:2], x.size // (x.shape[0] * C))
    y = b.like(x, "y")
    b.emit("prelu_forward", cut(x.reshape(*form)), layer.weight.data, cut(y.reshape(*form)))

    def pull(dy: Memory, wants_dx: bool) -> Memory:
        dx = b.like(x, "dx")
        if b.wants(layer.weight):
            dw: Memory = b.summed_gradient(layer.weight)
        else:
            dw = b.buffer((C,), x.dtype, "unused")
            b.emit("clear", cut(dw))
        parts = dy.reshape(*form), layer.weight.data, x.reshape(*form), dw, dx.reshape(*form)
        b.emit("prelu_backward", *parts, work=x.size)
        return dx

    return y, pull


ELEMENTWISE = (
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus),
    *(nn.Hardtanh, nn.ReLU6, nn.Hardswish),
)


@lowers(*ELEMENTWISE, images=True)
def elementwise(b: Lowering, layer: Any, value: Value) -> tuple[Value, Pull]:
    """y = f(x), with `layer`'s kernel and arguments."""
    x = b.laid_out_as(value, value)
    y, arguments = b.like(x, "y"), layer._arguments()
    b.emit(f"{layer.kernel}_forward", cut(x.reshape(-1)), *arguments, cut(y.reshape(-1)))

    def pull(dy: Value, wants_dx: bool) -> Value:
        dx, saved = b.like(x, "dx"), x if layer.saves == "x" else y
        given = b.laid_out_as(dy, value).reshape(-1)
        b.emit(f"{layer.kernel}_backward", cut(given), *arguments, cut(saved.reshape(-1)), cut(dx.reshape(-1)))
        return in_form_of(dx, value)

    return in_form_of(y, value), pull


@lowers(nn.Softmax, nn.LogSoftmax)
def along_axis(b: Lowering, layer: Any, x: Memory) -> tuple[Memory, Pull]:
    """A function of the vectors along one axis, which the threads share."""
    vectors = x if x.shape else x.reshape(1)
    rows = b.to_rows(vectors, layer.dim)
    y = b.like(rows, "y")
    b.emit(f"{layer.kernel}_forward", cut(rows), cut(y), work=8 * rows.size)

    def pull(dy: Memory, wants_dx: bool) -> Memory:
        dy_rows, dx = b.to_rows(dy.reshape(*vectors.shape), layer.dim), b.like(rows, "dx")
        b.emit(f"{layer.kernel}_backward", cut(dy_rows), cut(y), cut(dx), work=4 * rows.size)
        return b.from_rows(dx, vectors.shape, layer.dim).reshape(*x.shape)

    return b.from_rows(y, vectors.shape, layer.dim).reshape(*x.shape), pull


@lowers(nn.Identity, images=True)
def identity(b: Lowering, layer: nn.Identity, x: Value) -> tuple[Value, Pull]:
    """y = x."""
    return x, lambda dy, wants_dx: dy


@lowers(nn.Flatten, nn.Unflatten)
def reshape(b: Lowering, layer: nn.Flatten | nn.Unflatten, x: Memory) -> tuple[Memory, Pull]:
    """The same memory in another shape."""
    return x.reshape(*layer.output_shape(x.shape)), lambda dy, wants_dx: dy.reshape(*x.shape)

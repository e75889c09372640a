"""Cases that Hypothesis draws: for each class of layer any of its options, on any shape that it takes."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from minigrad import nn
from tests.cases.case import GAP, LAYOUTS, At, ModuleCase
from tests.cases.containers import TorchConcat, TorchResidual, TorchSum
from tests.cases.layers import dropout_reference

LARGEST = 7
Draw = Callable[..., Any]  # Hypothesis's draw

ATS = st.builds(
    At,
    training=st.booleans(),
    dtype=st.sampled_from([np.float64, np.float32]),
    seed=st.integers(0, 2**32 - 1),
    layout=st.sampled_from(LAYOUTS),
    values=st.lists(st.floats(-8, 8, width=32), max_size=6).map(tuple),
)


def shapes(least: int, most: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of so many axes, of pairwise distinct sizes: square ones hide transposes."""
    return st.lists(st.integers(1, LARGEST), min_size=least, max_size=most, unique=True).map(tuple)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers with few digits, so that a failing case is easily read."""
    return st.integers(0, 100).map(lambda k: round(low + (high - low) * k / 100, 6))


def same(
    name: str, shape: tuple[int, ...], *arguments: Any, flags: dict[str, Any] | None = None, **options: Any
) -> Any:
    """The case of one class in both libraries, made with the same arguments."""
    called = ", ".join([*map(str, arguments), *(f"{key}={value}" for key, value in options.items())])
    make = partial(getattr(nn, name), *arguments, **options)
    twin = partial(getattr(torch.nn, name), *arguments, **options)
    return ModuleCase(f"{name}({called}) on {shape}", make, shape, twin, **(flags or {}))


def elementwise(name: str, kinks: tuple[float, ...] = ()) -> st.SearchStrategy[ModuleCase]:
    """An activation without options."""
    return shapes(0, 4).map(lambda shape: same(name, shape, flags={"kinks": kinks}))


@st.composite
def leaky_relu(draw: Draw) -> ModuleCase:
    return same("LeakyReLU", draw(shapes(0, 4)), draw(numbers(-1, 2)), flags={"kinks": (0.0,)})


@st.composite
def elu(draw: Draw) -> ModuleCase:
    return same("ELU", draw(shapes(0, 4)), alpha=draw(numbers(0.1, 3)), flags={"kinks": (0.0,)})


@st.composite
def prelu(draw: Draw) -> ModuleCase:
    shape = draw(shapes(0, 4))
    slopes = draw(st.sampled_from([1, shape[1]])) if len(shape) > 1 else 1
    return same("PReLU", shape, slopes, draw(numbers(-1, 1)), flags={"kinks": (0.0,)})


@st.composite
def gelu(draw: Draw) -> ModuleCase:
    return same("GELU", draw(shapes(0, 4)), draw(st.sampled_from(["none", "tanh"])))


@st.composite
def hardtanh(draw: Draw) -> ModuleCase:
    low = draw(numbers(-2, 1))
    high = low + draw(numbers(4 * GAP, 2))
    return same("Hardtanh", draw(shapes(0, 4)), low, high, flags={"kinks": (low, high)})


@st.composite
def softplus(draw: Draw) -> ModuleCase:
    beta, threshold = draw(numbers(0.2, 3)), draw(numbers(0.5, 20))
    return same("Softplus", draw(shapes(0, 4)), beta, threshold, flags={"kinks": (threshold / beta,)})


@st.composite
def along_axis(draw: Draw, name: str) -> ModuleCase:
    shape = draw(shapes(1, 4))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    return same(name, shape, dim, flags={"couples_batch": dim % len(shape) == 0})


@st.composite
def linear(draw: Draw) -> ModuleCase:
    D, K, *rest = draw(shapes(2, 5))
    return same("Linear", (*rest, D), D, K, draw(st.booleans()), flags={"couples_batch": not rest})


@st.composite
def embedding(draw: Draw) -> ModuleCase:
    V, D = draw(shapes(2, 2))
    padding = draw(st.none() | st.integers(-V, V - 1))
    flags = {"integers": V, "has_derivative": padding is None}
    return same("Embedding", draw(shapes(1, 3)), V, D, padding_idx=padding, flags=flags)


@st.composite
def batch_norm(draw: Draw) -> ModuleCase:
    shape = draw(shapes(2, 3).filter(lambda shape: shape[0] * (shape[2] if len(shape) > 2 else 1) > 1))
    tracked = draw(st.booleans())
    return same(
        "BatchNorm1d",
        shape,
        shape[1],
        eps=draw(numbers(1e-5, 0.1)),
        momentum=draw(st.none() | numbers(0, 1)),
        affine=draw(st.booleans()),
        track_running_stats=tracked,
        bias=draw(st.booleans()),
        flags={"couples_batch": True, "differs_in_eval": tracked, "normalises": (0, 2)[: len(shape) - 1]},
    )


@st.composite
def layer_norm(draw: Draw) -> ModuleCase:
    shape = draw(shapes(1, 4))
    axes = draw(st.integers(1, len(shape)))
    return same(
        "LayerNorm",
        shape,
        shape[-axes:],
        eps=draw(numbers(1e-5, 0.1)),
        elementwise_affine=draw(st.booleans()),
        bias=draw(st.booleans()),
        flags={"couples_batch": axes == len(shape), "normalises": tuple(range(-axes, 0))},
    )


@st.composite
def dropout(draw: Draw) -> ModuleCase:
    p, seed = draw(numbers(0, 0.99)), draw(st.integers(0, 2**32 - 1))
    flags = {"reference": dropout_reference, "returns_view": True, "couples_batch": True, "differs_in_eval": True}
    name, shape = f"Dropout({p}, rng={seed})", draw(shapes(0, 4))
    return ModuleCase(f"{name} on {shape}", partial(nn.Dropout, p, rng=seed), shape, **flags)


@st.composite
def flatten(draw: Draw) -> ModuleCase:
    shape = draw(shapes(1, 5))
    start = draw(st.integers(0, len(shape) - 1))
    end = draw(st.integers(start, len(shape) - 1))
    start, end = (draw(st.sampled_from([axis, axis - len(shape)])) for axis in (start, end))
    couples = start % len(shape) == 0 and end % len(shape) > 0
    return same("Flatten", shape, start, end, flags={"returns_view": True, "couples_batch": couples})


# ---------------------------------------------------------------------------------------------------- containers


@st.composite
def branches(draw: Draw, D: int, K: int, count: int) -> list[tuple[Any, ...]]:
    """What a container holds: so many chains of a Linear from D to K and perhaps an activation."""
    return [(D, K, draw(st.booleans()), draw(st.sampled_from(["", "Tanh", "SiLU"]))) for _ in range(count)]


def chain(lib: Any, D: int, K: int, bias: bool, activation: str) -> Any:
    linear = lib.Linear(D, K, bias)
    return lib.Sequential(linear, getattr(lib, activation)()) if activation else linear


@st.composite
def sequential(draw: Draw) -> ModuleCase:
    widths = draw(st.lists(st.integers(1, LARGEST), min_size=1, max_size=5))
    parts = [p for D, K in pairwise(widths) for p in draw(branches(D, K, 1))]
    shape = (draw(st.integers(1, LARGEST)), widths[0])
    return ModuleCase(
        f"Sequential{parts} on {shape}",
        lambda: nn.Sequential(*(chain(nn, *part) for part in parts)),
        shape,
        lambda: torch.nn.Sequential(*(chain(torch.nn, *part) for part in parts)),
        returns_view=not parts,
    )


@st.composite
def sum_of(draw: Draw) -> ModuleCase:
    N, D, K = draw(shapes(3, 3))
    parts = draw(branches(D, K, draw(st.integers(1, 4))))
    return ModuleCase(
        f"Sum{parts} on {(N, D)}",
        lambda: nn.Sum(*(chain(nn, *part) for part in parts)),
        (N, D),
        lambda: TorchSum(*(chain(torch.nn, *part) for part in parts)),
    )


@st.composite
def residual(draw: Draw) -> ModuleCase:
    N, D, K = draw(shapes(3, 3))
    has_shortcut = draw(st.booleans())
    parts = draw(branches(D, K if has_shortcut else D, 1 + has_shortcut))
    return ModuleCase(
        f"Residual{parts} on {(N, D)}",
        lambda: nn.Residual(*(chain(nn, *part) for part in parts)),
        (N, D),
        lambda: TorchResidual(*(chain(torch.nn, *part) for part in parts)),
    )


@st.composite
def concat(draw: Draw) -> ModuleCase:
    shape = draw(shapes(2, 4))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    on_last = axis % len(shape) == len(shape) - 1
    widths = draw(st.lists(st.integers(1, LARGEST), min_size=1, max_size=4))
    parts = [p for K in widths for p in draw(branches(shape[-1], K if on_last else widths[0], 1))]

    def twin() -> torch.nn.Module:
        module = TorchConcat(*(chain(torch.nn, *part) for part in parts))
        module.axis = axis
        return module

    return ModuleCase(
        f"Concat{parts} along {axis} on {shape}",
        lambda: nn.Concat(*(chain(nn, *part) for part in parts), axis=axis),
        shape,
        twin,
        couples_batch=axis % len(shape) == 0,
    )


DRAWN: dict[type[nn.Module], st.SearchStrategy[ModuleCase]] = {
    nn.BatchNorm1d: batch_norm(),
    nn.Concat: concat(),
    nn.Dropout: dropout(),
    nn.ELU: elu(),
    nn.Embedding: embedding(),
    nn.Flatten: flatten(),
    nn.GELU: gelu(),
    nn.Hardswish: elementwise("Hardswish", (-3.0, 3.0)),
    nn.Hardtanh: hardtanh(),
    nn.Identity: shapes(0, 4).map(lambda shape: same("Identity", shape, flags={"returns_view": True})),
    nn.LayerNorm: layer_norm(),
    nn.LeakyReLU: leaky_relu(),
    nn.Linear: linear(),
    nn.LogSoftmax: along_axis("LogSoftmax"),
    nn.PReLU: prelu(),
    nn.ReLU: elementwise("ReLU", (0.0,)),
    nn.ReLU6: elementwise("ReLU6", (0.0, 6.0)),
    nn.Residual: residual(),
    nn.SELU: elementwise("SELU", (0.0,)),
    nn.Sequential: sequential(),
    nn.SiLU: elementwise("SiLU"),
    nn.Sigmoid: elementwise("Sigmoid"),
    nn.Softmax: along_axis("Softmax"),
    nn.Softplus: softplus(),
    nn.Sum: sum_of(),
    nn.Tanh: elementwise("Tanh"),
}

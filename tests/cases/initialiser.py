"""Cases of the initialisers: every function with several arguments, and what Hypothesis draws for each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from minigrad.nn import init
from tests.cases.case import At
from tests.cases.drawn import numbers

MATRIX = (320, 200)  # so many elements that a standard deviation is within 2 %: see tests/checks/initialiser.py
KERNEL = (64, 32, 3, 5)
EXACT = {"constant_", "ones_", "zeros_", "eye_", "dirac_"}  # no randomness


@dataclass(frozen=True)
class InitialiserCase:
    """One function with its arguments, PyTorch's too, and the shape that it fills."""

    cls: str
    options: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = MATRIX

    @property
    def name(self) -> str:
        return " ".join([self.cls, *(f"{key}={value}" for key, value in self.options.items()), str(self.shape)])

    @property
    def is_random(self) -> bool:
        return self.cls not in EXACT

    def __call__(self, tensor: Any, rng: np.random.Generator | int | None) -> Any:
        """Call the function."""
        options = {**self.options, "rng": rng} if self.is_random else self.options
        return getattr(init, self.cls)(tensor, **options)

    def values(self, at: At) -> np.ndarray:
        """Return what the function fills an array with."""
        return self(np.full(self.shape, np.nan, at.dtype), at.seed)

    def twin(self, at: At) -> np.ndarray:
        """Return what PyTorch writes."""
        tensor = torch.from_numpy(np.full(self.shape, np.nan, at.dtype))
        generator = {"generator": torch.Generator().manual_seed(at.seed)} if self.is_random else {}
        return getattr(torch.nn.init, self.cls)(tensor, **self.options, **generator).numpy()

    @property
    def fans(self) -> tuple[int, int]:
        """Fan-in and fan-out of a weight (out, in, *kernel)."""
        kernel = math.prod(self.shape[2:])
        return self.shape[1] * kernel, self.shape[0] * kernel


INITIALISERS = [
    InitialiserCase("uniform_"),
    InitialiserCase("uniform_", {"a": -0.3, "b": 0.7}),
    InitialiserCase("uniform_", {"a": -2.0, "b": 3.0}),
    InitialiserCase("normal_"),
    InitialiserCase("normal_", {"mean": 0.2, "std": 0.5}),
    InitialiserCase("trunc_normal_"),
    InitialiserCase("trunc_normal_", {"mean": 0.1, "std": 0.8, "a": -1.0, "b": 1.5}),
    InitialiserCase("trunc_normal_", {"a": 2.0, "b": 3.0}),  # a tail that rejection would wait for
    InitialiserCase("xavier_uniform_"),
    InitialiserCase("xavier_uniform_", {"gain": 1.7}),
    InitialiserCase("xavier_uniform_", shape=KERNEL),
    InitialiserCase("xavier_normal_"),
    InitialiserCase("xavier_normal_", {"gain": 1.7}),
    InitialiserCase("xavier_normal_", shape=KERNEL),
    InitialiserCase("kaiming_uniform_"),
    InitialiserCase("kaiming_uniform_", {"nonlinearity": "relu"}),
    InitialiserCase("kaiming_uniform_", {"a": 0.2, "mode": "fan_out"}),
    InitialiserCase("kaiming_uniform_", {"mode": "fan_out"}, KERNEL),
    InitialiserCase("kaiming_normal_"),
    InitialiserCase("kaiming_normal_", {"nonlinearity": "relu"}),
    InitialiserCase("kaiming_normal_", {"a": 0.2, "mode": "fan_out"}),
    InitialiserCase("kaiming_normal_", shape=KERNEL),
    InitialiserCase("orthogonal_", shape=(40, 30)),
    *(InitialiserCase("orthogonal_", {"gain": 2.0}, shape) for shape in [(5, 8), (8, 5), (6, 2, 3)]),
    InitialiserCase("sparse_", {"sparsity": 0.1}),
    InitialiserCase("sparse_", {"sparsity": 0.1, "std": 0.5}),
    InitialiserCase("constant_", {"val": 0.3}),
    InitialiserCase("ones_"),
    InitialiserCase("zeros_"),
    InitialiserCase("eye_"),
    InitialiserCase("dirac_", shape=(6, 4, 5)),
    InitialiserCase("dirac_", {"groups": 2}, (6, 4, 3, 3)),
    InitialiserCase("dirac_", shape=(4, 6, 3, 2, 3)),
]

# ---------------------------------------------------------------------------------------------------------- drawing

GAIN = numbers(0.1, 3)
SLOPE = numbers(0, 1)
# Large enough that the law of large numbers holds: some thousand elements.
SHAPES = st.tuples(
    st.lists(st.integers(30, 60), min_size=2, max_size=2, unique=True), st.lists(st.integers(1, 3), max_size=3)
).map(lambda sizes: (*sizes[0], *sizes[1]))
SMALL = st.lists(st.integers(1, 7), min_size=2, max_size=5, unique=True).map(tuple)
MATRICES = st.tuples(st.integers(30, 60), st.integers(30, 60))
NONLINEARITIES = st.sampled_from(["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])


def drawn(
    cls: str, shapes: st.SearchStrategy[tuple[int, ...]], **options: st.SearchStrategy[Any]
) -> st.SearchStrategy[InitialiserCase]:
    """Draw a function's arguments, some or all; `sparse_` and `constant_` need theirs."""
    needed = {name: options.pop(name) for name in ("sparsity", "val") if name in options}
    return st.builds(InitialiserCase, st.just(cls), st.fixed_dictionaries(needed, optional=options), shapes)


def interval(low: float, width: float) -> dict[str, float]:
    return {"a": low, "b": low + width}


def truncated(mean: float, std: float, below: float, above: float) -> dict[str, float]:
    return {"mean": mean, "std": std, "a": mean - below * std, "b": mean + above * std}


@st.composite
def dirac(draw: Any) -> InitialiserCase:
    groups = draw(st.integers(1, 3))
    out, *rest = draw(st.lists(st.integers(1, 6), min_size=3, max_size=5))
    return InitialiserCase("dirac_", {"groups": groups}, (out * groups, *rest))


KAIMING = {"a": SLOPE, "mode": st.sampled_from(["fan_in", "fan_out"]), "nonlinearity": NONLINEARITIES}
DRAWN: dict[str, st.SearchStrategy[InitialiserCase]] = {
    "uniform_": st.builds(
        InitialiserCase, st.just("uniform_"), st.builds(interval, numbers(-3, 3), numbers(0.1, 3)), SHAPES
    ),
    "normal_": drawn("normal_", SHAPES, mean=numbers(-3, 3), std=numbers(0.1, 3)),
    "trunc_normal_": st.builds(
        InitialiserCase,
        st.just("trunc_normal_"),
        st.builds(truncated, numbers(-3, 3), numbers(0.1, 3), numbers(0.2, 3), numbers(0.2, 3)),
        SHAPES,
    ),
    "xavier_uniform_": drawn("xavier_uniform_", SHAPES, gain=GAIN),
    "xavier_normal_": drawn("xavier_normal_", SHAPES, gain=GAIN),
    "kaiming_uniform_": drawn("kaiming_uniform_", SHAPES, **KAIMING),
    "kaiming_normal_": drawn("kaiming_normal_", SHAPES, **KAIMING),
    "orthogonal_": drawn("orthogonal_", SMALL, gain=GAIN),
    "sparse_": drawn("sparse_", MATRICES, sparsity=numbers(0, 0.5), std=numbers(0.1, 3)),
    "constant_": drawn("constant_", SMALL, val=numbers(-3, 3)),
    "ones_": drawn("ones_", SMALL),
    "zeros_": drawn("zeros_", SMALL),
    "eye_": drawn("eye_", st.tuples(st.integers(1, 7), st.integers(1, 7))),
    "dirac_": dirac(),
}

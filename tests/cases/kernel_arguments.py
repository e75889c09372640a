"""How the arguments of each kernel are drawn, from sizes and a generator.

Outputs begin as NaN, so that one that is not written shows; those that are added to begin as numbers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.cases.case import At

IGNORED = -100


class Draw:
    """Random arguments of one dtype. N, C, S and B are pairwise distinct, so that no kernel can mix them up."""

    def __init__(
        self, at: At, sizes: tuple[int, int, int, int], length: int, scale: float, planted: tuple[float, ...]
    ) -> None:
        self.N, self.C, self.S, self.B = sizes
        self.L, self.scale, self.planted = length, scale, planted
        self.dtype, self.rng, self.flags = at.dtype, at.rng(0), at.seed

    def normal(self, *shape: int, special: bool = False) -> np.ndarray:
        """Values of size `scale` and the planted ones; inf and NaN among those only where they are `special`."""
        values = self.rng.standard_normal(shape) * self.scale
        planted = [value for value in self.planted if special or np.isfinite(value)][: values.size]
        values.flat[self.rng.permutation(values.size)[: len(planted)]] = planted
        return values.astype(self.dtype)

    def gradient(self) -> np.ndarray:
        """What an optimizer gets, NaN included, but not inf: fast arithmetic may make it NaN, which is no loss."""
        values = self.normal(self.L)
        values[: int(np.isnan(self.planted).any())] = np.nan
        return values

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        return self.rng.uniform(low, high, shape).astype(self.dtype)

    def positive(self, *shape: int) -> np.ndarray:
        return self.uniform(0.5, 1.5, *shape)

    def out(self, *shape: int) -> np.ndarray:
        return np.full(shape, np.nan, self.dtype)

    def rows(self, count: int, below: int) -> np.ndarray:
        return self.rng.integers(0, below, count)

    def targets(self) -> np.ndarray:
        """Class numbers, about one of five ignored."""
        return np.where(self.rng.random(self.N) < 0.2, IGNORED, self.rows(self.N, self.C))

    def log_sum(self, x: np.ndarray) -> np.ndarray:
        """What the forward saves for the backward of x."""
        return np.logaddexp.reduce(x.astype(np.float64), axis=1).astype(self.dtype)

    def number(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high))

    def flag(self) -> bool:
        """The next bit of the seed, so that 16 seeds in a row have all that four flags can be."""
        self.flags, bit = divmod(self.flags, 2)
        return bool(bit)

    def range(self, count: int) -> list[int]:
        """`first` and `last` of a part of so many."""
        first = self.integer(0, count)
        return [first, self.integer(first, count) + 1]

    def perhaps(self, array: np.ndarray) -> np.ndarray:
        """An optional array: empty where it is not used."""
        return array if self.flag() else array[:0]


Row = Callable[[Draw], list[Any]]


def gathered(d: Draw) -> list[Any]:
    return [d.rows(d.B, d.N), d.number(0, 2), d.number(-1, 1)]


def gather_images(d: Draw) -> list[Any]:
    """Bytes or floats, in the same size or another, rotated or not, with one channel for all or as many."""
    H, W = d.S + 2, d.B + 2
    is_resized, is_rotated, is_grey, is_bytes = (d.flag() for _ in range(4))
    P, Q = (W, H + 1) if is_resized else (H, W)
    form = d.N, 1 if is_grey else d.C, H, W
    x = d.rng.integers(0, 256, form, np.uint8) if is_bytes else d.normal(*form)
    angle = d.rng.uniform(-3, 3, d.B) * is_rotated
    first, length = d.rng.integers(0, (P, Q), (d.B, 2)), d.rng.integers(0, 3, (d.B, 2))
    moves = np.column_stack(
        [
            d.rng.integers(0, 2, d.B),
            d.rng.integers(-2, 3, (d.B, 2)),
            np.cos(angle),
            np.sin(angle),
            first,
            np.minimum(first + length, (P, Q)),
        ]
    )
    out = np.full((d.B, d.C, P, Q), np.nan, np.float32 if is_bytes else d.dtype)
    return [x, d.rows(d.B, d.N), moves, d.rng.uniform(0, 2, d.C), d.rng.uniform(-1, 1, d.C), out]


def cross_entropy(d: Draw) -> tuple[np.ndarray, list[Any]]:
    """Scores, and class weights with a smoothing that may be 0."""
    return d.normal(d.N, d.C), [d.positive(d.C), d.number(0, 1) * d.flag()]


def cross_entropy_backward(d: Draw) -> list[Any]:
    x, scalars = cross_entropy(d)
    return [x, d.targets(), d.normal(d.N), *scalars, IGNORED, d.log_sum(x), d.out(d.N, d.C)]


def soft_cross_entropy_backward(d: Draw) -> list[Any]:
    x, scalars = cross_entropy(d)
    return [x, d.positive(d.N, d.C), d.normal(d.N), *scalars, d.log_sum(x), d.out(d.N, d.C)]


def penalties(d: Draw) -> list[Any]:
    return [d.number(0, 0.5), d.number(0, 0.5)]


def sgd_update(d: Draw) -> list[Any]:
    momentum, dampening = d.number(0, 1), d.number(0, 1)
    flags = [d.flag(), d.flag(), d.flag()]
    grad, w = d.gradient(), d.normal(d.L)
    return [grad, w, d.perhaps(d.normal(d.L)), d.number(0, 1), momentum, dampening, *penalties(d), *flags]


def adam_update(d: Draw) -> list[Any]:
    # 1 - βᵗ loses digits where β is near 1: the optimizers' own checks have such.
    scalars = [d.number(0, 1), d.number(0, 0.9), d.number(0.5, 0.9), d.number(0, 0.1), *penalties(d)]
    state = [d.normal(d.L), d.positive(d.L), d.perhaps(d.positive(d.L))]
    return [d.gradient(), d.normal(d.L), *state, *scalars, d.integer(1, 100), d.flag(), d.flag()]


def rmsprop_update(d: Draw) -> list[Any]:
    mean = d.uniform(-1, 1, d.L)
    state = [mean * mean + d.positive(d.L), d.perhaps(mean), d.perhaps(d.normal(d.L))]  # a variance, not near 0
    alpha, eps, decay, l1 = d.number(0.5, 0.99), d.number(0, 0.1), *penalties(d)
    scalars = [d.number(0, 1), alpha, eps, decay, d.number(0, 1), l1]
    return [d.gradient(), d.normal(d.L), *state, *scalars, d.flag()]


def adagrad_update(d: Draw) -> list[Any]:
    scalars = [d.number(0, 1), d.number(0, 1), d.number(0, 0.1), *penalties(d), d.integer(1, 100)]
    return [d.gradient(), d.normal(d.L), d.positive(d.L), *scalars, d.flag()]


def linear_backward_weight(d: Draw) -> list[Any]:
    first, last = d.range(d.L)
    return [d.normal(d.N, d.L), d.normal(d.N, d.L, special=True), first, last, d.flag(), d.normal(last - first, d.L)]


def dropout(d: Draw) -> list[Any]:
    keys, first = [d.integer(0, 2**32) for _ in range(3)], d.integer(0, 2**31)
    return [d.normal(20 * d.L, special=True), *keys, d.number(1, 4), first, d.out(20 * d.L)]


ARGUMENTS: dict[str, Row] = {
    "prelu_forward": lambda d: [d.normal(d.N, d.C, d.S, special=True), d.normal(d.C), d.out(d.N, d.C, d.S)],
    "prelu_backward": lambda d: [
        d.normal(d.N, d.C, d.S),
        d.normal(d.C),
        d.normal(d.N, d.C, d.S),
        d.normal(d.C),
        d.out(d.N, d.C, d.S),
    ],
    "dropout": dropout,
    "relu_dropout_forward": dropout,
    "relu_dropout_backward": lambda d: [d.normal(d.L), d.normal(d.L, special=True), d.number(1, 4), d.out(d.L)],
    "embedding_backward": lambda d: [d.rows(d.B, d.N), d.normal(d.B, d.C), d.integer(-1, d.N), d.normal(d.N, d.C)],
    # So many columns that they are more than one block.
    "batch_norm_statistics": lambda d: [
        d.normal(d.N, 10 * d.L) + d.dtype(d.number(-100, 100)),
        d.number(1e-5, 0.1),
        *d.range(10 * d.L),
        *(d.out(10 * d.L) for _ in range(3)),
    ],
    "batch_norm_track": lambda d: [
        *(d.normal(d.C) for _ in range(2)),
        d.number(0, 1),
        d.number(1, 2),
        *(d.normal(d.C) for _ in range(2)),
    ],
    "batch_norm_inv_std": lambda d: [d.uniform(0, 2, d.C), d.number(1e-5, 0.1), d.out(d.C)],
    "batch_norm_forward": lambda d: [
        d.normal(d.N, 10 * d.L),
        *(d.normal(10 * d.L) for _ in range(3)),
        d.positive(10 * d.L),
        *d.range(10 * d.L),
        d.out(d.N, 10 * d.L),
    ],
    "batch_norm_backward": lambda d: [
        d.normal(d.N, 10 * d.L),
        d.normal(10 * d.L),
        d.normal(d.N, 10 * d.L),
        d.normal(10 * d.L),
        d.positive(10 * d.L),
        d.flag(),
        *d.range(10 * d.L),
        d.out(10 * d.L),
        d.out(10 * d.L),
        d.out(d.N, 10 * d.L),
    ],
    "layer_norm_forward": lambda d: [
        d.normal(d.N, d.C),
        d.normal(d.C),
        d.normal(d.C),
        d.number(1e-5, 0.1),
        d.out(d.N),
        d.out(d.N),
        d.out(d.N, d.C),
    ],
    "layer_norm_backward": lambda d: [
        d.normal(d.N, d.C),
        d.normal(d.C),
        d.normal(d.N, d.C),
        d.normal(d.N),
        d.positive(d.N),
        d.out(d.N, d.C),
    ],
    "layer_norm_backward_parameters": lambda d: [
        d.normal(d.N, 10 * d.L),
        d.normal(d.N, 10 * d.L),
        d.normal(d.N),
        d.positive(d.N),
        *d.range(10 * d.L),
        d.out(10 * d.L),
        d.out(10 * d.L),
    ],
    # As long as tiles are in all but the sums.
    "linear_forward": lambda d: [
        d.normal(d.L, d.C, special=True),
        d.normal(d.L, d.C),
        d.perhaps(d.normal(d.L)),
        *d.range(d.L),
        d.out(d.L, d.L),
    ],
    "linear_backward_input": lambda d: [
        d.normal(d.L, d.C),
        d.normal(d.C, d.L, special=True),
        *d.range(d.L),
        d.out(d.L, d.L),
    ],
    "linear_backward_weight": linear_backward_weight,
    "column_sums": lambda d: [d.normal(d.N, d.L, special=True), *d.range(d.L), d.flag(), d.normal(d.L)],
    "softmax_forward": lambda d: [d.normal(d.N, d.C, special=True), d.out(d.N, d.C)],
    "softmax_backward": lambda d: [d.normal(d.N, d.C), d.uniform(0, 1, d.N, d.C), d.out(d.N, d.C)],
    "log_softmax_forward": lambda d: [d.normal(d.N, d.C, special=True), d.out(d.N, d.C)],
    "log_softmax_backward": lambda d: [d.normal(d.N, d.C), d.uniform(-9, 0, d.N, d.C), d.out(d.N, d.C)],
    "nll_forward": lambda d: [d.normal(d.N, d.C), d.targets(), d.positive(d.C), IGNORED, d.out(d.N), d.out(d.N)],
    "nll_backward": lambda d: [d.targets(), d.normal(d.N), d.positive(d.C), IGNORED, d.out(d.N, d.C)],
    "cross_entropy_forward": lambda d: [
        d.normal(d.N, d.C),
        d.targets(),
        d.positive(d.C),
        d.number(0, 1) * d.flag(),
        IGNORED,
        *(d.out(d.N) for _ in range(3)),
    ],
    "cross_entropy_backward": cross_entropy_backward,
    "soft_cross_entropy_forward": lambda d: [
        d.normal(d.N, d.C),
        d.positive(d.N, d.C),
        d.positive(d.C),
        d.number(0, 1) * d.flag(),
        d.out(d.N),
        d.out(d.N),
    ],
    "soft_cross_entropy_backward": soft_cross_entropy_backward,
    "gather_uint8": lambda d: [
        d.rng.integers(0, 256, (d.N, d.C), np.uint8),
        *gathered(d),
        np.full((d.B, d.C), np.nan, np.float32),
    ],
    "gather_float": lambda d: [d.normal(d.N, d.C, special=True), *gathered(d), d.out(d.B, d.C)],
    "gather_images": gather_images,
    "ema_update": lambda d: [d.normal(d.L, special=True), d.normal(d.L), d.number(0, 1)],
    "sgd_update": sgd_update,
    "adam_update": adam_update,
    "rmsprop_update": rmsprop_update,
    "adagrad_update": adagrad_update,
}


def elementwise(scalars: Callable[[Draw], list[float]], saved: Callable[[Draw], np.ndarray]) -> tuple[Row, Row]:
    """Arguments of `<name>_forward(x, *scalars, y)` and `<name>_backward(dy, *scalars, saved, dx)`."""

    def forward(d: Draw) -> list[Any]:
        return [d.normal(d.L, special=True), *scalars(d), d.out(d.L)]

    def backward(d: Draw) -> list[Any]:
        return [d.normal(d.L), *scalars(d), saved(d), d.out(d.L)]

    return forward, backward


def x_of(d: Draw) -> np.ndarray:
    return d.normal(d.L)


for name, scalars, saved in (
    ("relu", lambda d: [], x_of),
    ("leaky_relu", lambda d: [d.number(-1, 1)], x_of),
    ("elu", lambda d: [d.number(0.1, 2), d.number(0.5, 2)], x_of),
    ("gelu", lambda d: [], x_of),
    ("gelu_tanh", lambda d: [], x_of),
    ("silu", lambda d: [], x_of),
    ("tanh", lambda d: [], lambda d: d.uniform(-1, 1, d.L)),
    ("sigmoid", lambda d: [], lambda d: d.uniform(0, 1, d.L)),
    ("hardtanh", lambda d: [d.number(-2, 0), d.number(0, 2)], x_of),
    ("hardswish", lambda d: [], x_of),
    ("softplus", lambda d: [d.number(0.5, 2), d.number(1, 20)], x_of),
):
    ARGUMENTS[f"{name}_forward"], ARGUMENTS[f"{name}_backward"] = elementwise(scalars, saved)


def of_loss(count: int, scalars: Callable[[Draw], list[float]]) -> tuple[Row, Row]:
    """Arguments of `<name>_forward(x, t, ..., losses)` and `<name>_backward(x, t, dlosses, ..., dx)`."""

    def forward(d: Draw) -> list[Any]:
        return [d.normal(d.L), d.normal(d.L), *(d.positive(d.L) for _ in range(count)), *scalars(d), d.out(d.L)]

    def backward(d: Draw) -> list[Any]:
        x, t, *rest = forward(d)
        return [x, t, d.normal(d.L), *rest]

    return forward, backward


for name, count, scalars in (
    ("mse", 0, lambda d: []),
    ("l1", 0, lambda d: []),
    ("huber", 0, lambda d: [d.number(0.1, 2), d.number(0.5, 2)]),
    ("bce_with_logits", 2, lambda d: []),
):
    ARGUMENTS[f"{name}_forward"], ARGUMENTS[f"{name}_backward"] = of_loss(count, scalars)

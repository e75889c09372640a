"""How the arguments of the kernels of images are drawn, as in `kernel_arguments`."""

from typing import Any

import numpy as np

from tests.cases.kernel_arguments import Draw, Row


def table(d: Draw, outputs: int, taps: int) -> np.ndarray:
    """Any pixels, some of them outside."""
    return np.maximum(d.rng.integers(-2, d.S, (outputs, taps)), -1)


def conv_forward(d: Draw) -> list[Any]:
    """With more outputs than are gathered at a time, and as many channels as tiles are wide."""
    G, T = d.integer(1, 4), d.integer(1, 4)
    x, w = d.normal(d.N, d.S, G * d.C, special=True), d.normal(G, T * d.C, d.L)
    return [x, w, d.perhaps(d.normal(G * d.L)), table(d, 2 * d.L, T), d.out(d.N, 2 * d.L, G * d.L)]


def conv_backward_weight(d: Draw) -> list[Any]:
    G, T = d.integer(1, 4), d.integer(1, 4)
    x, dy = d.normal(d.N, d.S, G * d.C, special=True), d.normal(d.N, d.B, G * d.L)
    return [x, dy, table(d, d.B, T), *d.range(G * T * d.C), d.out(G, T * d.C, d.L)]


def pooled(d: Draw) -> tuple[np.ndarray, np.ndarray]:
    """A table, and numbers of taps."""
    T = d.integer(1, 5)
    return table(d, d.B, T), d.rng.integers(0, T, (d.N, d.B, d.L)).astype(np.uint8)


def max_pool_forward(d: Draw) -> list[Any]:
    seen, index = pooled(d)
    return [d.normal(d.N, d.S, d.L, special=True), seen, np.full_like(index, 255), d.out(*index.shape)]


def max_pool_backward(d: Draw) -> list[Any]:
    seen, index = pooled(d)
    return [d.normal(*index.shape), index, seen, d.out(d.N, d.S, d.L)]


def windows(d: Draw, pixels: int, outputs: int) -> list[Any]:
    seen = table(d, d.B, d.integer(1, 5))
    return [d.normal(d.N, pixels, d.L, special=True), seen, d.normal(*seen.shape), d.out(d.N, outputs, d.L)]


def groups(d: Draw) -> tuple[tuple[int, int, int], list[np.ndarray]]:
    """The form of some images, and the mean and 1 / the standard deviation of each group."""
    G = d.integer(1, 5)
    return (d.N, d.S, G * d.C), [d.normal(d.N, G), d.positive(d.N, G)]


def group_norm_statistics(d: Draw) -> list[Any]:
    form, statistics = groups(d)
    shape = statistics[0].shape
    return [d.normal(*form) + d.dtype(d.number(-100, 100)), d.number(1e-5, 0.1), *(d.out(*shape) for _ in range(3))]


def group_norm_forward(d: Draw) -> list[Any]:
    form, statistics = groups(d)
    return [d.normal(*form), d.normal(form[2]), d.normal(form[2]), *statistics, d.out(*form)]


def group_norm_backward(d: Draw) -> list[Any]:
    form, statistics = groups(d)
    return [d.normal(*form), d.normal(form[2]), d.normal(*form), *statistics, d.out(*form)]


def group_norm_backward_parameters(d: Draw) -> list[Any]:
    form, statistics = groups(d)
    return [d.normal(*form), d.normal(*form), *statistics, d.out(form[2]), d.out(form[2])]


ARGUMENTS: dict[str, Row] = {
    "conv_forward": conv_forward,
    "conv_backward_weight": conv_backward_weight,
    "max_pool_forward": max_pool_forward,
    "max_pool_backward": max_pool_backward,
    "window_forward": lambda d: windows(d, d.S, d.B),
    "window_backward": lambda d: windows(d, d.B, d.S),
    "scale_channels": lambda d: [d.normal(d.N, d.S, d.L, special=True), d.normal(d.N, d.L), d.out(d.N, d.S, d.L)],
    "group_norm_statistics": group_norm_statistics,
    "group_norm_forward": group_norm_forward,
    "group_norm_backward": group_norm_backward,
    "group_norm_backward_parameters": group_norm_backward_parameters,
}

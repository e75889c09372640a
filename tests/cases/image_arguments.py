"""How the arguments of the kernels of images are drawn, as in `kernel_arguments`."""

from typing import Any

import numpy as np

from tests.cases.kernel_arguments import Draw, Row


def table(d: Draw, outputs: int, taps: int) -> np.ndarray:
    """Any pixels, some of them outside."""
    return np.maximum(d.rng.integers(-2, d.S, (outputs, taps)), -1)


def images(d: Draw) -> tuple[int, int, int, int]:
    """Numbers of images, groups, channels of each, and taps: the first and third less than a tile has rows, or more."""
    more = 9 * d.flag()
    return d.N + more, d.integer(1, 4), d.C + more, d.integer(1, 4)


def conv_forward(d: Draw) -> list[Any]:
    """With more outputs than are gathered at a time, and as many channels as tiles are wide."""
    N, G, C, T = images(d)
    x, w = d.normal(d.S, N, G * C, special=True), d.normal(G, T * C, d.L)
    add, b, y = d.flag(), d.perhaps(d.normal(G * d.L)), (2 * d.L, N, G * d.L)
    return [x, w, b[:0] if add else b, table(d, 2 * d.L, T), add, d.normal(*y) if add else d.out(*y)]


def conv_backward_weight(d: Draw) -> list[Any]:
    N, G, C, T = images(d)
    x, dy = d.normal(d.S, N, G * C, special=True), d.normal(d.B, N, G * d.L)
    parts = d.integer(1, 3)
    return [x, dy, table(d, d.B, T), *d.range(parts * G * T * C), d.out(parts, G, T * C, d.L)]


def conv_weight_gradient(d: Draw) -> list[Any]:
    _, G, C, T = images(d)
    return [d.normal(d.integer(1, 4), G, T * C, d.L), *d.range(G * C), d.out(G * d.L, C, T)]


def depthwise_forward(d: Draw) -> list[Any]:
    x, seen = d.normal(d.S, d.N, d.L, special=True), table(d, d.B, d.integer(1, 12))
    return [x, d.normal(seen.shape[1], d.L), d.perhaps(d.normal(d.L)), seen, d.out(d.B, d.N, d.L)]


def depthwise_backward_weight(d: Draw) -> list[Any]:
    """With more outputs than stay in the cache at a time."""
    x, seen = d.normal(d.S, d.N, d.L, special=True), table(d, 20 * d.B, d.integer(1, 12))
    return [x, d.normal(len(seen), d.N, d.L), seen, *d.range(d.L), d.out(seen.shape[1], d.L)]


def max_pool_forward(d: Draw) -> list[Any]:
    seen = table(d, d.B, d.integer(1, 5))
    index = np.full((d.B, d.N, d.L), 255, np.uint8)
    return [d.normal(d.S, d.N, d.L, special=True), seen, index, d.out(*index.shape)]


def max_pool_backward(d: Draw) -> list[Any]:
    T = d.integer(1, 5)
    index = d.rng.integers(0, T, (d.S, d.N, d.L)).astype(np.uint8)
    return [d.normal(*index.shape), index, table(d, d.B, T), d.out(d.B, d.N, d.L)]


def window_sums(d: Draw) -> list[Any]:
    seen = table(d, d.B, d.integer(1, 5))
    return [d.normal(d.S, d.N, d.L, special=True), seen, d.normal(*seen.shape), d.out(d.B, d.N, d.L)]


def groups(d: Draw) -> tuple[tuple[int, int, int], list[np.ndarray]]:
    """The form of some images, and the mean and 1 / the standard deviation of each group."""
    G = d.integer(1, 5)
    return (d.S, d.N, G * d.C), [d.normal(d.N, G), d.positive(d.N, G)]


def group_norm_statistics(d: Draw) -> list[Any]:
    form, statistics = groups(d)
    outputs = [d.out(*statistics[0].shape) for _ in range(3)]
    return [d.normal(*form) + d.dtype(d.number(-100, 100)), d.number(1e-5, 0.1), *d.range(d.N), *outputs]


def group_norm_forward(d: Draw) -> list[Any]:
    form, statistics = groups(d)
    return [d.normal(*form), d.normal(form[2]), d.normal(form[2]), *statistics, d.out(*form)]


def group_norm_backward(d: Draw) -> list[Any]:
    form, statistics = groups(d)
    return [d.normal(*form), d.normal(form[2]), d.normal(*form), *statistics, *d.range(d.N), d.out(*form)]


def group_norm_backward_parameters(d: Draw) -> list[Any]:
    form, statistics = groups(d)
    return [d.normal(*form), d.normal(*form), *statistics, d.out(form[2]), d.out(form[2])]


def widths(d: Draw) -> tuple[int, int]:
    """What channels are multiples of, and the width of a panel of weights; where there are no vectors, any."""
    try:
        from minigrad.engine.winograd import panel_width, unit
    except ImportError:
        return 4, 8
    vector = unit(d.dtype)
    return vector, panel_width(0, d.dtype) if d.flag() else vector


def patches(d: Draw) -> tuple[np.ndarray, np.ndarray, int]:
    """What some patches see, which outputs they are (each one once, and some that are not there), and how many."""
    places = d.rng.permutation(16 * d.B)
    return table(d, d.B, 36), np.where(places < 13 * d.B, places, -1).reshape(d.B, 16), 13 * d.B


def winograd_weights(d: Draw) -> list[Any]:
    """The gradient's arguments are the same in the other order."""
    (_, width), turned = widths(d), d.flag()
    K = width * d.integer(1, 3)
    w = d.normal(d.C, K, 9) if turned else d.normal(K, d.C, 9)
    return [w, turned, *d.range(d.C), d.out(K // width, 36, d.C, width)]


def winograd_weight_gradient(d: Draw) -> list[Any]:
    K = widths(d)[1] * d.integer(1, 3)
    return [d.normal(d.integer(1, 4), 36, d.C, K), *d.range(d.C), d.out(K, d.C, 9)]


def winograd_forward(d: Draw) -> list[Any]:
    vector, width = widths(d)
    (N, panels, _, depth), (seen, places, outputs) = images(d), patches(d)
    x, u = d.normal(d.S, N, vector * depth), d.normal(panels, 36, vector * depth, width)
    pieces = d.range(d.B * panels)
    add, y = d.flag(), (outputs, N, panels * width)
    return [x, u, d.normal(panels * width), seen, places, add, *pieces, d.normal(*y) if add else d.out(*y)]


def winograd_input(d: Draw) -> list[Any]:
    (vector, _), (N, _, _, depth), (seen, _, _) = widths(d), images(d), patches(d)
    C, rows = vector * depth, d.B * N
    return [d.normal(d.S, N, C), seen, *d.range(rows), d.out(36, rows * C + vector)]


def winograd_of_few(d: Draw) -> list[Any]:
    """With more channels than are transformed at a time, and whole tiles of outputs."""
    (vector, _), (_, places, outputs), turned, add = widths(d), patches(d), d.flag(), d.flag()
    wide, width = d.integer(1, 4), 2 * vector
    C, K = vector * d.integer(1, 10), width * wide
    first, last = d.range(wide)
    v = d.normal(36, d.B * d.N * C + vector)
    w = d.normal(C, K, 9) if turned else d.normal(K, C, 9)
    y = d.normal(outputs, d.N, K) if add else d.out(outputs, d.N, K)
    return [v, w, turned, d.normal(K), places, add, first * width, last * width, y]


def winograd_backward_weight(d: Draw) -> list[Any]:
    (vector, width), (seen, places, outputs) = widths(d), patches(d)
    N, wide, _, deep = images(d)
    C, K, parts = vector * deep, width * wide, d.integer(1, d.B + 1)
    first, last = d.range(parts * deep)
    x, dy = d.normal(d.S, N, C), d.normal(outputs, N, K)
    return [x, dy, seen, places, first * vector, last * vector, d.out(parts, 36, C, K)]


def moments(d: Draw) -> np.ndarray:
    """Of each pixel and channel: the mean over images, and the sum of squared distances."""
    return np.stack([d.rng.standard_normal((d.S, d.L)), d.rng.uniform(0.5, 1.5, (d.S, d.L))], axis=1)


def channels(d: Draw) -> tuple[tuple[int, int, int], tuple[np.ndarray, ...], bool]:
    """The form of some images, a vector of numbers and one of positive numbers for their channels, and a flag."""
    return (d.S, d.N, d.L), (d.normal(d.L), d.positive(d.L)), d.flag()


def channel_norm_forward(d: Draw) -> list[Any]:
    form, statistics, relu = channels(d)
    return [d.normal(*form), d.normal(d.L), d.normal(d.L), *statistics, relu, d.out(*form)]


def channel_norm_add_relu(d: Draw) -> list[Any]:
    form, statistics, _ = channels(d)
    return [d.normal(*form), d.normal(d.L), d.normal(d.L), *statistics, d.normal(*form), d.out(*form)]


def channel_norm_sums(d: Draw) -> list[Any]:
    form, statistics, relu = channels(d)
    dy, gamma, beta, x = d.normal(*form), d.normal(d.L), d.normal(d.L), d.normal(*form)
    return [dy, gamma, beta, x, *statistics, relu, np.full((d.S, 2, d.L), np.nan)]


def channel_norm_backward(d: Draw) -> list[Any]:
    form, statistics, relu = channels(d)
    vectors = (d.normal(d.L) for _ in range(4))
    return [d.normal(*form), *vectors, d.normal(*form), *statistics, relu, d.number(0, 1), d.out(*form)]


ARGUMENTS: dict[str, Row] = {
    "conv_weight_gradient": conv_weight_gradient,
    "winograd_weights": winograd_weights,
    "winograd_weight_gradient": winograd_weight_gradient,
    "winograd_forward": winograd_forward,
    "winograd_input": winograd_input,
    "winograd_of_few": winograd_of_few,
    "winograd_backward_weight": winograd_backward_weight,
    "channel_moments": lambda d: [d.normal(d.S, d.N, d.L), np.full((d.S, 2, d.L), np.nan)],
    "channel_statistics": lambda d: [moments(d), d.N, d.number(1e-5, 0.1), *(d.out(d.L) for _ in range(3))],
    "channel_norm_forward": channel_norm_forward,
    "channel_norm_add_relu": channel_norm_add_relu,
    "channel_norm_sums": channel_norm_sums,
    "channel_norm_backward_parameters": lambda d: [moments(d), d.positive(d.L), d.out(d.L), d.out(d.L)],
    "channel_norm_backward": channel_norm_backward,
    "conv_forward": conv_forward,
    "conv_backward_weight": conv_backward_weight,
    "depthwise_forward": depthwise_forward,
    "depthwise_backward_weight": depthwise_backward_weight,
    "max_pool_forward": max_pool_forward,
    "max_pool_backward": max_pool_backward,
    "window_sums": window_sums,
    "scale_channels": lambda d: [d.normal(d.S, d.N, d.L, special=True), d.normal(d.N, d.L), d.out(d.S, d.N, d.L)],
    "group_norm_statistics": group_norm_statistics,
    "group_norm_forward": group_norm_forward,
    "group_norm_backward": group_norm_backward,
    "group_norm_backward_parameters": group_norm_backward_parameters,
}

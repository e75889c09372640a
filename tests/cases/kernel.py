"""One row for each kernel: how its arguments are drawn. Whatever array it writes to is compared after the call."""

from collections.abc import Callable
from typing import Any

import numpy as np

Draw = Callable[[np.random.Generator, Any], list[Any]]
N, C, S = 5, 3, 4


def elementwise(*scalars: float) -> tuple[Draw, Draw]:
    """Arguments of `<name>_forward(x, *scalars, y)` and `<name>_backward(dy, *scalars, saved, dx)`."""

    def forward(rng: np.random.Generator, dtype: Any) -> list[Any]:
        x = np.concatenate([rng.standard_normal(57) * 3, [0.0, np.inf, -np.inf, np.nan, 30, -30]]).astype(dtype)
        return [x, *scalars, np.empty_like(x)]

    def backward(rng: np.random.Generator, dtype: Any) -> list[Any]:
        dy, saved = (rng.standard_normal(57).astype(dtype) for _ in range(2))
        return [dy, *scalars, saved, np.empty_like(dy)]

    return forward, backward


def normal(rng: np.random.Generator, dtype: Any, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


def positive(rng: np.random.Generator, dtype: Any, *shape: int) -> np.ndarray:
    return rng.uniform(0.5, 1.5, shape).astype(dtype)


def zeros(dtype: Any, *shape: int) -> np.ndarray:
    return np.zeros(shape, dtype)


def targets(rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([rng.integers(0, C, N - 1), [-100]])


KERNELS: dict[str, Draw] = {
    "prelu_forward": lambda r, t: [normal(r, t, N, C, S), normal(r, t, C), zeros(t, N, C, S)],
    "prelu_backward": lambda r, t: [
        normal(r, t, N, C, S),
        normal(r, t, C),
        normal(r, t, N, C, S),
        normal(r, t, C),
        zeros(t, N, C, S),
    ],
    "dropout": lambda r, t: [normal(r, t, 1000), 12345678, 4123456789, 2**30, 4 / 3, zeros(t, 1000)],
    "embedding_backward": lambda r, t: [r.integers(0, 4, N), normal(r, t, N, C), 2, normal(r, t, 4, C)],
    "batch_norm_statistics": lambda r, t: [normal(r, t, N, C) + t(100), 1e-5, *(zeros(t, C) for _ in range(3))],
    "batch_norm_track": lambda r, t: [
        *(normal(r, t, C) for _ in range(2)),
        0.1,
        1.25,
        *(normal(r, t, C) for _ in range(2)),
    ],
    "batch_norm_forward": lambda r, t: [
        normal(r, t, N, C),
        *(normal(r, t, C) for _ in range(3)),
        positive(r, t, C),
        zeros(t, N, C),
    ],
    "batch_norm_backward": lambda r, t: [
        normal(r, t, N, C),
        normal(r, t, C),
        normal(r, t, N, C),
        normal(r, t, C),
        positive(r, t, C),
        bool(r.integers(2)),
        zeros(t, C),
        zeros(t, C),
        zeros(t, N, C),
    ],
    "layer_norm_forward": lambda r, t: [
        normal(r, t, N, C),
        normal(r, t, C),
        normal(r, t, C),
        1e-5,
        zeros(t, N),
        zeros(t, N),
        zeros(t, N, C),
    ],
    "layer_norm_backward": lambda r, t: [
        normal(r, t, N, C),
        normal(r, t, C),
        normal(r, t, N, C),
        normal(r, t, N),
        positive(r, t, N),
        zeros(t, C),
        zeros(t, C),
        zeros(t, N, C),
    ],
    "softmax_forward": lambda r, t: [normal(r, t, N, C) * t(9), zeros(t, N, C)],
    "softmax_backward": lambda r, t: [normal(r, t, N, C), positive(r, t, N, C), zeros(t, N, C)],
    "log_softmax_forward": lambda r, t: [normal(r, t, N, C) * t(9), zeros(t, N, C)],
    "log_softmax_backward": lambda r, t: [normal(r, t, N, C), -positive(r, t, N, C), zeros(t, N, C)],
    "nll_forward": lambda r, t: [normal(r, t, N, C), targets(r), positive(r, t, C), -100, zeros(t, N), zeros(t, N)],
    "nll_backward": lambda r, t: [targets(r), normal(r, t, N), positive(r, t, C), -100, zeros(t, N, C) + t(7)],
    "cross_entropy_forward": lambda r, t: [
        normal(r, t, N, C),
        targets(r),
        positive(r, t, C),
        r.choice([0.0, 0.1]),
        -100,
        *(zeros(t, N) for _ in range(3)),
    ],
    "cross_entropy_backward": lambda r, t: [
        normal(r, t, N, C),
        targets(r),
        normal(r, t, N),
        positive(r, t, C),
        0.1,
        -100,
        normal(r, t, N),
        zeros(t, N, C) + t(7),
    ],
    "soft_cross_entropy_forward": lambda r, t: [
        normal(r, t, N, C),
        positive(r, t, N, C),
        positive(r, t, C),
        0.1,
        zeros(t, N),
        zeros(t, N),
    ],
    "soft_cross_entropy_backward": lambda r, t: [
        normal(r, t, N, C),
        positive(r, t, N, C),
        normal(r, t, N),
        positive(r, t, C),
        0.1,
        normal(r, t, N),
        zeros(t, N, C),
    ],
    "gather_uint8": lambda r, t: [
        r.integers(0, 256, (N, C), np.uint8),
        r.integers(0, N, 7),
        1 / 255,
        -0.5,
        zeros(np.float32, 7, C),
    ],
    "gather_float": lambda r, t: [normal(r, t, N, C), r.integers(0, N, 7), 2.0, -0.5, zeros(t, 7, C)],
    "ema_update": lambda r, t: [normal(r, t, 50), normal(r, t, 50), 0.9],
    "sgd_update": lambda r, t: [
        *(normal(r, t, 50) for _ in range(3)),
        *(0.1, 0.9, 0.2, 0.01, 0.02),
        *(bool(v) for v in r.integers(0, 2, 3)),
    ],
    "adam_update": lambda r, t: [
        *(normal(r, t, 50) for _ in range(3)),
        positive(r, t, 50),
        positive(r, t, 50 * int(r.integers(2))),
        *(0.1, 0.9, 0.99, 1e-8, 0.01, 0.02, 3),
        *(bool(v) for v in r.integers(0, 2, 2)),
    ],
    "rmsprop_update": lambda r, t: [
        normal(r, t, 50),
        normal(r, t, 50),
        positive(r, t, 50) + t(2),
        normal(r, t, 50 * int(r.integers(2))) / t(9),
        normal(r, t, 50 * int(r.integers(2))),
        *(0.1, 0.9, 1e-8, 0.01, 0.8, 0.02),
        bool(r.integers(2)),
    ],
    "adagrad_update": lambda r, t: [
        normal(r, t, 50),
        normal(r, t, 50),
        positive(r, t, 50),
        *(0.1, 0.01, 1e-8, 0.01, 0.02, 3),
        bool(r.integers(2)),
    ],
}

for name, scalars in {
    "relu": (),
    "leaky_relu": (0.1,),
    "elu": (0.7, 1.3),
    "gelu": (),
    "gelu_tanh": (),
    "silu": (),
    "tanh": (),
    "sigmoid": (),
    "hardtanh": (-0.7, 0.9),
    "softplus": (1.3, 5.0),
}.items():
    KERNELS[f"{name}_forward"], KERNELS[f"{name}_backward"] = elementwise(*scalars)

for name, count, scalars in (
    ("mse", 0, ()),
    ("l1", 0, ()),
    ("huber", 0, (0.7, 1.3)),
    ("bce_with_logits", 2, ()),
):

    def forward(r: Any, t: Any, count: int = count, scalars: Any = scalars) -> list[Any]:
        return [normal(r, t, 50), normal(r, t, 50), *(positive(r, t, 50) for _ in range(count)), *scalars, zeros(t, 50)]

    def backward(r: Any, t: Any, count: int = count, scalars: Any = scalars) -> list[Any]:
        x, target, *rest = forward(r, t, count, scalars)
        return [x, target, normal(r, t, 50), *rest]

    KERNELS[f"{name}_forward"], KERNELS[f"{name}_backward"] = forward, backward

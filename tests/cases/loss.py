"""Cases of the losses."""

from typing import Any

import numpy as np
import torch

from minigrad import nn
from tests.cases.case import LossCase

WEIGHT = np.array([0.5, 2.0, 1.5, 0.7])
Rng = np.random.Generator


def indices(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(0, shape[min(1, len(shape) - 1)], shape[:1] + shape[2:] if len(shape) > 1 else ())


def byte_indices(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    return indices(rng, shape).astype(np.uint8)


def some_ignored(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    target = indices(rng, shape)
    target.reshape(-1)[::3] = 2
    return target


def some_minus_100(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    target = indices(rng, shape)
    target.reshape(-1)[::3] = -100
    return target


def probabilities(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    target = rng.random(shape)
    return target / target.sum(axis=min(1, len(shape) - 1), keepdims=True)


def values(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape)


def fractions(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    return rng.random(shape)


def case(name: str, shape: Any, target: Any, kinks: Any = None, arrays: Any = None, **options: Any) -> LossCase:
    """The same class in both libraries, with the same options; `arrays` are options that are arrays."""
    arrays = arrays or {}
    cls, twin = getattr(nn, name), getattr(torch.nn, name)
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
    label = "-".join([name, *map(str, arrays), *(f"{k}={v}" for k, v in options.items()), target.__name__, str(shape)])
    return LossCase(label, lambda: cls(**arrays, **options), lambda: twin(**tensors, **options), shape, target, kinks)


LOSSES = [
    case("CrossEntropyLoss", (5, 4), indices),
    case("CrossEntropyLoss", (5, 4), byte_indices),
    case("CrossEntropyLoss", (5, 4), indices, label_smoothing=0.1),
    case("CrossEntropyLoss", (5, 4, 3), indices, label_smoothing=0.2, reduction="sum"),
    case("CrossEntropyLoss", (4,), indices),
    case("CrossEntropyLoss", (5, 4), indices, arrays={"weight": WEIGHT}, label_smoothing=0.1),
    case("CrossEntropyLoss", (6, 4), some_minus_100, arrays={"weight": WEIGHT}, label_smoothing=0.1),
    case("CrossEntropyLoss", (6, 4, 2), some_ignored, ignore_index=2),
    case("CrossEntropyLoss", (6, 4), some_ignored, ignore_index=2, reduction="none"),
    case("CrossEntropyLoss", (5, 4), probabilities),
    case("CrossEntropyLoss", (5, 4, 3), probabilities, arrays={"weight": WEIGHT}, label_smoothing=0.1),
    case("CrossEntropyLoss", (5, 4, 3), probabilities, reduction="none"),
    case("CrossEntropyLoss", (4,), probabilities, reduction="sum"),
    case("NLLLoss", (5, 4), indices),
    case("NLLLoss", (5, 4, 3), byte_indices, reduction="none"),
    case("NLLLoss", (5, 4, 3), some_minus_100, arrays={"weight": WEIGHT}),
    case("NLLLoss", (6, 4), some_ignored, ignore_index=2, reduction="none"),
    case("NLLLoss", (4,), indices, reduction="sum"),
    case("MSELoss", (5, 4), values),
    case("MSELoss", (5, 4, 3), values, reduction="sum"),
    case("MSELoss", (5,), values, reduction="none"),
    case("L1Loss", (5, 4), values, (0,)),
    case("L1Loss", (5, 4), values, (0,), reduction="none"),
    case("HuberLoss", (5, 4), values, (-1, 1)),
    case("HuberLoss", (5, 4), values, (-0.4, 0.4), delta=0.4, reduction="sum"),
    case("SmoothL1Loss", (5, 4), values, (-1, 1)),
    case("SmoothL1Loss", (5, 4), values, (-0.4, 0.4), beta=0.4, reduction="none"),
    case("SmoothL1Loss", (5, 4), values, (0,), beta=0.0),
    case("BCEWithLogitsLoss", (5, 4), fractions),
    case("BCEWithLogitsLoss", (5, 4), fractions, arrays={"pos_weight": WEIGHT}, reduction="sum"),
    case("BCEWithLogitsLoss", (5, 4), fractions, arrays={"weight": WEIGHT, "pos_weight": WEIGHT[::-1].copy()}),
    case("BCEWithLogitsLoss", (5,), fractions, reduction="none"),
]

"""The generator that layers draw from when they are given none."""

from __future__ import annotations

import numpy as np

_default: np.random.Generator | None = None  # NumPy's random numbers load with the first layer


def manual_seed(seed: int) -> None:
    """Seed the default generator: initial weights and dropout masks of layers made afterwards are repeatable.

    >>> import minigrad
    >>> minigrad.manual_seed(0)
    """
    global _default
    _default = np.random.default_rng(seed)


def generator(rng: np.random.Generator | int | None) -> np.random.Generator:
    """Return `rng` as a Generator: itself, one seeded with an integer, or the default one for None."""
    global _default
    if rng is None:
        _default = _default or np.random.default_rng()
        return _default
    return np.random.default_rng(rng)

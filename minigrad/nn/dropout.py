"""Dropout: a mask that nobody stores, because it can be computed again."""

from __future__ import annotations

import numpy as np

from minigrad import kernels
from minigrad.nn.module import Module
from minigrad.nn.parameter import Array
from minigrad.nn.rng import generator


class Dropout(Module):
    r"""y = m x / (1 - p) in training, with m_i = 0 with probability p, else 1; y = x in evaluation.

    Whether element i is kept is a pure function of (seed, step, i); the seed is drawn once for each layer, the step
    counts its training forwards. So a run can be repeated and resumed exactly, by any number of threads.

    Arguments:
        p: probability of a zero, in [0, 1].
        inplace: PyTorch's, without effect.
        rng: generator or seed from which this layer's seed is drawn.

    Shape:
        x: any, y: the same. In evaluation, and with p = 0, y is x itself.

    Backward: dx = m dy / (1 - p).

    Saved: seed and step. The mask is computed again.

    >>> Dropout(0.5, rng=0)(np.ones(8, np.float32)).tolist()
    [2.0, 2.0, 2.0, 0.0, 2.0, 0.0, 2.0, 0.0]
    """

    seed: int

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: np.random.Generator | int | None = None) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: want a probability p in [0, 1], got {p}")
        self.p, self.inplace = p, inplace
        self.seed = int(generator(rng).integers(2**63))
        self._steps = np.zeros(1, np.int64)  # an array, which compiled programs count in

    @property
    def step(self) -> int:
        """How many training forwards there have been."""
        return int(self._steps[0])

    @step.setter
    def step(self, step: int) -> None:
        self._steps[0] = step

    def _forward(self, x: Array) -> tuple[Array, tuple[int, int] | None]:
        x = self._input(x)
        if not self.training or self.p == 0:
            return x, None
        key = stream_key(self.seed, self.step)
        self.step += 1
        return self._apply(key, x), key

    def _backward(self, saved: tuple[int, int] | None, dy: Array) -> Array:
        return dy if saved is None else self._apply(saved, dy)

    def _apply(self, key: tuple[int, int], x: Array) -> Array:
        """Return x with the elements of mask `key` dropped and the others scaled up."""
        y = np.empty_like(x)
        kernels.dropout(x.reshape(-1), *key, self.threshold, self.scale, 0, y.reshape(-1))
        return y

    @property
    def scale(self) -> float:
        """The factor of what is kept."""
        return 1 / (1 - self.p) if self.p < 1 else 0.0

    @property
    def threshold(self) -> int:
        """The least 32-bit hash of an element that is kept."""
        return min(round(self.p * 2**32), 2**32 - 1)

    def extra_repr(self) -> str:
        """Return p."""
        return f"p={self.p}"


class Dropout2d(Dropout):
    r"""Dropout of whole channels: y_nc = m_nc x_nc / (1 - p) in training, with m_nc = 0 with probability p, else 1.

    Arguments:
        p: probability of a zero, in [0, 1].
        inplace: PyTorch's, without effect.
        rng: generator or seed from which this layer's seed is drawn.

    Shape:
        x: (N, C, H, W) or (C, H, W), y: the same. In evaluation, and with p = 0, y is x itself.

    Backward: dx_nc = m_nc dy_nc / (1 - p).

    Saved: seed and step. The mask, that of Dropout for (N, C), is computed again.

    >>> Dropout2d(0.5, rng=0)(np.ones((4, 1, 1), np.float32)).reshape(-1).tolist()
    [2.0, 2.0, 2.0, 0.0]
    """

    def _forward(self, x: Array) -> tuple[Array, tuple[int, int] | None]:
        return super()._forward(self._input(x, "(N, C, H, W) or (C, H, W)", x.ndim in (3, 4)))

    def _apply(self, key: tuple[int, int], x: Array) -> Array:
        factors = super()._apply(key, np.ones(x.shape[:-2], x.dtype))
        return x * factors[..., None, None]


def stream_key(seed: int, step: int) -> tuple[int, int]:
    """Return the two 32-bit keys of mask number `step` of a stream: SplitMix64 (Steele et al., 2014)."""
    z = (seed + 0x9E3779B97F4A7C15 * (step + 1)) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    z ^= z >> 31
    return z >> 32, z % 2**32

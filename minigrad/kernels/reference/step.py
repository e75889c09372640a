"""What a compiled step counts and adds up: batches, masks, losses, norms. A cell is an array of one element."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CHUNK = 8192  # elements whose squares are summed at a time


def count(counter: Array) -> None:
    """Add 1."""
    counter += 1


def inverse(counter: Array, share: Array) -> None:
    """share = 1 / counter."""
    share[0] = 1 / counter[0]


def take_batch(order: Array, position: Array, index: Array) -> None:
    """index = the next numbers of order, from the position on, which moves behind them."""
    index[...] = order[position[0] : position[0] + index.size]
    position += index.size


def take_row(table: Array, position: Array, row: Array) -> None:
    """Row = the row of a flat table at the position."""
    row[...] = table[position[0] * row.size :][: row.size]


def mask_key(seed: int, step: Array, key0: Array, key1: Array) -> None:
    """The two 32-bit keys of mask number `step` of a stream, which counts on: SplitMix64 (Steele et al., 2014)."""
    z = (int(seed) + 0x9E3779B97F4A7C15 * (int(step[0]) + 1)) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    z ^= z >> 31
    key0[0], key1[0] = z >> 32, z % 2**32
    step += 1


def reduce_loss(losses: Array, weights: Array, is_mean: bool, value: Array, dlosses: Array) -> None:
    """The sum of the losses, or their mean (over the weights, or without any over their number); dlosses is its
    gradient. A mean over nothing is NaN.
    """
    count = weights.sum(dtype=np.float64) if weights.size else losses.size
    divisor = (count or np.nan) if is_mean else 1.0
    value[0] = losses.sum(dtype=np.float64) / divisor
    dlosses[...] = 1 / divisor


def note_loss(value: Array, position: Array, values: Array) -> None:
    """values[position] = value, and the position moves on."""
    values[position[0]] = value[0]
    position += 1


def count_correct(outputs: Array, target: Array, correct: Array) -> None:
    """Add to `correct` the number of rows of outputs (M, C) whose largest value, or first NaN, stands at the target."""
    correct += np.count_nonzero(outputs.argmax(axis=1) == target)


def square_sums(x: Array, first: int, last: int, sums: Array) -> None:
    """sums[k] = sum of the squares of x in chunk k, for the chunks from first to last."""
    for k in range(first, last):
        sums[k] = np.square(x[k * CHUNK : (k + 1) * CHUNK], dtype=np.float64).sum()


def clip_factor(sums: Array, max_norm: float, norm: Array, factor: Array) -> None:
    """norm = sqrt(sum of sums); factor = max_norm / (norm + 1e-6), at most 1."""
    norm[0] = np.sqrt(sums.sum())
    wanted = max_norm / (norm[0] + 1e-6)
    factor[0] = 1.0 if wanted >= 1 else wanted


def scale(factor: float, x: Array) -> None:
    """X *= factor, where it is not 1."""
    if factor != 1:
        x *= x.dtype.type(factor)

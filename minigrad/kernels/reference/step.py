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


def mask_key(seed: int, step: Array, use: int, key0: Array, key1: Array) -> None:
    """The two 32-bit keys of mask number `step + use` of a stream: SplitMix64 (Steele et al., 2014)."""
    z = (int(seed) + 0x9E3779B97F4A7C15 * (int(step[0]) + use + 1)) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    z ^= z >> 31
    key0[0], key1[0] = z >> 32, z % 2**32


def reduce_loss(losses: Array, weights: Array, is_mean: bool, total: Array, weight: Array, dlosses: Array) -> None:
    """total = sum of the losses; weight = sum of the weights, or without any the number of losses.

    dlosses is the gradient of total / weight, or of the total. Where nothing counts it is 0.
    """
    total[0] = losses.sum(dtype=np.float64)
    weight[0] = weights.sum(dtype=np.float64) if weights.size else losses.size
    dlosses[...] = (1 / weight[0] if weight[0] else 0.0) if is_mean else 1.0


def note_loss(total: Array, weight: Array, position: Array, sums: Array) -> None:
    """sums[2 position] = total, the next one = weight, and the position moves on."""
    sums[2 * position[0]], sums[2 * position[0] + 1] = total[0], weight[0]
    position += 1


def count_correct(outputs: Array, target: Array, ignore_index: int, correct: Array, counted: Array) -> None:
    """Add to `correct` the number of rows of outputs (M, C) whose largest value, or first NaN, stands at the target.

    What is ignored is left out; `counted` is the number of all others.
    """
    counts = target != ignore_index
    correct += np.count_nonzero((outputs.argmax(axis=1) == target) & counts)
    counted += np.count_nonzero(counts)


def count_signs(outputs: Array, target: Array, correct: Array, counted: Array) -> None:
    """Add to `correct` the number of outputs that are positive where the target is above 1/2, and not elsewhere.

    A NaN is wrong. `counted` is the number of all.
    """
    correct += np.count_nonzero(np.where(target > 0.5, outputs > 0, outputs <= 0))
    counted += outputs.size


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

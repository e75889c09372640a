"""What a compiled step counts and adds up: batches, masks, losses, norms. A cell is an array of one element."""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit

Array = npt.NDArray[Any]

CHUNK = 8192  # elements whose squares are summed at a time


@jit()
def count(counter: Array) -> None:
    """Add 1."""
    counter[0] += 1


@jit()
def inverse(counter: Array, share: Array) -> None:
    """share = 1 / counter."""
    share[0] = 1 / counter[0]


@jit()
def take_batch(order: Array, position: Array, index: Array) -> None:
    """index = the next numbers of order, from the position on, which moves behind them."""
    for b in range(index.size):
        index[b] = order[position[0] + b]
    position[0] += index.size


@jit()
def take_row(table: Array, position: Array, row: Array) -> None:
    """Row = the row of a flat table at the position."""
    for i in range(row.size):
        row[i] = table[position[0] * row.size + i]


@jit()
def mask_key(seed: int, step: Array, use: int, key0: Array, key1: Array) -> None:
    """The two 32-bit keys of mask number `step + use` of a stream: SplitMix64 (Steele et al., 2014)."""
    z = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(step[0] + use + 1)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    key0[0], key1[0] = z >> np.uint64(32), z & np.uint64(0xFFFFFFFF)


@jit()
def reduce_loss(losses: Array, weights: Array, is_mean: bool, total: Array, weight: Array, dlosses: Array) -> None:
    """total = sum of the losses; weight = sum of the weights, or without any the number of losses.

    dlosses is the gradient of total / weight, or of the total. Where nothing counts it is 0.
    """
    sum_of_losses, sum_of_weights = 0.0, 0.0 if weights.size else float(losses.size)
    for i in range(losses.size):
        sum_of_losses += np.float64(losses[i])
    for i in range(weights.size):
        sum_of_weights += np.float64(weights[i])
    share = 1.0
    if is_mean:
        share = 1 / sum_of_weights if sum_of_weights != 0 else 0.0
    total[0], weight[0] = sum_of_losses, sum_of_weights
    for i in range(dlosses.size):
        dlosses[i] = share


@jit()
def note_loss(total: Array, weight: Array, position: Array, sums: Array) -> None:
    """sums[2 position] = total, the next one = weight, and the position moves on."""
    sums[2 * position[0]], sums[2 * position[0] + 1] = total[0], weight[0]
    position[0] += 1


@jit()
def count_correct(outputs: Array, target: Array, ignore_index: int, correct: Array, counted: Array) -> None:
    """Add to `correct` the number of rows of outputs (M, C) whose largest value, or first NaN, stands at the target.

    What is ignored is left out; `counted` is the number of all others.
    """
    M, C = outputs.shape
    for m in range(M):
        if target[m] == ignore_index:
            continue
        counted[0] += 1
        best = 0
        for c in range(1, C):
            # As in NumPy's argmax, a NaN wins.
            if not outputs[m, c] <= outputs[m, best] and outputs[m, best] == outputs[m, best]:
                best = c
        if best == target[m]:
            correct[0] += 1


@jit()
def count_signs(outputs: Array, target: Array, correct: Array, counted: Array) -> None:
    """Add to `correct` the number of outputs that are positive where the target is above 1/2, and not elsewhere.

    A NaN is wrong. `counted` is the number of all.
    """
    half, zero = target.dtype.type(0.5), outputs.dtype.type(0)
    for i in range(outputs.size):
        if target[i] > half:
            correct[0] += outputs[i] > zero
        else:
            correct[0] += outputs[i] <= zero
    counted[0] += outputs.size


@jit()
def square_sums(x: Array, first: int, last: int, sums: Array) -> None:
    """sums[k] = sum of the squares of x in chunk k, for the chunks from first to last."""
    for k in range(first, last):
        total = 0.0
        for i in range(k * CHUNK, min((k + 1) * CHUNK, x.size)):
            total += np.float64(x[i]) * np.float64(x[i])
        sums[k] = total


@jit()
def clip_factor(sums: Array, max_norm: float, norm: Array, factor: Array) -> None:
    """norm = sqrt(sum of sums); factor = max_norm / (norm + 1e-6), at most 1."""
    total = 0.0
    for k in range(sums.size):
        total += sums[k]
    norm[0] = np.sqrt(total)
    wanted = max_norm / (norm[0] + 1e-6)
    factor[0] = 1.0 if wanted >= 1 else wanted


@jit()
def scale(factor: float, x: Array) -> None:
    """X *= factor, where it is not 1."""
    by = x.dtype.type(factor)
    if by != 1:
        for i in range(x.size):
            x[i] *= by

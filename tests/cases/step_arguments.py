"""How the arguments of the kernels are drawn that only compiled steps run: they move, count and add up."""

import numpy as np

from minigrad.kernels.reference.step import CHUNK
from tests.cases.kernel_arguments import Draw, Row


def cell(value: float, dtype: type = np.int64) -> np.ndarray:
    return np.array([value], dtype)


def unset(*shape: int) -> np.ndarray:
    """What integers are written to."""
    return np.full(shape, -1)


def take_batch(d: Draw) -> list:
    """A batch of C behind those that were taken before."""
    return [d.rows(d.B + d.C, 100), cell(d.integer(0, d.B)), unset(d.C)]


def reduce_loss(d: Draw) -> list:
    """Weights that are all 0 too, as where everything is ignored."""
    weights = d.perhaps(d.positive(d.L)) * d.dtype(d.flag())
    return [d.normal(d.L, special=True), weights, d.flag(), *(cell(np.nan, float) for _ in range(2)), d.out(d.L)]


def count_correct(d: Draw) -> list:
    """Whole numbers, many of which tie; a class that is ignored, or none."""
    counters = cell(d.integer(0, 9)), cell(d.integer(0, 9))
    return [np.round(d.normal(d.L, d.C, special=True)), d.rows(d.L, d.C), d.integer(-1, d.C), *counters]


def count_signs(d: Draw) -> list:
    """Whole numbers, many of which are 0, against targets of 0, 1/2 and 1."""
    target = d.rows(d.L, 3).astype(d.dtype) / 2
    return [np.round(d.normal(d.L, special=True)), target, cell(d.integer(0, 9)), cell(d.integer(0, 9))]


def square_sums(d: Draw) -> list:
    """Two chunks and a bit, with numbers only about the borders: else rounding would grow with their number."""
    x = np.zeros(2 * CHUNK + d.L, d.dtype)
    for start in (0, CHUNK - d.L, CHUNK, 2 * CHUNK - d.L, 2 * CHUNK):
        x[start : start + d.L] = d.normal(d.L, special=True)
    return [x, *d.range(3), np.full(3, np.nan)]


ARGUMENTS: dict[str, Row] = {
    "count": lambda d: [cell(d.integer(0, 100))],
    "inverse": lambda d: [cell(d.integer(1, 100)), cell(np.nan, np.float64)],
    "take_batch": take_batch,
    "take_row": lambda d: [d.normal(d.N * d.C, special=True), cell(d.integer(0, d.N)), d.out(d.C)],
    "mask_key": lambda d: [d.integer(0, 2**63), cell(d.integer(0, 2**40)), d.integer(0, 4), cell(-1), cell(-1)],
    "reduce_loss": reduce_loss,
    "note_loss": lambda d: [
        *(cell(d.number(-9, 9), np.float64) for _ in range(2)),
        cell(d.integer(0, d.N)),
        np.full(2 * d.N, np.nan),
    ],
    "count_correct": count_correct,
    "count_signs": count_signs,
    "square_sums": square_sums,
    "clip_factor": lambda d: [
        np.abs(d.normal(d.C, special=True).astype(np.float64)),
        d.number(0, 4),
        *(cell(np.nan, np.float64) for _ in range(2)),
    ],
    "scale": lambda d: [d.number(0, 1) if d.flag() else 1.0, d.normal(d.L, special=True)],
    "clear": lambda d: [d.normal(d.L, special=True)],
    "add": lambda d: [d.normal(d.L, special=True), d.normal(d.L, special=True), d.out(d.L)],
    "accumulate": lambda d: [d.normal(d.L, special=True), d.normal(d.L, special=True)],
    "swap_axes": lambda d: [d.normal(d.N, d.C, d.S, special=True), *d.range(d.N * d.S), d.out(d.N, d.S, d.C)],
    "put_columns": lambda d: [d.normal(d.N, d.C, special=True), d.integer(0, d.B + 1), d.out(d.N, d.C + d.B)],
    "take_columns": lambda d: [d.normal(d.N, d.C + d.B, special=True), d.integer(0, d.B + 1), d.out(d.N, d.C)],
    "take_rows": lambda d: [d.normal(d.N, d.C, special=True), d.rows(d.B, d.N), d.out(d.B, d.C)],
}

"""The least that a training step can take: its matrix products, and its optimizer's memory traffic, and nothing else.

The products go through minigrad's kernels, each of two threads doing half of every result without ever waiting for
the other, and through NumPy's OpenBLAS; the faster of the two counts.
"""

from functools import partial

import numba
import numpy as np

from benchmarks.contestants.base import threads
from benchmarks.products import Matrix, forward, in_parts, input_gradient, weight_gradient
from benchmarks.workloads import Workload

Matrices = tuple[Matrix, ...]


def matrices(workload: Workload) -> tuple[Matrices, Matrices, Matrices]:
    """Return for each layer x, w and y. A gradient has the place of what it is the gradient of."""
    rng = np.random.default_rng(0)
    ws = tuple(weight for weight, _ in workload.weights())
    values = [rng.random((workload.batch, size), np.float32) for size in workload.sizes]
    return tuple(values[:-1]), ws, tuple(values[1:])


class NumpyGemms:
    """Forward, weight gradient, and input gradient of every layer but the first, by NumPy's OpenBLAS."""

    def __init__(self, workload: Workload) -> None:
        self.layers = list(zip(*matrices(workload), strict=True))
        self.outputs = [tuple(map(np.empty_like, layer)) for layer in self.layers]

    def run(self, steps: int) -> None:
        """Do the products of so many steps."""
        for _ in range(steps):
            for (x, w, dy), (dx, dw, y) in zip(self.layers, self.outputs, strict=True):
                np.matmul(x, w.T, out=y)
                np.matmul(dy.T, x, out=dw)
                if x is not self.layers[0][0]:
                    np.matmul(dy, w, out=dx)


class TileGemms:
    """The same by minigrad's kernels."""

    def __init__(self, workload: Workload) -> None:
        inputs = matrices(workload)
        self.groups = inputs + tuple(tuple(map(np.empty_like, group)) for group in inputs)

    def run(self, steps: int) -> None:
        """Do the products of so many steps."""
        in_parts(partial(tile_gemms, *self.groups, threads(), steps), threads())


class Traffic:
    """Adam's reads of w, g, m, v and writes of w, m, v, with one addition for each write."""

    def __init__(self, workload: Workload) -> None:
        self.arrays = [np.zeros(workload.parameters(), np.float32) for _ in range(4)]

    def run(self, steps: int) -> None:
        """Go through the memory so many times."""
        in_parts(partial(traffic, *self.arrays, threads(), steps), threads())


@numba.njit(nogil=True)
def tile_gemms(
    xs: Matrices,
    ws: Matrices,
    dys: Matrices,
    dxs: Matrices,
    dws: Matrices,
    ys: Matrices,
    parts: int,
    steps: int,
    part: int,
) -> None:
    """Do one part of every product."""
    for _ in range(steps):
        for layer in range(len(xs)):
            forward(xs[layer], ws[layer], ys[layer], part, parts)
            weight_gradient(dys[layer], xs[layer], dws[layer], part, parts)
            if layer > 0:
                input_gradient(dys[layer], ws[layer], dxs[layer], part, parts)


@numba.njit(nogil=True)
def traffic(w: Matrix, g: Matrix, m: Matrix, v: Matrix, parts: int, steps: int, part: int) -> None:
    """Read and write one part of the memory."""
    first, last = w.size * part // parts, w.size * (part + 1) // parts
    for _ in range(steps):
        for i in range(first, last):
            w[i] += g[i]
            m[i] += g[i]
            v[i] += g[i]

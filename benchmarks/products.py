"""The three matrix products of a linear layer, by minigrad's tile, by OpenBLAS (NumPy) and by MKL (PyTorch).

x (M, D), w (K, D): forward y = x wᵀ, input gradient dx = dy w, weight gradient dw = dyᵀ x.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit.linear import linear_backward_input, linear_backward_weight, linear_forward

Matrix = npt.NDArray[np.float32]


@numba.njit(nogil=True)
def forward(x: Matrix, w: Matrix, y: Matrix, part: int, parts: int) -> None:
    """Compute one part of the columns of y."""
    K = len(w)
    linear_forward(x, w, np.empty(0, np.float32), K * part // parts, K * (part + 1) // parts, y)


@numba.njit(nogil=True)
def input_gradient(dy: Matrix, w: Matrix, dx: Matrix, part: int, parts: int) -> None:
    """Compute one part of the columns of dx."""
    D = w.shape[1]
    linear_backward_input(dy, w, D * part // parts, D * (part + 1) // parts, dx)


@numba.njit(nogil=True)
def weight_gradient(dy: Matrix, x: Matrix, dw: Matrix, part: int, parts: int) -> None:
    """Compute one part of the rows of dw."""
    first, last = len(dw) * part // parts, len(dw) * (part + 1) // parts
    linear_backward_weight(dy, x, first, last, False, dw[first:last])


FORMS = {"forward": forward, "input gradient": input_gradient, "weight gradient": weight_gradient}


@numba.njit(nogil=True)
def repeat(product: Any, a: Matrix, b: Matrix, out: Matrix, part: int, parts: int, steps: int) -> None:
    """Compute one part so many times."""
    for _ in range(steps):
        product(a, b, out, part, parts)


def in_parts(work: Callable[[int], None], parts: int) -> None:
    """Call `work(part)` for each part in a thread of its own. Nobody waits for another before the end."""
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, range(parts)))


class Tile:
    """One product by minigrad's kernels, called from native code as the compiled step calls them."""

    def __init__(self, form: str, M: int, D: int, K: int, threads: int) -> None:
        self.product, self.threads = FORMS[form], threads
        self.arrays = operands(form, M, D, K)

    def run(self, times: int) -> None:
        """Compute it so many times."""
        in_parts(lambda part: repeat(self.product, *self.arrays, part, self.threads, times), self.threads)


class OpenBLAS:
    """One product by NumPy."""

    def __init__(self, form: str, M: int, D: int, K: int, threads: int) -> None:
        a, b, self.out = operands(form, M, D, K)
        self.a, self.b = transposed(form, a, b)

    def run(self, times: int) -> None:
        """Compute it so many times."""
        for _ in range(times):
            np.matmul(self.a, self.b, out=self.out)


class MKL:
    """One product by PyTorch."""

    def __init__(self, form: str, M: int, D: int, K: int, threads: int) -> None:
        import torch  # only the process that needs it loads it

        torch.set_num_threads(threads)
        a, b, self.out = map(torch.from_numpy, operands(form, M, D, K))
        self.a, self.b = transposed(form, a, b)
        self.mm = torch.mm

    def run(self, times: int) -> None:
        """Compute it so many times."""
        for _ in range(times):
            self.mm(self.a, self.b, out=self.out)


def operands(form: str, M: int, D: int, K: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return both operands, as a layer keeps them, and room for the result."""
    shapes = {"x": (M, D), "dx": (M, D), "w": (K, D), "dw": (K, D), "y": (M, K), "dy": (M, K)}
    names = {"forward": "x w y", "input gradient": "dy w dx", "weight gradient": "dy x dw"}[form].split()
    rng = np.random.default_rng(0)
    a, b, out = (rng.random(shapes[name], np.float32) for name in names)
    return a, b, out


def transposed(form: str, a: Any, b: Any) -> tuple[Any, Any]:
    """Return views of the operands of which the result is the plain product."""
    return {"forward": (a, b.T), "input gradient": (a, b), "weight gradient": (a.T, b)}[form]

"""The arithmetic: free functions, arrays in, arrays out.

Every kernel exists twice under one name and one signature: `kernels.reference` is plain NumPy (the readable
definition, the oracle in the tests, and what runs where Numba is not installed); `kernels.jit` is Numba.
`kernels.relu_forward` is the compiled one where Numba exists. Nothing is imported before the first kernel runs.
`MINIGRAD_KERNELS=reference` asks for NumPy.

Argument order, for all: inputs, gradients, parameters, saved values, geometry, outputs. A kernel writes into the
arrays that it is given last; it validates nothing, allocates nothing large, and wants C-contiguous arrays.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

FAMILIES = (
    "activation",
    "channel",
    "conv",
    "depthwise",
    "dropout",
    "embedding",
    "gather",
    "linear",
    "loss",
    "move",
    "norm",
    "optim",
    "softmax",
    "step",
    "window",
    "winograd",
)

_is_trying = ContextVar("_is_trying", default=False)


@cache
def backend() -> str:
    """Return `"jit"` or `"reference"`: which set of kernels this process runs."""
    wanted = os.environ.get("MINIGRAD_KERNELS", "")
    if wanted not in ("", "jit", "reference"):
        raise ValueError(f"MINIGRAD_KERNELS={wanted!r}: want 'jit' or 'reference'")
    return wanted or ("jit" if find_spec("numba") else "reference")


@contextmanager
def trying() -> Iterator[None]:
    """Let NumPy's kernels do what this thread does inside the block, but for those that the process has used before.

    For what is done once, and would take seconds to compile.
    """
    token = _is_trying.set(True)
    try:
        yield
    finally:
        _is_trying.reset(token)


def find(name: str, backend: str) -> Callable[..., Any]:
    """Return a kernel of one of the two sets by its name."""
    for family in () if name.startswith("_") else FAMILIES:
        kernel: Callable[..., Any] | None = getattr(import_module(f"{__name__}.{backend}.{family}"), name, None)
        if kernel is not None:
            return kernel
    raise AttributeError(f"module {__name__!r} has no kernel {name!r}")


def __getattr__(name: str) -> Callable[..., Any]:
    if _is_trying.get():
        return find(name, "reference")
    kernel = globals()[name] = find(name, backend())
    return kernel

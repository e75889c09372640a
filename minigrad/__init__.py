"""minigrad: deep learning on NumPy without autograd.

Every layer has a backward pass derived by hand, proven against finite differences and PyTorch; the loops are
compiled by Numba when they first run.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from minigrad.nn.recording import no_grad
from minigrad.nn.rng import manual_seed

if TYPE_CHECKING:
    from minigrad import data, engine, gradcheck, io, models, nn, optim, plots, train
    from minigrad.engine import compile, get_num_threads, set_num_threads

__version__ = "0.1.0"
__all__ = [
    "compile",
    "data",
    "engine",
    "get_num_threads",
    "gradcheck",
    "io",
    "manual_seed",
    "models",
    "nn",
    "no_grad",
    "optim",
    "plots",
    "set_num_threads",
    "train",
]
_OF_ENGINE = ("compile", "get_num_threads", "set_num_threads")


if not TYPE_CHECKING:  # to a checker, a module with a __getattr__ has any name

    def __getattr__(name: str) -> object:
        if name in _OF_ENGINE:
            return getattr(_import_module("minigrad.engine"), name)
        if name in __all__:
            return _import_module(f"minigrad.{name}")
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

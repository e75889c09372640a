"""The compiled step: a model, its loss and its optimizer as one native call.

A model is lowered to instructions (`lowering`, `layers`, `containers`, `losses`, `updates`), which get their places in
one arena (`program`, `plan`) and are run by one team of threads (`pool`). The kernels are the eager ones; a model is
data to them, and nothing is compiled for it.
"""

from minigrad.engine.base import EpochResult, TrainingStep
from minigrad.engine.build import compile, compile_model
from minigrad.engine.eager import EagerStep
from minigrad.engine.support import why_eager, why_nothing
from minigrad.engine.threads import get_num_threads, set_num_threads

__all__ = [
    "EagerStep",
    "EpochResult",
    "TrainingStep",
    "compile",
    "compile_model",
    "get_num_threads",
    "set_num_threads",
    "why_eager",
    "why_nothing",
]

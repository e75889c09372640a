"""What can be compiled, and why something cannot."""

import os

from minigrad import kernels
from minigrad.nn import Loss, Module
from minigrad.optim import Optimizer


def why_nothing() -> str:
    """Return why this process can compile no step at all, in one line; "" if it can."""
    if kernels.backend() != "jit":
        return "Numba is not installed, or not wanted"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return "Numba's JIT is off"
    return ""


def why_eager(model: Module, loss: Loss | None = None, optimizer: Optimizer | None = None) -> str:
    """Return why these cannot be compiled, in one line that names what stands in the way; "" if they can."""
    if why_nothing():
        return why_nothing()
    from minigrad.engine.registry import has_lowering  # loads Numba

    for module in model.modules():
        if not has_lowering(module):
            return f"{model.path_of(module)} has no lowering"
    for part in (loss, optimizer):
        if part is not None and not has_lowering(part):
            return f"{type(part).__name__} has no lowering"
    return ""

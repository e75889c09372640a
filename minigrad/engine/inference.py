"""CompiledModel: a model's forward in evaluation mode as one native call for each batch."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from minigrad.engine.listing import listing
from minigrad.engine.memory import Array, Buffer, Slot
from minigrad.engine.program import Program, keep_last
from minigrad.engine.registry import Lowering
from minigrad.engine.threads import get_num_threads
from minigrad.engine.trial import evaluating, try_model
from minigrad.nn import Module


class CompiledModel:
    """A model's outputs in evaluation mode, whatever mode the model is in. Its weights may go on changing.

    Arguments:
        model: a model whose layers all have a lowering.
        batch_size: samples in one call of the program, as many as share one pass over the weights. Inputs may have
            more, or fewer.
    """

    def __init__(self, model: Module, batch_size: int = 1024) -> None:
        self.model, self.batch_size = model, batch_size
        self._parameters = list(model.parameters())
        self._tracking: list[Any] = [m for m in model.modules() if getattr(m, "track_running_stats", False)]
        self._programs: dict[Any, _ForwardProgram] = {}
        self._lock = Lock()  # a program has memory for one call at a time

    def __call__(self, x: Array) -> Array:
        """Return the outputs for the samples of x, in a new array."""
        x = np.array(x, np.int64 if x.dtype.kind in "iu" else None, copy=None, order="C")
        with self._lock:
            if len(x) <= self.batch_size:
                return self._program(x).run(x)
            parts = [x[start : start + self.batch_size] for start in range(0, len(x), self.batch_size)]
            return np.concatenate([self._program(part).run(part) for part in parts])

    def _program(self, x: Array) -> _ForwardProgram:
        arrays = [parameter.data for parameter in self._parameters]
        arrays += [array for norm in self._tracking for array in (norm.running_mean, norm.running_var)]
        key = (x.shape, x.dtype, *map(id, arrays))
        program = self._programs.get(key)
        if program is None:
            try_model(self.model, x)
            program = _ForwardProgram(self.model, x, arrays)
            keep_last(self._programs, key, program)
        return program

    def __repr__(self) -> str:
        if not self._programs:
            return f"CompiledModel(batch_size={self.batch_size}), no program yet: it is made for the first batch"
        return "\n\n".join(listing(program.program, self.model) for program in self._programs.values())


class _ForwardProgram:
    """The instructions of a forward for inputs of one form."""

    def __init__(self, model: Module, x: Array, arrays: list[Array]) -> None:
        self.arrays = arrays  # kept, so that no other array can take their identity
        self._lowered = b = Lowering(model)
        self._x = Slot(x.shape, x.dtype, "x")
        with evaluating(model):
            self._y = b.plain(b.lower(model, self._x)[0])
        self.program = Program(b.instructions)
        # A buffer, unless no layer has done anything.
        self._outputs = self.program.view(self._y) if isinstance(self._y, Buffer) else None

    def run(self, x: Array) -> Array:
        """Return the outputs."""
        for check in self._lowered.checks:
            check(x)
        if self._outputs is None:
            return x.reshape(self._y.shape).copy()
        self._x.fill(x)
        self.program.run(get_num_threads())
        return self._outputs.copy()

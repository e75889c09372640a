"""CompiledModel: a model's forward in evaluation mode as one native call for each batch."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from minigrad.engine.listing import listing
from minigrad.engine.memory import Array, Buffer, Memory, Shape, Slot
from minigrad.engine.program import Program, arena_bytes
from minigrad.engine.registry import Lowering
from minigrad.engine.support import why_eager
from minigrad.engine.threads import get_num_threads
from minigrad.engine.trial import try_model
from minigrad.engine.watch import Programs, Watch
from minigrad.nn import BatchNorm1d, BatchNorm2d, Module
from minigrad.nn.recording import evaluating

MOST, LEAST = 1024, 32  # samples in one call of the program
BATCH_NORMS = BatchNorm1d, BatchNorm2d
CACHE = 2**24  # bytes of its memory: what is between two layers should not go through main memory


class CompiledModel:
    """A model's outputs in evaluation mode, whatever mode the model is in.

    Weights, layers and their options may go on changing: a call follows the model as it is.

    Arguments:
        model: a model whose layers all have a lowering.
        batch_size: samples in one call of the program, as many as share one pass over the weights. Inputs may have
            more, or fewer. By default as many as leave what is between the layers in the cache.
    """

    batch_size: int | None

    def __init__(self, model: Module, batch_size: int | None = None) -> None:
        self._model, self.batch_size = model, batch_size
        self._fitting: dict[Any, int] = {}
        self._programs: Programs[_ForwardProgram] = Programs(self._look)
        self._lock = Lock()  # a program has memory for one call at a time

    @property
    def model(self) -> Module:
        """Whose outputs they are."""
        return self._model

    def __call__(self, x: Array) -> Array:
        """Return the outputs for the samples of x, in a new array."""
        x = np.array(x, np.int64 if x.dtype.kind in "iu" else None, copy=None, order="C")
        with self._lock:
            program = self._programs.get((x.shape, x.dtype))
            if program is not None:
                return program.run(x)
            size = self.batch_size or self._fitting_batch(x)
            if len(x) <= size:
                return self._made(x).run(x)
            parts = [x[start : start + size] for start in range(0, len(x), size)]
            programs = [self._programs.get((part.shape, x.dtype)) or self._made(part) for part in parts]
            return np.concatenate([program.run(part) for program, part in zip(programs, parts, strict=True)])

    def _fitting_batch(self, x: Array) -> int:
        """Return how many samples of this form leave what is between the layers in the cache."""
        if len(x) <= LEAST:
            return LEAST
        key = (x.shape[1:], x.dtype)
        if key not in self._fitting:
            if not self._takes_any_number(x):  # one sample without N, or what no layer takes: the whole of it tells
                return MOST
            if any(isinstance(norm, BATCH_NORMS) and norm.running is None for norm in self.model.modules()):
                return len(x)  # whose outputs depend on all samples at once
            size = MOST
            while size > LEAST and self._bytes(size, x) > CACHE:
                size //= 2
            self._fitting[key] = size
        return self._fitting[key]

    def _takes_any_number(self, x: Array) -> bool:
        """Return whether two samples and three are taken, and give as many outputs: then any number is."""
        try:
            two, three = (try_model(self.model, x[:count]).shape for count in (2, 3))
        except ValueError:
            return False
        return (two[:1], three[:1], two[1:]) == ((2,), (3,), three[1:])

    def _bytes(self, size: int, x: Array) -> int:
        lowered, _, _ = _forward(self.model, (size, *x.shape[1:]), x.dtype)
        return arena_bytes(lowered.instructions)

    def _made(self, x: Array) -> _ForwardProgram:
        """Return a new program for inputs like x."""
        if len(x) <= LEAST or not self._takes_any_number(x):
            try_model(self.model, x)
        return self._programs.add((x.shape, x.dtype), _ForwardProgram(self.model, x))

    def _look(self) -> Watch:
        """Return a watch of the model as it is."""
        reason = why_eager(self.model)
        if reason:
            raise ValueError(f"compiled: {reason} since the model was changed; call model.compiled() again")
        self._fitting.clear()
        return Watch([self.model], ignored=("_training",))

    def __getstate__(self) -> tuple[Module, int | None]:
        return self.model, self.batch_size

    def __setstate__(self, state: tuple[Module, int | None]) -> None:
        CompiledModel.__init__(self, *state)  # a copy makes its own programs

    def __repr__(self) -> str:
        listings = "\n\n".join(listing(program.program, self.model) for program in self._programs)
        nothing = f"CompiledModel(batch_size={self.batch_size}), no program yet: it is made for the first batch"
        return listings or nothing


def _forward(model: Module, shape: Shape, dtype: Any) -> tuple[Lowering, Slot, Memory]:
    """Return the instructions of a forward, and its input and output."""
    b, x = Lowering(model), Slot(shape, dtype, "x")
    with evaluating():
        return b, x, b.plain(b.lower(model, x)[0])


class _ForwardProgram:
    """The instructions of a forward for inputs of one form."""

    def __init__(self, model: Module, x: Array) -> None:
        self._lowered, self._x, self._y = _forward(model, x.shape, x.dtype)
        self.program = Program(self._lowered.instructions)
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

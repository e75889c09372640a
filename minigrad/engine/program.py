"""A program: instructions over one arena of memory.

An instruction is a kernel and its operands: buffers of the arena, arrays that live elsewhere (parameters, an
optimizer's state, a batch), and scalars. A `Builder` collects instructions; `Program` gives every buffer its place,
with memory used again when nobody needs it any more, and turns the instructions into words that the driver runs.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import kernels
from minigrad.engine.memory import Array, Buffer, Cell, Cut, Memory, Operand, Shape, Slot
from minigrad.engine.plan import Lifetime, place
from minigrad.engine.pool import run
from minigrad.kernels.jit._driver import GATE, WIDTH
from minigrad.kernels.jit._entry import entry
from minigrad.kernels.memory import aligned

# Work, in elements of a cheap loop, from which on sharing it among threads pays for their meeting.
SHARED_FROM = 10_000
END = "end_unless_finite"  # no kernel: the driver does it itself
GRAIN = 16  # elements that no two threads share: a cache line of float32


@dataclass
class Instruction:
    """A kernel and its operands.

    Arguments:
        kernel: its name in `minigrad.kernels`.
        operands: its arguments in order, but for `first` and `last`, which each thread gets for itself.
        extent: the length of what threads share: of the cut operands, or of what `first` and `last` count.
        grain: what threads share it in.
        work: in elements of a cheap loop.
        multiply_adds: for people.
        is_chained: whether it is done together with the one before, grain by grain.
        can_add: whether its last operands are whether to add, and what to set or add to.
    """

    kernel: str
    operands: tuple[Operand | Cut, ...]
    extent: int
    grain: int
    work: float
    multiply_adds: int = 0
    is_chained: bool = False
    can_add: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether threads share it."""
        return self.work >= SHARED_FROM and self.extent > self.grain

    def memories(self) -> list[Memory]:
        """Return the operands that are arrays."""
        plain = [operand.memory if isinstance(operand, Cut) else operand for operand in self.operands]
        return [operand for operand in plain if isinstance(operand, (Buffer, Slot, np.ndarray))]


@dataclass
class Builder:
    """Collects the instructions of a program."""

    instructions: list[Instruction] = field(default_factory=list)

    def buffer(self, shape: Shape, dtype: npt.DTypeLike, name: str) -> Buffer:
        """Return new memory of the arena."""
        return Buffer(shape, dtype, name)

    def emit(
        self,
        kernel: str,
        *operands: Operand | Cut,
        over: int | None = None,
        grain: int | None = None,
        work: float | None = None,
        multiply_adds: int = 0,
        chained: bool = False,
        can_add: bool = False,
    ) -> None:
        """Add an instruction.

        Arguments:
            kernel: its name.
            operands: its arguments in order, but for `first` and `last`.
            over: what is shared, if not the first axis of the cut operands. Nothing is where there are none.
            grain: what it is shared in; by default what no two threads should write into together.
            work: by default the elements of the cut operands, or the multiply-adds at 16 to an element.
            multiply_adds: of a product.
            chained: whether it is done together with the one before, grain by grain.
            can_add: whether its last operands are whether to add, and what to set or add to.
        """
        shared = [operand.memory for operand in operands if isinstance(operand, Cut)]
        extent = over if over is not None else shared[0].shape[0] if shared else 1
        row = max((memory.size // memory.shape[0] for memory in shared if memory.shape[0]), default=1)
        if work is None:
            work = multiply_adds / 16 if multiply_adds else max((memory.size for memory in shared), default=0)
        if grain is None:
            grain = GRAIN if over is not None else max(1, GRAIN // row)
        self.instructions.append(Instruction(kernel, operands, extent, grain, work, multiply_adds, chained, can_add))

    def add_instead(self, part: Memory, total: Memory) -> bool:
        """Let the last instruction add to `total` what it would write to `part`, if it does that and can."""
        if not self.instructions or not self.instructions[-1].can_add:
            return False
        *operands, _, y = self.instructions[-1].operands
        if part is not (y.memory if isinstance(y, Cut) else y):
            return False
        self.instructions[-1].operands = (*operands, True, Cut(total, y.unit) if isinstance(y, Cut) else total)
        return True

    def end_unless_finite(self, value: Cell, wanted: Cell) -> None:
        """Add an instruction that ends the run, all steps of it, where a value is not finite and this is wanted."""
        self.instructions.append(Instruction(END, (value.array, wanted.array), 1, 1, 0))


class Program:
    """Instructions in their final form: ready to run, and to be printed."""

    arena: Array
    buffers: list[Buffer]
    offsets: dict[int, int]
    arena_bytes: int
    code: Array
    is_shared: bool

    def __init__(self, instructions: list[Instruction]) -> None:
        self.instructions = instructions
        self.buffers, self.offsets, self.arena_bytes = _plan(instructions)
        self.arena = aligned(self.arena_bytes, np.uint8)
        self._entries: list[Any] = []
        self._kept: list[Array] = []
        rows = [self._assemble(number) for number in range(len(instructions))]
        self.code = np.array(rows, np.int64).reshape(len(rows), WIDTH)
        self._where = self.code.ctypes.data, len(rows)
        self.is_shared = any(instruction.is_shared for instruction in instructions)

    def run(self, threads: int, steps: int = 1) -> None:
        """Run it with up to so many threads."""
        run(self._where, steps, threads if self.is_shared else 1)

    def offset(self, buffer: Buffer) -> int:
        """Return where a buffer begins in the arena, in bytes."""
        return self.offsets[id(buffer.root)] + buffer.start

    def view(self, buffer: Buffer) -> Array:
        """Return a buffer as an array. What it holds is valid until its memory is used again."""
        start = self.offset(buffer)
        return self.arena[start : start + buffer.nbytes].view(buffer.dtype).reshape(buffer.shape)

    def _assemble(self, number: int) -> tuple[int, int, int, int]:
        """Return the address of the entry and of its words, how it is done, and how many are chained from it on."""
        instruction = self.instructions[number]
        if instruction.kernel == END:
            cells = [self._address(cell) for cell in instruction.memories()]
            return 0, self._keep(np.array(cells, np.int64)).ctypes.data, GATE, 1
        words = [instruction.extent, instruction.grain]
        kinds, slots, operands = [], [], iter(instruction.operands)
        kernel = kernels.find(instruction.kernel, "jit")
        for name, parameter in inspect.signature(getattr(kernel, "py_func", kernel)).parameters.items():
            if name in ("first", "last"):
                kinds.append(name)
                continue
            operand = next(operands)
            memory = operand.memory if isinstance(operand, Cut) else operand
            if isinstance(memory, (Buffer, Slot, np.ndarray)):
                form = f"{memory.dtype}[{len(memory.shape)}]"
                if isinstance(memory, Slot):
                    slots.append((memory, len(words)))
                if isinstance(operand, Cut) and operand.unit > 1:
                    kinds.append(f"{form} cut by")
                    words += [self._address(memory), operand.unit]
                else:
                    kinds.append(f"{form} cut" if isinstance(operand, Cut) else form)
                    words += [self._address(memory), *memory.shape]
            else:
                kinds.append(_annotation(parameter))
                words.append(self._cell(memory, kinds[-1]))
        compiled: Any = entry(kernel, tuple(kinds))
        self._entries.append(compiled)
        array = self._keep(np.array(words, np.int64))
        for slot, at in slots:
            slot.places.append((array, at))
        chain = 1
        while number + chain < len(self.instructions) and self.instructions[number + chain].is_chained:
            chain += 1
        return compiled.address, array.ctypes.data, instruction.is_shared, chain

    def _address(self, memory: Memory) -> int:
        if isinstance(memory, Buffer):
            return self.arena.ctypes.data + self.offset(memory)
        return 0 if isinstance(memory, Slot) else self._keep(memory).ctypes.data

    def _cell(self, value: Cell | float, kind: str) -> int:
        dtype = np.float64 if kind == "float" else np.int64
        array = value.array if isinstance(value, Cell) else np.array([value], dtype)
        if array.dtype != dtype:
            raise TypeError(f"want a cell of {dtype.__name__}, got {array.dtype}")
        return self._keep(array).ctypes.data

    def _keep(self, array: Array) -> Array:
        self._kept.append(array)
        return array


def arena_bytes(instructions: list[Instruction]) -> int:
    """Return the bytes of memory that a program of these instructions would have."""
    return _plan(instructions)[2]


def _annotation(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    return annotation if isinstance(annotation, str) else annotation.__name__


def _plan(instructions: list[Instruction]) -> tuple[list[Buffer], dict[int, int], int]:
    """Return all buffers, the offset of each by its identity, and the bytes of the arena."""
    buffers: dict[int, Buffer] = {}
    lifetimes: dict[int, Lifetime] = {}
    for time, instruction in enumerate(instructions):
        for memory in instruction.memories():
            if isinstance(memory, Buffer):
                buffer = buffers.setdefault(id(memory.root), memory.root)
                first = lifetimes[id(buffer)].first if id(buffer) in lifetimes else time
                lifetimes[id(buffer)] = Lifetime(buffer.nbytes, first, time)
    offsets, total = place(list(lifetimes.values()))
    return list(buffers.values()), dict(zip(lifetimes, offsets, strict=True)), total

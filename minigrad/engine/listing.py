"""A program as a table for people."""

import numpy as np

from minigrad.engine.memory import Buffer, Cell, Cut, Operand
from minigrad.engine.program import Program
from minigrad.nn import Module

Names = dict[int, str]  # of arrays, by their addresses


def listing(program: Program, model: Module) -> str:
    """Return one line for each instruction: what it does, how much that is, and where its operands lie.

    Arguments:
        program: the program.
        model: what it was made of, for the names of parameters and buffers.
    """
    instructions, names = program.instructions, _names(model)
    lines = [
        f"{len(instructions)} instructions, {sum(instruction.multiply_adds for instruction in instructions):,} "
        f"multiply-adds, arena of {program.arena_bytes:,} bytes (in turn used for "
        f"{sum(buffer.nbytes for buffer in program.buffers):,})",
        "Threads share what has a length and its unit; + is done range by range with the line above.",
        "",
        f"{'':>3}  {'kernel':<24} {'shared':>10} {'multiply-adds':>13} {'bytes':>11}  operands",
    ]
    for number, instruction in enumerate(instructions):
        shared = f"{instruction.extent}/{instruction.grain}" if instruction.is_shared else ""
        shared = "+" if instruction.is_chained else shared
        count = f"{instruction.multiply_adds:,}" if instruction.multiply_adds else ""
        nbytes = sum(memory.size * memory.dtype.itemsize for memory in instruction.memories())
        operands = ", ".join(_operand(program, operand, names) for operand in instruction.operands)
        lines.append(f"{number:>3}  {instruction.kernel:<24} {shared:>10} {count:>13} {nbytes:>11,}  {operands}")
    return "\n".join(lines)


def _names(model: Module) -> Names:
    names = {buffer.ctypes.data: name for name, buffer in model.named_buffers()}
    for name, parameter in model.named_parameters():
        names[parameter.data.ctypes.data] = name
        names[parameter.grad.ctypes.data] = f"grad of {name}"
    return names


def _operand(program: Program, operand: Operand | Cut, names: Names) -> str:
    """Return the name, the shape and the place in the arena of an array; the name or the value of a scalar."""
    memory = operand.memory if isinstance(operand, Cut) else operand
    if isinstance(memory, Cell):
        return memory.name or "cell"
    if isinstance(memory, (int, float)):
        return f"{memory:g}"
    form = f"{memory.dtype}{list(memory.shape)}"
    if isinstance(memory, np.ndarray):
        return f"{names.get(memory.ctypes.data, 'array')} {form}"
    return f"{memory.name} {form}" + (f" @{program.offset(memory):,}" if isinstance(memory, Buffer) else "")

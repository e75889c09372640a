"""Running a program: every thread runs all of it, does its share of each instruction, and waits for the others.

The threads meet in `state`, an int64 array whose cells in use lie a cache line apart.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import int64, void

from minigrad.kernels.jit._atomic import add, intrinsic, load, pause, sleep_while, store, wake
from minigrad.kernels.jit._jit import jit

Array = npt.NDArray[Any]
I64 = ir.IntType(64)

# Cells of `state`: those who have come to the meeting, how often they have met, and who sleeps there; the number of the
# last task, and the task itself.
ARRIVED, PHASE, SLEEPING, TASK = 0, 8, 9, 16
CODE, LENGTH, STEPS = 24, 25, 26
LOOKS = 2000  # before who waits at the meeting sleeps: some 40 us
STATE_SIZE = 32
CLOSED = -1
WIDTH = 4  # words of an instruction
# How an instruction is done: by one thread, by all, or not at all: it ends the run where a number is not finite.
ALONE, SHARED, GATE = 0, 1, 2


def new_state() -> Array:
    """Return the place where the threads of a team meet."""
    return np.zeros(STATE_SIZE, np.int64)


@intrinsic
def _call(typing: Any, entry: Any, words: Any, first: Any, last: Any) -> Any:
    """Call the entry at an address."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        entry, words, first, last = values
        kind = ir.FunctionType(ir.VoidType(), [I64.as_pointer(), I64, I64])
        function = builder.inttoptr(entry, kind.as_pointer())
        builder.call(function, [builder.inttoptr(words, I64.as_pointer()), first, last])
        return context.get_dummy_value()

    return void(int64, int64, int64, int64), generate


@intrinsic
def _word(typing: Any, address: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(builder.gep(builder.inttoptr(values[0], I64.as_pointer()), [values[1]]))

    return int64(int64, int64), generate


@jit()
def _meet(state: Array, threads: int) -> None:
    """Wait until all threads of the team have come here: awake for a while, then asleep.

    Two threads on one core, awake, would wait for each other until the system takes the core away: milliseconds.
    """
    phase = load(state, PHASE)
    if add(state, ARRIVED, 1) == threads - 1:
        store(state, ARRIVED, 0)
        add(state, PHASE, 1)
        if load(state, SLEEPING):
            wake(state, PHASE)
        return
    for _ in range(LOOKS):
        if load(state, PHASE) != phase:
            return
        pause()
    add(state, SLEEPING, 1)
    while load(state, PHASE) == phase:
        sleep_while(state, PHASE, phase)
    add(state, SLEEPING, -1)


@jit()
def _share(words: int, thread: int, threads: int) -> Any:
    """Return where a thread's part of the work begins: whole grains, as evenly as they go."""
    extent, grain = _word(words, 0), _word(words, 1)
    grains = (extent + grain - 1) // grain
    return min(grains * thread // threads * grain, extent)


@jit()
def _do(code: int, i: int, chain: int, thread: int, threads: int) -> None:
    """Do a thread's part of instruction i. With others chained to it, grain by grain: what one leaves in the cache, the
    next finds there.
    """
    words = _word(code, WIDTH * i + 1)
    first, last = _share(words, thread, threads), _share(words, thread + 1, threads)
    grain = _word(words, 1) if chain > 1 else max(last - first, 1)
    for start in range(first, last, grain):
        for member in range(i, i + chain):
            entry, words = _word(code, WIDTH * member), _word(code, WIDTH * member + 1)
            _call(entry, words, start, min(start + grain, last))


@jit()
def _is_shut(words: int) -> Any:
    """Return whether a gate ends the run: its first cell (float64) is not finite, and its second (int64) is not 0."""
    exponent = (_word(_word(words, 0), 0) >> 52) & 0x7FF
    return exponent == 0x7FF and _word(_word(words, 1), 0) != 0


@jit()
def run(code: int, length: int, steps: int, state: Array, thread: int, threads: int) -> None:
    """Run a program `steps` times as one thread of a team.

    Arguments:
        code: address of (length, WIDTH) words: for each instruction the address of its entry, the address of its words,
            how it is done, and how many instructions from this one on are chained.
        length: number of instructions.
        steps: how often.
        state: where the team meets.
        thread: number of this one.
        threads: of how many.
    """
    kind, alone = ALONE, np.int64(1)  # Numba would compile `_do` anew for a literal
    for _ in range(steps):
        i = 0
        while i < length:
            before, kind, chain = kind, _word(code, WIDTH * i + 2), _word(code, WIDTH * i + 3)
            # At a gate they have just met, and done nothing since.
            if threads > 1 and before != GATE and (kind != ALONE or before == SHARED):
                _meet(state, threads)
            if kind == GATE:
                if _is_shut(_word(code, WIDTH * i + 1)):
                    if threads > 1:  # the program may be gone when the caller is
                        _meet(state, threads)
                    return
            elif kind == SHARED:
                _do(code, i, chain, thread, threads)
            elif thread == 0:
                _do(code, i, chain, thread, alone)
            i += chain
    if threads > 1:
        _meet(state, threads)


@jit()
def lead(code: int, length: int, steps: int, state: Array, threads: int) -> None:
    """Give the team a task, to run a program, and do it with them; in one call, so that no interrupt comes between."""
    state[CODE], state[LENGTH], state[STEPS] = code, length, steps
    store(state, TASK, state[TASK] + 1)
    run(code, length, steps, state, np.int64(0), threads)  # for a literal Numba would compile `run` anew


@jit()
def serve(state: Array, seen: int, patience: int, thread: int, threads: int) -> Any:
    """Do each task after number `seen`, until none has come for a while or the team is closed; return the last."""
    looks = 0
    while looks < patience:
        task = load(state, TASK)
        if task == CLOSED:
            return task
        if task != seen:
            run(state[CODE], state[LENGTH], state[STEPS], state, thread, threads)
            seen, looks = task, 0
        looks += 1
        pause()
    return seen

"""Where the buffers of a program lie, so that memory is used again as soon as its content is dead."""

from typing import NamedTuple

from minigrad.kernels.memory import LINE


class Lifetime(NamedTuple):
    """A buffer's bytes, and the numbers of the first and of the last instruction that use it."""

    nbytes: int
    first: int
    last: int


def place(lifetimes: list[Lifetime]) -> tuple[list[int], int]:
    """Return an offset for each buffer, so that no two overlap that are alive together, and the bytes needed in all.

    The largest come first; each takes the lowest gap that is free for all of its life.

    >>> place([Lifetime(100, 0, 1), Lifetime(64, 1, 2), Lifetime(100, 2, 3)])
    ([0, 128, 0], 192)
    """
    offsets = [0] * len(lifetimes)
    placed: list[int] = []
    for number in sorted(range(len(lifetimes)), key=lambda number: -lifetimes[number].nbytes):
        own = lifetimes[number]
        others = [lifetimes[other] for other in placed]
        taken = sorted(
            (offsets[other], offsets[other] + _aligned(life.nbytes))
            for other, life in zip(placed, others, strict=True)
            if life.first <= own.last and own.first <= life.last
        )
        for start, end in taken:
            if offsets[number] + _aligned(own.nbytes) <= start:
                break
            offsets[number] = max(offsets[number], end)
        placed.append(number)
    return offsets, max(
        (offset + _aligned(life.nbytes) for offset, life in zip(offsets, lifetimes, strict=True)), default=0
    )


def _aligned(nbytes: int) -> int:
    return -(-nbytes // LINE) * LINE

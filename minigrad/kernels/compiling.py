"""Who is told that a kernel is being compiled. That takes part of a second, once on a machine."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minigrad.showing import is_terminal

Listener = Callable[[str], None]

SENTENCE = "compiling kernels, once on this machine (`minigrad warmup` compiles all of them)"
MANY = 8  # kernels, about two seconds

_listeners: list[Listener] = []
_untold: list[str] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have `listener(name)` called for each kernel that is compiled inside the block, before that happens."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def once(say: Listener) -> Listener:
    """Return a listener that says at the first kernel that there are any."""
    said: list[str] = []

    def listen(kernel: str) -> None:
        if not said:
            say(SENTENCE)
        said.append(kernel)

    return listen


def tell(kernel: str) -> None:
    """Tell all who listen. Where nobody does, many kernels are worth one line in a terminal, on standard error."""
    for listener in _listeners:
        listener(kernel)
    if not _listeners:
        _untold.append(kernel)
        if len(_untold) == MANY and is_terminal(sys.stderr):
            print(f"minigrad: {SENTENCE}", file=sys.stderr)

"""Where a forward keeps what its backward needs, and whether it does: always, except inside `no_grad()`.

Both switches here belong to who runs the block (a thread, a task of asyncio) and to no module: others may use the same
modules at the same time.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from threading import RLock, local
from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt

from minigrad.nn.errors import BackwardError

Array = npt.NDArray[Any]

MAX_SAVED = 64

_recording = ContextVar("recording", default=True)
_evaluating = ContextVar("evaluating", default=False)


def is_recording() -> bool:
    """Return whether a forward keeps its saved values now."""
    return _recording.get()


def is_evaluating() -> bool:
    """Return whether modules behave as in evaluation now, whatever mode they are in."""
    return _evaluating.get()


@contextmanager
def no_grad() -> Iterator[None]:
    """Run forwards that keep nothing for a backward: for evaluation and prediction.

    It does not change the behaviour of Dropout or BatchNorm: that is `model.eval()`.

    >>> from minigrad import nn
    >>> import numpy as np
    >>> model = nn.Linear(3, 2)
    >>> with nn.no_grad():
    ...     y = model(np.ones((4, 3), np.float32))
    """
    with _set(_recording, False):
        yield


@contextmanager
def enable_grad() -> Iterator[None]:
    """Record again inside a `no_grad()`."""
    with _set(_recording, True):
        yield


@contextmanager
def evaluating() -> Iterator[None]:
    """Run forwards as in evaluation, which keep nothing for a backward. No module is changed by it."""
    with _set(_evaluating, True), no_grad():
        yield


@contextmanager
def _set(switch: ContextVar[bool], value: bool) -> Iterator[None]:
    token: Token[bool] = switch.set(value)
    try:
        yield
    finally:
        switch.reset(token)


class _Values(local):
    """A list for each thread."""

    def __init__(self) -> None:
        self.list: list[tuple[ref[Array], Any]] = []


class _Failed(local):
    """The last outputs, for each thread, for which a loss has failed."""

    def __init__(self) -> None:
        self.outputs: deque[ref[Array]] = deque(maxlen=MAX_SAVED)


_failed = _Failed()


def note_failure(y: Array) -> None:
    """Note that no backward will come for the forward that returned `y`, or of which `y` is a view."""
    array: Any = y
    while isinstance(array, np.ndarray):
        _failed.outputs.append(ref(array))
        array = array.base


class SavedStack:
    """What forwards kept, last in, first out, for each thread. `owner` is who it belongs to, for the messages.

    Attributes:
        pulling: held by who does a backward: gradients are added up by one thread at a time.
    """

    pulling: Any

    def __init__(self) -> None:
        self._of_thread = _Values()
        self.pulling = RLock()

    def __reduce__(self) -> tuple[Any, ...]:
        return SavedStack, ()  # a copy of a module has its own backwards

    def __len__(self) -> int:
        return len(self._of_thread.list)

    def push(self, owner: str, y: Array, value: Any) -> None:
        """Keep a value for the forward that returned `y`; refuse where backwards plainly never come.

        Those for whose output a loss has failed are forgotten.
        """
        values = self._of_thread.list
        failed, output = _failed.outputs, ref(y)
        while values and any(values[-1][0] is other for other in failed):
            values.pop()
        if any(output is other for other in failed):  # a layer may return the same array again
            failed.clear()
        if len(values) == MAX_SAVED:
            raise BackwardError(
                f"{owner}: {MAX_SAVED} forwards without a backward; wrap an evaluation in minigrad.no_grad()"
            )
        values.append((output, value))

    def last(self, owner: str) -> Any:
        """Return the last value."""
        if not self._of_thread.list:
            raise BackwardError(
                f"{owner}: backward without forward (or the forward was inside no_grad, or in another thread: the "
                "pullback of `vjp` may be called in any)"
            )
        return self._of_thread.list[-1][1]

    def pop(self) -> None:
        """Forget the last value."""
        self._of_thread.list.pop()

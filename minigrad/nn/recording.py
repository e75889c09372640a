"""Where a forward keeps what its backward needs, and whether it does: always, except inside `no_grad()`."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from minigrad.nn.errors import BackwardError

MAX_SAVED = 64

_recording = ContextVar("recording", default=True)


def is_recording() -> bool:
    """Return whether a forward keeps its saved values now."""
    return _recording.get()


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
    with _set(False):
        yield


@contextmanager
def enable_grad() -> Iterator[None]:
    """Record again inside a `no_grad()`."""
    with _set(True):
        yield


@contextmanager
def _set(value: bool) -> Iterator[None]:
    token = _recording.set(value)
    try:
        yield
    finally:
        _recording.reset(token)


class SavedStack:
    """What forwards kept, last in, first out. `owner` is who it belongs to, for the messages."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def __len__(self) -> int:
        return len(self._values)

    def push(self, owner: str, value: Any) -> None:
        """Keep a value; refuse where backwards plainly never come."""
        if len(self._values) == MAX_SAVED:
            raise BackwardError(
                f"{owner}: {MAX_SAVED} forwards without a backward; wrap an evaluation in minigrad.no_grad()"
            )
        self._values.append(value)

    def last(self, owner: str) -> Any:
        """Return the last value."""
        if not self._values:
            raise BackwardError(f"{owner}: backward without forward (or the forward was inside no_grad)")
        return self._values[-1]

    def pop(self) -> None:
        """Forget the last value."""
        self._values.pop()

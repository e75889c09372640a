"""SIGTERM, with which clusters and containers end a process, as an orderly end of a fit."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from minigrad.train.errors import Terminated


@contextmanager
def terminating() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` inside the block; a second one ends the process at once.

    Python handles signals in its main thread alone, so elsewhere nothing changes. Nor does it where SIGTERM has another
    handler than the system's: whoever set that one knows what is to be done.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

"""One training at a time: what a fit changes is not for another thread's fit to change."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, get_ident

from minigrad.train.errors import TrainingError

_holders: dict[int, int] = {}  # threads, by the identity of what their fits train
_lock = Lock()


@contextmanager
def alone(*parts: object) -> Iterator[None]:
    """Let no fit of another thread train one of these inside the block.

    Raises:
        TrainingError: if one does so now.
    """
    with _lock:
        mine = [part for part in parts if id(part) not in _holders]
        for part in parts:
            if _holders.get(id(part), get_ident()) != get_ident():
                raise TrainingError(
                    f"fit: another thread's fit is training this {type(part).__name__}; wait for it, or train a copy "
                    "(copy.deepcopy((model, optimizer)) has an optimizer for the copied model)"
                )
        _holders.update({id(part): get_ident() for part in mine})
    try:
        yield
    finally:
        with _lock:
            for part in mine:
                del _holders[id(part)]

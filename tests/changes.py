"""What somebody could set an attribute of a module, a loss or an optimizer to, found by looking at what is there."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from minigrad import nn

Change = tuple[str, Any]  # a dotted name, and what it becomes

WORDS = {
    "approximate": ("none", "tanh"),
    "mode": ("nearest", "bilinear"),
    "padding_mode": ("zeros", "reflect", "replicate", "circular"),
    "padding": ("valid", "same"),
    "reduction": ("mean", "sum", "none"),
}


def others(name: str, value: Any) -> Iterator[Any]:
    """Yield values of the same kind as one, and others that an option may have."""
    if value is None:
        yield from (0.5, 2)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value + 2, max(value - 1, 0), -value)
    elif isinstance(value, float):
        yield from (value + 0.25, value / 2)
    elif isinstance(value, str):
        yield from (word for word in WORDS.get(name, ()) if word != value)
    elif isinstance(value, np.ndarray):
        yield from (np.asarray(value * 2 + 1, value.dtype), None)
    elif isinstance(value, nn.Parameter):
        yield nn.Parameter(value.data * 2 + 1)
        yield None
    elif isinstance(value, nn.Module):
        yield from (nn.Tanh(), nn.Sequential(copy.deepcopy(value), nn.Tanh()))
    elif isinstance(value, tuple) and value and all(isinstance(item, int) for item in value):
        yield from (tuple(item + 1 for item in value), tuple(max(item - 1, 0) for item in value))
    elif isinstance(value, tuple) and value and all(isinstance(item, float) for item in value):
        yield tuple(item / 2 for item in value)


def changes(part: Any, most: int | None = None) -> Iterator[Change]:
    """Yield changes of all attributes of a part, and below it: at most so many of each."""
    for path, each in part.named_modules() if isinstance(part, nn.Module) else [("", part)]:
        for name, value in vars(each).items():
            dotted = f"{path}.{name}".lstrip(".")
            if name not in ("_saved", "_steps", "_layers"):
                yield from ((dotted, other) for other in islice(others(name, value), most))
            if isinstance(value, nn.Parameter):
                yield f"{dotted}.data", value.data * 2 + 1
                yield f"{dotted}.requires_grad", False
        for name, child in each.named_children() if isinstance(each, nn.Module) else ():
            yield from ((f"{path}.{name}".lstrip("."), other) for other in islice(others(name, child), most))


@contextmanager
def changed(part: Any, dotted: str, value: Any) -> Iterator[None]:
    """Do a change inside the block, and undo it."""
    path, _, name = dotted.rpartition(".")
    owner: Any = part
    for step in filter(None, path.split(".")):
        children = dict(owner.named_children()) if isinstance(owner, nn.Module) else {}
        owner = children.get(step) or getattr(owner, step)
    set_it = partial(owner.set_submodule if isinstance(value, nn.Module) else partial(setattr, owner), name)
    before = dict(owner.named_children())[name] if isinstance(value, nn.Module) else getattr(owner, name)
    set_it(copy.deepcopy(value))
    try:
        yield
    finally:
        set_it(before)

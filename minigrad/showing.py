"""How objects are shown: in one line, as the call that would make them; a table as HTML in a notebook."""

import inspect
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

LONGEST = 60  # characters of one argument


def is_terminal(stream: object) -> bool:
    """Return whether a stream is a terminal. Not every object that stands for one can say so."""
    isatty = getattr(stream, "isatty", None)
    try:
        return isatty is not None and bool(isatty())
    except ValueError:  # of a closed one
        return False


class ShownAsCall:
    """Is shown as a call of its class: with the constructor's arguments that are not the defaults, as they are now.

    >>> class Point(ShownAsCall):
    ...     def __init__(self, x, y=0):
    ...         self.x, self.y = x, y
    >>> Point(3), Point(3, y=1)
    (Point(x=3), Point(x=3, y=1))
    """

    def __repr__(self) -> str:
        return as_call(self)


def as_call(part: object, **known: Any) -> str:
    """Return the call that makes such an object; what is neither an attribute of it nor `known` is left out."""
    shown = []
    for name, parameter in inspect.signature(type(part)).parameters.items():
        value = known[name] if name in known else getattr(part, name, inspect.Parameter.empty)
        if value is not inspect.Parameter.empty and not _is_same(value, parameter.default):
            shown.append(f"{name}={briefly(value)}")
    return f"{type(part).__name__}({', '.join(shown)})"


def briefly(value: object) -> str:
    """Return a value as text on one line: a long one as what it is."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, list) and len(value) < 10:
        return f"[{', '.join(map(briefly, value))}]"
    text = repr(value)
    is_brief = len(text) <= LONGEST and "\n" not in text and " object at 0x" not in text
    return text if is_brief else f"{type(value).__name__}(...)"


def as_html(rows: Iterable[Sequence[str]]) -> str:
    """Return a table, the first row as its head, for `_repr_html_`."""
    head, *body = rows
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body]
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _is_same(value: object, default: object) -> bool:
    return value is default or (type(value) is type(default) and not isinstance(value, np.ndarray) and value == default)

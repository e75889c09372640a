"""Look at what every module of a model returns, and the table made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.nn.module import Module, count_parameters
from minigrad.nn.parameter import Array
from minigrad.nn.recording import evaluating
from minigrad.showing import as_html

Observer = Callable[[str, Module, Array, Array], None]

_telling: ContextVar[tuple[Callable[[Module, Array, Array], None], ...]] = ContextVar("telling", default=())
_hooking = Lock()


@contextmanager
def observe(model: Module, callback: Observer) -> Iterator[None]:
    """Call `callback(path, module, x, y)` after every forward of the model or a module in it, in that order.

    >>> from minigrad import nn
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    >>> with observe(model, lambda path, module, x, y: print(path, y.shape)):
    ...     y = model(np.ones((4, 3), np.float32))
    Sequential[0].Linear (4, 2)
    Sequential[1].ReLU (4, 2)
    Sequential (4, 2)
    """

    paths = {module: model.path_of(module) for module in model.modules()}

    def tell(module: Module, x: Array, y: Array) -> None:
        if module in paths:
            callback(paths[module], module, x, y)

    token = _telling.set((*_telling.get(), tell))
    try:
        with _hooked(paths):
            yield
    finally:
        _telling.reset(token)


def multiply_adds(model: Module, input_shape: tuple[int, ...], dtype: npt.DTypeLike) -> int:
    """Return the multiply-adds of one forward, as `summary` does, without its table."""
    counts: list[int] = []
    token = _telling.set((lambda module, x, y: counts.append(module.multiply_adds(x.shape, y.shape)),))
    try:
        with evaluating(), _hooked(list(model.modules())):
            model(np.zeros(input_shape, dtype))
    finally:
        _telling.reset(token)
    return sum(counts)


class _Hook:
    """Shadows a module's `_forward`, and tells those who observe in the context that runs it, not in another thread."""

    def __init__(self, module: Module) -> None:
        self._module, self._forward, self.users = module, module._forward, 0
        self._outer = vars(module).get("_forward")

    def __call__(self, x: Array) -> tuple[Array, Any]:
        y, saved = self._forward(x)
        for tell in _telling.get():
            tell(self._module, x, y)
        return y, saved

    def remove(self) -> None:
        """Leave the module as it was."""
        if self._outer is None:
            del vars(self._module)["_forward"]
        else:
            vars(self._module)["_forward"] = self._outer


@contextmanager
def _hooked(modules: Iterable[Module]) -> Iterator[None]:
    """Have one hook on each module as long as anybody observes it."""
    with _hooking:
        hooks = [_hook_on(module) for module in modules]
    try:
        yield
    finally:
        with _hooking:
            for hook in hooks:
                hook.users -= 1
                if not hook.users:
                    hook.remove()


def _hook_on(module: Module) -> _Hook:
    hook = vars(module).get("_forward")
    if not isinstance(hook, _Hook):
        hook = vars(module)["_forward"] = _Hook(module)
    hook.users += 1
    return hook


@dataclass(frozen=True)
class Row:
    """One layer's line of a summary."""

    path: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    activation_bytes: int


@dataclass(frozen=True, repr=False)
class Summary:
    """What a model does to one input: a row for each layer, in the order in which they ran."""

    input_shape: tuple[int, ...]
    rows: tuple[Row, ...]
    parameters: int

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one forward."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Bytes of all outputs, views not counted."""
        return sum(row.activation_bytes for row in self.rows)

    def _cells(self) -> list[tuple[str, ...]]:
        """Return the table as text: its head, a row for each layer, the totals."""
        table: list[tuple[str, ...]] = [
            ("layer", "output shape", "parameters", "multiply-adds", "activation bytes"),
        ]
        for row in self.rows:
            numbers = (row.parameters, row.multiply_adds, row.activation_bytes)
            table.append((row.path, str(row.output_shape), *(f"{number:,}" for number in numbers)))
        totals = (self.parameters, self.multiply_adds, self.activation_bytes)
        return [*table, ("total", "", *(f"{number:,}" for number in totals))]

    def _repr_html_(self) -> str:
        """Return a table for a notebook."""
        return as_html(self._cells())

    def __repr__(self) -> str:
        table = self._cells()
        widths = [max(len(line[column]) for line in table) for column in range(5)]
        lines = [
            "  ".join(
                f"{cell:{'<' if i < 2 else '>'}{width}}"
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in table
        ]
        rule = "-" * len(lines[0])
        return "\n".join([f"input {self.input_shape}", lines[0], rule, *lines[1:-1], rule, lines[-1]])


def summary(model: Module, input_shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32) -> Summary:
    """Run the model in evaluation on zeros of `input_shape` (with the batch) and return what every layer does.

    Arguments:
        model: any module.
        input_shape: for example (1, 784).
        dtype: of the input; np.int64 where the model begins with an Embedding.

    >>> from minigrad import nn
    >>> print(summary(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), (1, 3)))
    input (1, 3)
    layer                 output shape  parameters  multiply-adds  activation bytes
    -------------------------------------------------------------------------------
    Sequential[0].Linear  (1, 2)                 8              6                 8
    Sequential[1].ReLU    (1, 2)                 0              0                 8
    -------------------------------------------------------------------------------
    total                                        8              6                16
    """
    rows: list[Row] = []
    counted: set[int] = set()

    def add_row(path: str, module: Module, x: Array, y: Array) -> None:
        own = [p for p in module.own_parameters() if id(p) not in counted]
        counted.update(map(id, own))
        if own or not any(True for _ in module.named_children()):
            held = 0 if np.shares_memory(x, y) else y.nbytes
            rows.append(Row(path, y.shape, count_parameters(own), module.multiply_adds(x.shape, y.shape), held))

    with evaluating(), observe(model, add_row):
        model(np.zeros(input_shape, dtype))
    return Summary(tuple(input_shape), tuple(rows), count_parameters(model.parameters()))

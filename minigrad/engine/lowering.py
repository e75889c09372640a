"""Lowering: a model becomes instructions, layer by layer.

A lowering is a function of one kind of layer: it emits the forward's instructions and returns the output and a
function that emits the backward's, in the same words as `Module.vjp`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from minigrad.engine.memory import Array, Buffer, Cell, Image, Memory, Shape, Slot, Value, cut
from minigrad.engine.program import Builder
from minigrad.nn import Composite, Module, Parameter
from minigrad.optim import LRScheduler

T = TypeVar("T")

Pull = Callable[[Any, bool], Value]
"""`pull(dy, wants_dx) -> dx`: emits a backward. What it returns has no meaning where dx is not wanted."""

OPTIONS = 16  # of one group, at most
CHAINED_FROM = 32768  # elements of a weight: fewer stay in the cache until the end of the step anyway

_LOWERINGS: dict[type[Any], Callable[..., Any]] = {}
_TAKES_IMAGES: set[type[Any]] = set()


def lowers(*kinds: type[Any], images: bool = False) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Declare a function as the lowering of these classes. It does not hold for classes derived from them.

    Arguments:
        kinds: the classes.
        images: whether it takes an `Image`, and gives what it likes; others get the same as plain memory.
    """

    def declare(function: Callable[..., T]) -> Callable[..., T]:
        _LOWERINGS.update(dict.fromkeys(kinds, function))
        if images:
            _TAKES_IMAGES.update(kinds)
        return function

    return declare


def lowering_of(part: object) -> Callable[..., Any]:
    """Return the lowering of a module, a loss or an optimizer."""
    return _LOWERINGS[_kind(part)]


def has_lowering(part: object) -> bool:
    """Return whether a module (but for its children), a loss or an optimizer can be compiled."""
    if isinstance(part, Composite):
        return all(has_lowering(module) for module in part.compose().modules())
    return type(part) in _LOWERINGS


def _kind(part: object) -> type[Any]:
    """Return the class under which a lowering is declared: all that is composed has one."""
    return Composite if isinstance(part, Composite) else type(part)


class Check(NamedTuple):
    """What must hold for the indices of a batch: all in [0, end), but for the ignored one."""

    name: str
    end: int
    message: str
    ignored: int | None
    remedy: str

    def __call__(self, index: Array) -> None:
        """Raise the error that a layer or loss would raise."""
        # Negative numbers are large without their sign.
        if index.size and np.maximum.reduce(index.view(np.uint64), axis=None) >= self.end:
            kept = index if self.ignored is None else index[index != self.ignored]
            if kept.size and (kept.min() < 0 or kept.max() >= self.end):
                raise ValueError(f"{self.message}, got {kept.min()} to {kept.max()}{self.remedy}")


class Options:
    """Numbers of the optimizer that are read anew for each step, side by side in memory.

    Arguments:
        size: how many there may be.
    """

    row: Array

    def __init__(self, size: int) -> None:
        self.row = np.zeros(size)
        self._reads: list[Callable[[], float]] = []

    def cell(self, read: Callable[[], float], name: str) -> Cell:
        """Return a cell for what `read` returns."""
        number = len(self._reads)
        self._reads.append(read)
        cell = Cell(0.0, name)
        cell.array = self.row[number : number + 1]
        return cell

    def read(self) -> None:
        """Bring all up to date."""
        self.row[: len(self._reads)] = [read() for read in self._reads]

    def table(self, steps: int, schedule: LRScheduler | None) -> Array:
        """Return a row for each step, and let the schedule do so many."""
        self.read()
        table = np.tile(self.row, (steps, 1))
        if schedule is not None:
            for step in range(steps):
                self.read()
                table[step] = self.row
                schedule.step()
        return table


class Lowering(Builder):
    """The instructions of a model so far, and what the model's state has to do with them.

    Arguments:
        model: what is lowered.
        trained: the parameters whose gradients are wanted.
        groups: of the optimizer.

    Attributes:
        before: called before each run, to bring state of Python objects into the program's cells.
        after: called after each run, to bring it back.
        options: of the optimizer, and clip_norm.
        checks: what must hold for a batch.
        masks: how many masks each layer has drawn in this step, by its identity.
        once_finite: emit what changes state of the layers, such as running statistics. They are called behind the loss,
            so that a step whose loss is not finite leaves the model as it was.
        chain_update: emits the update of a parameter behind the instruction that has made its gradient, row by row.
            None where the gradients have to be complete first.
    """

    trained: dict[int, Parameter]
    options: Options

    def __init__(self, model: Module, trained: Iterable[Parameter] = (), groups: int = 0) -> None:
        super().__init__()
        self.model = model
        self.trained = {id(parameter): parameter for parameter in trained}
        self.before: list[Callable[[], None]] = []
        self.after: list[Callable[[], None]] = []
        self.checks: list[Check] = []
        self.options = Options(OPTIONS * groups + 1)  # and the norm to which gradients are clipped
        self.before.append(self.options.read)
        self.chain_update: Callable[[Parameter, int], None] | None = None
        self._uses = Counter(id(p) for _, module in model.named_modules() for p in module.own_parameters())
        self.masks: Counter[int] = Counter()
        self.once_finite: list[Callable[[], None]] = []
        self._with_gradient: set[int] = set()
        self._counters: dict[int, Cell] = {}

    def check(self, index: Memory, end: int, message: str, ignored: int | None = None, remedy: str = "") -> None:
        """Let a batch be refused whose indices are not below `end`, or `ignored`."""
        if isinstance(index, (Buffer, Slot)):
            self.checks.append(Check(index.name, end, message, ignored, remedy))

    def counter(self, owner: Any, name: str) -> Cell:
        """Return the cell of an integer attribute, the same one at each call, which is written back after each run."""
        if id(owner) not in self._counters:
            cell = self._counters[id(owner)] = Cell(0, name)
            self.before.append(lambda: cell.set(getattr(owner, name)))
            self.after.append(lambda: setattr(owner, name, int(cell.array[0])))
        return self._counters[id(owner)]

    def follow(self, make: Callable[[], Array]) -> Array:
        """Return an array that holds before each run what `make` returns then; its own, where that is always one."""
        array = make()
        if make() is not array:
            self.before.append(lambda: np.copyto(array, make()))
        return array

    def lower(self, module: Module, x: Value) -> tuple[Value, Pull]:
        """Emit a module's forward; return its output and what emits its backward."""
        lowering = lowering_of(module)
        if _kind(module) in _TAKES_IMAGES:
            taken: tuple[Value, Pull] = lowering(self, module, x)
            return taken
        output, pull = lowering(self, module, self.plain(x))
        return output, lambda dy, wants_dx: pull(self.plain(dy), wants_dx)

    def plain(self, x: Value) -> Memory:
        """Return memory in the order of its axes."""
        if not isinstance(x, Image):
            return x
        return self.to_rows(x.pixels, 0).reshape(*x.shape)

    def pixels(self, x: Value, rank: int) -> Memory:
        """Return images (N, C, *), or one without N, of `rank` axes of pixels as (S, N, C)."""
        if isinstance(x, Image):
            return x.pixels
        N, C = x.shape[0] if len(x.shape) == rank + 2 else 1, x.shape[-rank - 1]
        return self._by_pixel(x, N, C)

    def laid_out_as(self, x: Value, other: Value) -> Memory:
        """Return the elements of x in the order of those of another value of the same shape."""
        if not isinstance(other, Image):
            return self.plain(x)
        return x.pixels if isinstance(x, Image) else self._by_pixel(x, *other.pixels.shape[1:])

    def _by_pixel(self, x: Memory, N: int, C: int) -> Memory:
        return self.to_rows(x.reshape(N * C, -1), 0).reshape(-1, N, C)

    def is_trained(self, module: Module) -> bool:
        """Return whether a gradient of a parameter in this module is wanted."""
        return any(id(parameter) in self.trained for parameter in module.parameters())

    def like(self, x: Memory, name: str, dtype: npt.DTypeLike | None = None) -> Memory:
        """Return new memory of the form of x."""
        return self.buffer(x.shape, dtype or x.dtype, name)

    def wants(self, parameter: Parameter | None) -> bool:
        """Return whether the gradient of this parameter is wanted."""
        return parameter is not None and id(parameter) in self.trained

    def begin_gradient(self, parameter: Parameter) -> bool:
        """Note that a gradient is written; return whether it is added to what is there."""
        is_added = id(parameter) in self._with_gradient
        self._with_gradient.add(id(parameter))
        return is_added

    def can_chain(self, parameter: Parameter) -> bool:
        """Return whether the update of this parameter may follow its gradient row by row, and is worth it."""
        is_whole = self._uses[id(parameter)] == 1
        return self.chain_update is not None and is_whole and parameter.size >= CHAINED_FROM

    @contextmanager
    def gradient(self, parameter: Parameter | None, shape: Shape, dtype: npt.DTypeLike) -> Iterator[Memory]:
        """Give memory to write a gradient into; what is not the first one is added to the parameter's afterwards."""
        if parameter is None or not self.wants(parameter):
            yield self.buffer(shape, dtype, "unused")
        elif not self.begin_gradient(parameter):
            yield parameter.grad.reshape(shape)
        else:
            more = self.buffer(shape, dtype, "more")
            yield more
            self.emit("accumulate", cut(more.reshape(-1)), cut(parameter.grad.reshape(-1)))

    def summed_gradient(self, parameter: Parameter) -> Array:
        """Return the parameter's gradient for a kernel that adds to it; zero if nothing has been added yet."""
        if not self.begin_gradient(parameter):
            self.emit("clear", cut(parameter.grad.reshape(-1)))
        return parameter.grad

    def clear_others(self) -> None:
        """Emit that the trained parameters which the model does not use have no gradient."""
        for key, parameter in self.trained.items():
            if key not in self._with_gradient:
                self.summed_gradient(parameter)

    def to_rows(self, x: Memory, axis: int) -> Memory:
        """Return the vectors of x along `axis` as the rows of a matrix."""
        axis %= len(x.shape)
        before, length, behind = _around(x.shape, axis)
        if behind == 1 or length == 1:
            return x.reshape(before * behind, length)
        rows = self.buffer((before, behind, length), x.dtype, "rows")
        self.swap_axes(x.reshape(before, length, behind), rows)
        return rows.reshape(before * behind, length)

    def from_rows(self, rows: Memory, shape: Shape, axis: int) -> Memory:
        """Return the array of `shape` of which `rows` is `to_rows(..., axis)`."""
        axis %= len(shape)
        before, length, behind = _around(shape, axis)
        if behind == 1 or length == 1:
            return rows.reshape(*shape)
        x = self.buffer(shape, rows.dtype, "x")
        self.swap_axes(rows.reshape(before, behind, length), x.reshape(before, length, behind))
        return x

    def swap_axes(self, x: Memory, y: Memory) -> None:
        """Emit y (A, C, B) = x (A, B, C) with its last two axes exchanged; threads share the vectors of y."""
        A, _, C = x.shape
        self.emit("swap_axes", x, y, over=A * C, work=x.size)


def _around(shape: Shape, axis: int) -> tuple[int, int, int]:
    """Return the product of the lengths before an axis, its own, and that behind it."""
    before, behind = (int(np.prod(part, dtype=int)) for part in (shape[:axis], shape[axis + 1 :]))
    return before, shape[axis], behind

"""The lowerings of the optimizers: clipping, and one update for each flat block of parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import optim
from minigrad.engine.layers import NOTHING
from minigrad.engine.lowering import Lowering, lowering_of, lowers
from minigrad.engine.memory import Array, Cell, cut
from minigrad.kernels.reference.step import CHUNK
from minigrad.nn import Parameter
from minigrad.optim import Optimizer
from minigrad.optim.flat import Block

Group = dict[str, Any]


def lower_clipping(b: Lowering, parameters: list[Parameter], max_norm: Cell) -> None:
    """Emit the scaling of all gradients to a joint norm of at most `max_norm`.

    Arguments:
        b: what is lowered so far.
        parameters: whose gradients are clipped.
        max_norm: the largest L2 norm.
    """
    chunks = [-(-parameter.size // CHUNK) for parameter in parameters]
    sums, start = b.buffer((sum(chunks),), "float64", "sums"), 0
    for parameter, length in zip(parameters, chunks, strict=True):
        part = sums.part(start, length)
        b.emit("square_sums", parameter.grad.reshape(-1), part, over=length, grain=1, work=parameter.size)
        start += length
    norm, factor = Cell(0.0), Cell(0.0)
    b.emit("clip_factor", sums, max_norm, norm.array, factor.array)
    for parameter in parameters:
        b.emit("scale", factor, cut(parameter.grad.reshape(-1)))


class _Options:
    """The options of one group as cells, which follow the group."""

    def __init__(self, b: Lowering, group: Group) -> None:
        self._b, self._group = b, group

    def float(self, name: str, part: int | None = None) -> Cell:
        """Return an option, or a part of one that is a pair."""
        group = self._group
        if part is None:
            return self._b.options.cell(lambda: float(group[name]), name)
        return self._b.options.cell(lambda: float(group[name][part]), f"{name}[{part}]")

    def flag(self, name: str) -> Cell:
        """Return an option that is true or false."""
        cell, group = Cell(0, name), self._group
        self._b.before.append(lambda: cell.array.fill(bool(group[name])))
        return cell


class Update:
    """The update of one flat block of parameters, all at once or part by part.

    Arguments:
        b: what is lowered so far.
        block: the parameters.
        kernel: the optimizer's.
        states: its flat arrays, empty where one is not used.
        scalars: the rest of its arguments.
    """

    def __init__(self, b: Lowering, block: Block, kernel: str, states: list[Array], scalars: list[Any]) -> None:
        self._b, self._kernel, self._scalars = b, kernel, scalars
        self._arrays = [block.grad, block.data, *states]
        ends = np.cumsum([0, *(parameter.data.size for parameter in block.parameters.values())])
        self._ranges = {
            id(parameter): (int(start), int(end))
            for parameter, start, end in zip(block.parameters.values(), ends, ends[1:], strict=False)
        }
        self._done: list[tuple[int, int]] = []
        self._size = block.data.size

    def holds(self, parameter: Parameter) -> bool:
        """Return whether the parameter is one of the block's."""
        return id(parameter) in self._ranges

    def chain(self, parameter: Parameter, rows: int) -> None:
        """Emit the update of a parameter's rows, each as soon as the instruction before has its gradient."""
        start, end = self._ranges[id(parameter)]
        self._done.append((start, end))
        parts = [cut(array[start:end], (end - start) // rows) if array.size else array for array in self._arrays]
        self._b.emit(self._kernel, *parts, *self._scalars, over=rows, chained=True)

    def finish(self) -> None:
        """Emit the update of all that has not been chained."""
        at = 0
        for start, end in [*sorted(self._done), (self._size, self._size)]:
            if at < start:
                parts = [cut(array[at:start]) if array.size else array for array in self._arrays]
                self._b.emit(self._kernel, *parts, *self._scalars)
            at = end


class Updates:
    """The updates of all parameters by an optimizer. Its steps are counted before anything is updated.

    Arguments:
        b: what is lowered so far.
        optimizer: the optimizer.
    """

    def __init__(self, b: Lowering, optimizer: Optimizer) -> None:
        rule = lowering_of(optimizer)
        self._last: list[Callable[[], None]] = []
        self._all: list[Update] = []
        for group, blocks in zip(optimizer.param_groups, optimizer._blocks, strict=True):
            options = _Options(b, group)
            self._all += [rule(b, block, group, options, self._last) for block in blocks if block.is_trained]

    def chain(self, parameter: Parameter, rows: int) -> None:
        """Emit a parameter's update, chained to the instruction before, which has its gradient."""
        next(update for update in self._all if update.holds(parameter)).chain(parameter, rows)

    def finish(self) -> None:
        """Emit all other updates."""
        for update in self._all:
            update.finish()
        for emit in self._last:
            emit()


def _state(block: Block, name: str, used: bool = True, fill: float = 0.0) -> Array:
    return block.buffer(name, fill=fill) if used else NOTHING[block.dtype]


def _counted(b: Lowering, block: Block) -> Cell:
    """Emit that a step is counted; return its number, from 1."""
    step = b.counter(block, "step")
    b.emit("count", step.array)
    return step


Last = list[Callable[[], None]]


@lowers(optim.SGD)
def sgd(b: Lowering, block: Block, group: Group, options: _Options, last: Last) -> Update:
    """SGD."""
    names = ("lr", "momentum", "dampening", "weight_decay", "l1")
    is_first = Cell(int("momentum_buffer" not in block.state), "is_first")
    state = _state(block, "momentum_buffer", used=group["momentum"] != 0)
    flags = [options.flag(name) for name in ("nesterov", "maximize")]
    if group["momentum"] != 0:
        last.append(lambda: b.emit("clear", is_first.array))
    return Update(b, block, "sgd_update", [state], [*(options.float(name) for name in names), *flags, is_first])


@lowers(optim.Adam, optim.AdamW)
def adam(b: Lowering, block: Block, group: Group, options: _Options, last: Last) -> Update:
    """Adam, with penalties of either kind."""
    states = [_state(block, name) for name in ("exp_avg", "exp_avg_sq")]
    states.append(_state(block, "max_exp_avg_sq", used=bool(group["amsgrad"])))
    scalars = [options.float("lr"), options.float("betas", 0), options.float("betas", 1)]
    scalars += [options.float(name) for name in ("eps", "weight_decay", "l1")]
    flags = [options.flag(name) for name in ("decoupled_weight_decay", "maximize")]
    return Update(b, block, "adam_update", states, [*scalars, _counted(b, block), *flags])


@lowers(optim.RMSprop)
def rmsprop(b: Lowering, block: Block, group: Group, options: _Options, last: Last) -> Update:
    """RMSprop."""
    _counted(b, block)
    states = [
        _state(block, "square_avg"),
        _state(block, "grad_avg", used=bool(group["centered"])),
        _state(block, "momentum_buffer", used=group["momentum"] != 0),
    ]
    scalars = [options.float(name) for name in ("lr", "alpha", "eps", "weight_decay", "momentum", "l1")]
    return Update(b, block, "rmsprop_update", states, [*scalars, options.flag("maximize")])


@lowers(optim.Adagrad)
def adagrad(b: Lowering, block: Block, group: Group, options: _Options, last: Last) -> Update:
    """Adagrad."""
    state = _state(block, "sum", fill=group["initial_accumulator_value"])
    scalars = [options.float(name) for name in ("lr", "lr_decay", "eps", "weight_decay", "l1")]
    return Update(b, block, "adagrad_update", [state], [*scalars, _counted(b, block), options.flag("maximize")])

"""Flat memory: parameters laid end to end, so that one kernel call updates all of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from minigrad.kernels.memory import aligned
from minigrad.numbers import as_numbers, convert

Array = npt.NDArray[Any]


class Trainable(Protocol):
    """What an optimizer works on: an array and its gradient, of one dtype and shape. `nn.Parameter` is one."""

    data: Array
    requires_grad: bool

    @property
    def grad(self) -> Array:
        """The gradient."""

    @grad.setter
    def grad(self, value: Array, /) -> None: ...

    def zero_grad(self) -> None:
        """Set the gradient to zero."""


class Block:
    """Parameters of one dtype, their gradients, and an optimizer's state for them, each in one flat array.

    The parameters' own `data` and `grad` become views of the flat arrays, in order. All are trained, or all frozen.

    Arguments:
        parameters: the parameters, under their numbers in the optimizer.
    """

    dtype: np.dtype[Any]
    shapes: list[tuple[int, ...]]
    data: Array
    grad: Array
    parameters: dict[int, Trainable]
    is_trained: bool
    step: int

    def __init__(self, parameters: Mapping[int, Trainable]) -> None:
        self.parameters = dict(parameters)
        arrays = [parameter.data for parameter in parameters.values()]
        self.dtype = arrays[0].dtype
        self.is_trained = next(iter(parameters.values())).requires_grad
        self.shapes = [array.shape for array in arrays]
        size = sum(array.size for array in arrays)
        self.data, self.grad = aligned(size, self.dtype), aligned(size, self.dtype)
        self.state: dict[str, Array] = {}
        self.step = 0
        self._views = self._cut()
        self.gather()

    def split(self, flat: Array) -> list[Array]:
        """Return the parts of a flat array as views in the parameters' shapes."""
        ends = np.cumsum([np.prod(shape, dtype=int) for shape in self.shapes])
        parts = np.split(flat, ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def _cut(self) -> list[tuple[Array, Array]]:
        return list(zip(self.split(self.data), self.split(self.grad), strict=True))

    def gather(self) -> None:
        """Move in what lies elsewhere: each `data` and `grad` that is not our view. Values are kept."""
        for (number, parameter), (data, grad) in zip(self.parameters.items(), self._views, strict=True):
            if parameter.data is not data:
                _copy(parameter.data, data, f"parameter {number}")
                parameter.data = data
            if parameter.grad is not grad:
                _copy(parameter.grad, grad, f"gradient of parameter {number}")
                parameter.grad = grad

    def is_outdated(self) -> bool:
        """Return whether a parameter has been converted, frozen, or is trained again."""
        return any((p.data.dtype, p.requires_grad) != (self.dtype, self.is_trained) for p in self.parameters.values())

    def buffer(self, name: str, used: bool = True, fill: float = 0.0) -> Array:
        """Return the flat state `name`, made when first asked for; an empty array where it is not used."""
        if not used:
            return np.empty(0, self.dtype)
        if name not in self.state:
            self.state[name] = aligned(self.data.size, self.dtype)
            self.state[name].fill(fill)
        return self.state[name]

    def entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield each parameter's number and a copy of its state."""
        step = {"step": self.step} if self.step else {}
        parts = {name: self.split(flat) for name, flat in self.state.items()}
        for i, number in enumerate(self.parameters):
            yield number, step | {name: part[i].copy() for name, part in parts.items()}

    def problems(self, entries: Sequence[Mapping[str, Any]], known: Sequence[str]) -> Iterator[str]:
        """Yield why `entries` (one for each number) cannot be loaded. They may have the `known` names."""
        names = next((set(entries[number]) for number in self.parameters if entries[number]), set())
        for number, shape in zip(self.parameters, self.shapes, strict=True):
            entry = entries[number]
            for name, value in entry.items():
                if name not in known:
                    yield f"parameter {number}: unknown state {name}, want {', '.join(known)}"
                elif problem := self._problem(value, () if name == "step" else shape, name == "step"):
                    yield f"parameter {number}: {name} {problem}"
            if entry and set(entry) != names:
                yield f"parameter {number}: has {sorted(entry)}, others of its group have {sorted(names)}"

    def _problem(self, value: object, shape: tuple[int, ...], is_step: bool) -> str:
        """Return what is wrong with a value of the state, an empty text for nothing."""
        try:
            array = as_numbers(value)
            if array.shape != shape:
                return f"is {array.shape}, want {shape}"
            if (convert(array, np.int64 if is_step else self.dtype) < 0).any() and is_step:
                return f"is {array}, want at least 0"
        except ValueError as error:
            return f"cannot be loaded: {error}"
        return ""

    def load(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Copy in the state from `entries` (one for each number); what was there is forgotten."""
        first = entries[min(self.parameters)]
        self.step = _step(first)
        self.state = {}
        for name in first:
            if name != "step":
                for number, part in zip(self.parameters, self.split(self.buffer(name)), strict=True):
                    part[...] = entries[number][name]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_views"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A copied or unpickled view shares no memory. New ones are cut here, and `gather` finds them not yet bound.
        vars(self).update(state)
        self.data, self.grad = _moved(self.data), _moved(self.grad)
        self.state = {name: _moved(flat) for name, flat in self.state.items()}
        self._views = self._cut()


def blocks_of(parameters: Mapping[int, Trainable], entries: Sequence[Mapping[str, Any]] = ()) -> list[Block]:
    """Return a block, with its state from `entries`, for all that are alike: in dtype, frozen or not, in their step."""
    alike: dict[Any, dict[int, Trainable]] = {}
    for number, parameter in parameters.items():
        entry = entries[number] if entries else {}
        kind = parameter.data.dtype, parameter.requires_grad, frozenset(entry), _step(entry)
        alike.setdefault(kind, {})[number] = parameter
    blocks = [Block(group) for group in alike.values()]
    for block in blocks:
        if entries:
            block.load(entries)
    return blocks


def _moved(flat: Array) -> Array:
    """Return a copy that begins with a cache line, as those that are made here."""
    copy = aligned(flat.size, flat.dtype)
    copy[...] = flat
    return copy


def _step(entry: Mapping[str, Any]) -> int:
    return int(entry.get("step", 0))


def _copy(source: Array, view: Array, name: str) -> None:
    if not isinstance(source, np.ndarray) or source.shape != view.shape:
        got = f"one of {source.shape}" if isinstance(source, np.ndarray) else type(source).__name__
        raise ValueError(f"{name}: want an array of {view.shape} as before, got {got}")
    view[...] = source

"""Modules made of modules: a chain, three ways to branch, and names of one's own for what is made of them."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, overload

import numpy as np

from minigrad.nn.errors import LayerError
from minigrad.nn.module import Module
from minigrad.nn.parameter import Array
from minigrad.nn.recording import is_recording
from minigrad.nn.shape import Identity


class _Positional(Module):
    """A module whose children are numbered: `self[0]`, key `0.weight` in its state."""

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        self._layers: dict[str, Module] = {}
        for layer in layers:
            self._add(str(len(self._layers)), layer)

    def _add(self, name: str, layer: object) -> None:
        if not isinstance(layer, Module):
            raise TypeError(f"{type(self).__name__}: want modules, got {type(layer).__name__} as child {name}")
        self._layers[name] = layer

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the children with their numbers."""
        yield from self._layers.items()

    def _set_child(self, name: str, module: Module) -> None:
        self._add(name, module)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers.values())

    def __len__(self) -> int:
        return len(self._layers)

    @overload
    def __getitem__(self, index: int) -> Any: ...  # of any class, whose attributes are wanted
    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...
    def __getitem__(self, index: int | slice) -> Any:
        layers = list(self)
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]


class Sequential(_Positional):
    r"""y = f_L(... f_2(f_1(x))): each layer's output is the next one's input.

    Arguments:
        layers: modules, or one mapping from names to modules (the names become the keys of the state).

    Shape:
        x: what the first layer takes, y: what the last one gives. Without layers y = x.

    Backward: the chain rule, from the last layer to the first: dx = J_1ᵀ(J_2ᵀ(... J_Lᵀ dy)).

    Saved: the layers' saved values.

    >>> from minigrad.nn import Linear, ReLU
    >>> model = Sequential(Linear(3, 5), ReLU(), Linear(5, 2))
    >>> model(np.ones((4, 3), np.float32)).shape, len(model), model[0].out_features
    ((4, 2), 3, 5)
    """

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            for name, layer in layers[0].items():
                self._add(name, layer)
        else:
            for module in layers:
                self._add(str(len(self)), module)

    def append(self, layer: Module) -> "Sequential":
        """Add a layer at the end."""
        self._add(str(len(self)), layer)
        return self

    def _forward(self, x: Array) -> tuple[Array, list[Any]]:
        saves = []
        for layer in self:
            x, saved = layer._forward(x)
            if is_recording():
                saves.append(saved)
        return x, saves

    def _backward(self, saved: list[Any], dy: Array) -> Array:
        for layer, layer_saved in zip(reversed(list(self)), reversed(saved), strict=True):
            dy = layer._backward(layer_saved, dy)
        return dy

    def _backward_parameters(self, saved: list[Any], dy: Array) -> None:
        """Go back to the first layer that is trained, and no further."""
        layers = list(self)
        first = next((i for i, layer in enumerate(layers) if layer.is_trained), len(layers))
        for i in range(len(layers) - 1, first, -1):
            dy = layers[i]._backward(saved[i], dy)
        if first < len(layers):
            layers[first]._backward_parameters(saved[first], dy)


class Sum(_Positional):
    r"""y = f_1(x) + f_2(x) + ...: branches over one input, added.

    Arguments:
        branches: modules whose outputs have one shape.

    Backward: every branch gets dy, and x fans out to all, so dx = Σ_i J_iᵀ dy.

    Saved: the branches' saved values.

    >>> from minigrad.nn import Identity, Linear
    >>> Sum(Linear(3, 3), Identity())(np.ones((4, 3), np.float32)).shape
    (4, 3)
    """

    def __init__(self, *branches: Module) -> None:
        super().__init__(*branches)
        if not branches:
            raise ValueError("Sum: want at least one branch")

    def _forward(self, x: Array) -> tuple[Array, list[Any]]:
        outputs, saves = _branch(self, x)
        return _add_all(self, outputs), saves

    def _backward(self, saved: list[Any], dy: Array) -> Array:
        return _add_all(self, [f._backward(s, dy) for f, s in zip(self, saved, strict=True)])

    def _backward_parameters(self, saved: list[Any], dy: Array) -> None:
        for branch, branch_saved in zip(self, saved, strict=True):
            _pull_parameters(branch, branch_saved, dy)


class Residual(Module):
    r"""y = body(x) + shortcut(x).

    Arguments:
        body: any module.
        shortcut: a module that brings x to the body's output shape. By default x itself.

    Backward: dx = J_bodyᵀ dy + J_shortcutᵀ dy.

    Saved: both saved values.

    >>> from minigrad.nn import Linear, ReLU
    >>> Residual(Sequential(Linear(3, 3), ReLU()))(np.ones((4, 3), np.float32)).shape
    (4, 3)
    """

    shortcut: Module

    def __init__(self, body: Module, shortcut: Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = Identity() if shortcut is None else shortcut

    def _forward(self, x: Array) -> tuple[Array, Any]:
        y, body_saved = self.body._forward(x)
        x, shortcut_saved = self.shortcut._forward(x)
        return _add_all(self, [y, x]), (body_saved, shortcut_saved)

    def _backward(self, saved: Any, dy: Array) -> Array:
        body_saved, shortcut_saved = saved
        return _add_all(self, [self.body._backward(body_saved, dy), self.shortcut._backward(shortcut_saved, dy)])

    def _backward_parameters(self, saved: Any, dy: Array) -> None:
        body_saved, shortcut_saved = saved
        _pull_parameters(self.body, body_saved, dy)
        _pull_parameters(self.shortcut, shortcut_saved, dy)


class Concat(_Positional):
    r"""y = [f_1(x), f_2(x), ...] along one axis.

    Arguments:
        branches: modules whose outputs agree in all other axes.
        axis: where to join; 1, the channels, by default.

    Backward: dy is cut where y was joined, dy = [dy_1, dy_2, ...], and dx = Σ_i J_iᵀ dy_i.

    Saved: the branches' saved values and the places of the cuts.

    >>> from minigrad.nn import Linear
    >>> Concat(Linear(3, 5), Linear(3, 2))(np.ones((4, 3), np.float32)).shape
    (4, 7)
    """

    def __init__(self, *branches: Module, axis: int = 1) -> None:
        super().__init__(*branches)
        if not branches:
            raise ValueError("Concat: want at least one branch")
        self.axis = axis

    def _forward(self, x: Array) -> tuple[Array, Any]:
        outputs, saves = _branch(self, x)
        try:
            y = np.concatenate(outputs, axis=self.axis)
        except ValueError:
            shapes = ", ".join(str(output.shape) for output in outputs)
            raise LayerError(self, f"want outputs that agree but for axis {self.axis}, got {shapes}") from None
        cuts = np.cumsum([output.shape[self.axis] for output in outputs])[:-1]
        return y, (saves, cuts)

    def _backward(self, saved: Any, dy: Array) -> Array:
        saves, cuts = saved
        parts = self._parts(dy, cuts)
        return _add_all(self, [f._backward(s, d) for f, s, d in zip(self, saves, parts, strict=True)])

    def _backward_parameters(self, saved: Any, dy: Array) -> None:
        saves, cuts = saved
        for branch, branch_saved, part in zip(self, saves, self._parts(dy, cuts), strict=True):
            _pull_parameters(branch, branch_saved, part)

    def _parts(self, dy: Array, cuts: Array) -> list[Array]:
        return [np.ascontiguousarray(part) for part in np.split(dy, cuts, axis=self.axis)]

    def extra_repr(self) -> str:
        """Return the axis."""
        return f"axis={self.axis}"


class Composite(Module):
    r"""A module that does what a composition of its parts does, and has them under names of its own.

    A class assigns the parts in its constructor, whose names become the keys of its state, and says in `compose` what
    is made of them. It is asked at each forward and backward, so a part may be replaced by another. Layers with a
    state, as Dropout has, must be parts.

    Shape:
        x, y: those of the composition.

    Backward: that of the composition.

    Saved: what the composition saves.

    >>> from minigrad.nn import Linear, ReLU
    >>> class Block(Composite):
    ...     def __init__(self, width):
    ...         super().__init__()
    ...         self.inner = Linear(width, width)
    ...
    ...     def compose(self):
    ...         return Residual(Sequential(self.inner, ReLU()))
    >>> list(Block(3).state_dict()), Block(3)(np.ones((4, 3), np.float32)).shape
    (['inner.weight', 'inner.bias'], (4, 3))
    """

    @abstractmethod
    def compose(self) -> Module:
        """Return a module made of the parts."""

    def _forward(self, x: Array) -> tuple[Array, Any]:
        return self.compose()._forward(x)

    def _backward(self, saved: Any, dy: Array) -> Array:
        return self.compose()._backward(saved, dy)

    def _backward_parameters(self, saved: Any, dy: Array) -> None:
        self.compose()._backward_parameters(saved, dy)


def _pull_parameters(branch: Module, saved: Any, dy: Array) -> None:
    if branch.is_trained:
        branch._backward_parameters(saved, dy)


def _branch(branches: _Positional, x: Array) -> tuple[list[Array], list[Any]]:
    outputs, saves = zip(*(branch._forward(x) for branch in branches), strict=True)
    return list(outputs), list(saves)


def _add_all(layer: Module, arrays: list[Array]) -> Array:
    """Return the sum in a fresh array: what a child returned is not ours to write into."""
    if len({array.shape for array in arrays}) > 1:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise LayerError(layer, f"want branches of one shape, got {shapes}")
    return reduce(np.add, arrays) if len(arrays) > 1 else arrays[0].copy()

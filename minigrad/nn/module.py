"""Module: what every layer, container and model is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, final, overload

import numpy as np
import numpy.typing as npt

from minigrad.nn.errors import BackwardError, LayerError, path_of
from minigrad.nn.parameter import Array, Parameter, for_kernels
from minigrad.nn.recording import SavedStack, enable_grad, is_evaluating, is_recording
from minigrad.nn.state import IncompatibleKeys, load_state

if TYPE_CHECKING:
    from minigrad.nn.observe import Summary

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_Form = tuple[tuple[int, ...], np.dtype[Any]]  # shape and dtype of an output


class CompiledOutputs(Protocol):
    """What `Module.compiled` returns: a function x -> outputs in evaluation mode."""

    @property
    def model(self) -> Module:
        """The model whose outputs they are."""

    @property
    def batch_size(self) -> int | None:
        """Samples that are taken at a time; None for as many as fit."""

    def __call__(self, x: Array, /) -> Array:
        """Return the outputs for the samples of x, in a new array."""


class Module(ABC):
    """A function of one array, with parameters and a backward pass written by hand.

    The author of a layer writes two functions, and nothing else:

    - `_forward(x) -> (y, saved)`, pure in `x`; `saved` is exactly what the backward needs;
    - `_backward(saved, dy) -> dx`, which adds to the parameters' gradients: `self.weight.grad += dw`.

    `_forward` never writes to `x`, `_backward` never to `dy` or `saved`. A block made of other modules calls their
    `_forward` and `_backward` and keeps their saved values inside its own.

    Attributes are the registry: a `Parameter` is a parameter, a `Module` (or a list of them) a child, a NumPy array
    a buffer (state that is saved but not trained). Names that begin with an underscore are left out.
    """

    optional_state: ClassVar[tuple[str, ...]] = ()
    """Names of buffers that a state may lack."""

    takes_integers: ClassVar[bool] = False
    """Whether integers in x stay integers for the model's sake: what a Trainer gets is made floats otherwise."""

    def __init__(self) -> None:
        self.training = True
        self._saved = SavedStack()

    @abstractmethod
    def _forward(self, x: Array, /) -> tuple[Array, Any]:
        """Return the output, and what `_backward` needs."""

    @abstractmethod
    def _backward(self, saved: Any, dy: Array, /) -> Array:
        """Add to the parameters' gradients and return the gradient with respect to the input."""

    # ------------------------------------------------------------------------------------------------ calling

    @final
    def __call__(self, x: Array) -> Array:
        """Return the output. Outside `no_grad()`, keep what `backward` needs, last in, first out."""
        y, saved = self._checked_forward(x)
        if is_recording():
            self._saved.push(type(self).__name__, y, ((y.shape, y.dtype), saved))
        return y

    @overload
    def backward(self, dy: Array) -> Array: ...
    @overload
    def backward(self, dy: Array, input_grad: bool) -> Array | None: ...
    @final
    def backward(self, dy: Array, input_grad: bool = True) -> Array | None:
        """Add to all parameters' gradients; return the gradient with respect to the input of the last forward.

        Arguments:
            dy: the gradient with respect to the output, of the output's shape and dtype.
            input_grad: whether the gradient with respect to the input is wanted. Without it None is returned, and
                the work for it is saved: a third of the first layer's.
        """
        form, saved = self._saved.last(type(self).__name__)
        self._check_cotangent(form, dy)
        self._saved.pop()
        return self._pull(saved, dy, input_grad)

    @final
    def vjp(self, x: Array) -> tuple[Array, Callable[..., Array]]:
        """Return the output and its pullback `dy -> dx`. Re-entrant: pullbacks may be called in any order.

        >>> from minigrad import nn
        >>> import numpy as np
        >>> y, pullback = nn.Tanh().vjp(np.zeros((2, 3)))
        >>> pullback(np.ones((2, 3))).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
        """
        with enable_grad():
            y, saved = self._checked_forward(x)
        form = (y.shape, y.dtype)

        def pullback(dy: Array, input_grad: bool = True) -> Any:
            self._check_cotangent(form, dy)
            return self._pull(saved, dy, input_grad)

        return y, pullback

    def _pull(self, saved: Any, dy: Array, input_grad: bool) -> Array | None:
        dy = for_kernels(dy)
        with self._saved.pulling:
            if input_grad:
                return self._backward(saved, dy)
            self._backward_parameters(saved, dy)
            return None

    def _backward_parameters(self, saved: Any, dy: Array, /) -> None:
        """Do what `_backward` does to the parameters' gradients. Override it where that alone is less work."""
        self._backward(saved, dy)

    def _checked_forward(self, x: Array) -> tuple[Array, Any]:
        if not isinstance(x, np.ndarray):
            raise LayerError(self, f"want a NumPy array, got {type(x).__name__}")
        try:
            return self._forward(x)
        except LayerError as error:
            raise error.seen_from(self) from None

    def _check_cotangent(self, form: _Form, dy: Array) -> None:
        shape, dtype = form
        if not isinstance(dy, np.ndarray) or dy.shape != shape or dy.dtype != dtype:
            got = f"{dy.dtype} {dy.shape}" if isinstance(dy, np.ndarray) else type(dy).__name__
            raise BackwardError(f"{type(self).__name__}.backward: want dy like the output, {dtype} {shape}; got {got}")

    def _input(self, x: Array, want: str = "any shape", fits: bool = True) -> Array:
        """Return `x` as a kernel wants it: contiguous and writeable; or raise what is wrong with it.

        Arguments:
            x: what came, to be float32 or float64, like this layer's parameters, and not empty.
            want: the shape that the layer wants, in words for the message.
            fits: whether the shape of `x` is so.
        """
        if x.dtype not in FLOATS:
            raise LayerError(self, f"want float32 or float64 input, got {x.dtype} {x.shape}")
        for name, array in list(vars(self).items()):
            if type(array) is Parameter and array.data.dtype != x.dtype:
                raise LayerError(self, f"input is {x.dtype}, {name} is {array.dtype}: convert one of them")
        if not fits:
            raise LayerError(self, f"want input of shape {want}, got {x.shape}")
        if x.size == 0:
            raise LayerError(self, f"want a non-empty input, got shape {x.shape}")
        return for_kernels(x)

    def _want_shape(self, shape: tuple[int, ...], *names: str) -> None:
        """Raise where one of these parameters or buffers is not as the layer's options say: kernels trust them."""
        for name in names:
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise LayerError(self, f"{name} has the shape {array.shape}, the layer's options want {shape}")

    def compiled(self, batch_size: int | None = None) -> CompiledOutputs:
        """Return a function x -> outputs in evaluation mode, each batch of which is one native call.

        It uses the weights as they are when it is called. x may have any number of rows. Where the model cannot be
        compiled (a layer of one's own, no Numba) the function is eager, and a warning says why.

        Arguments:
            batch_size: samples that share one pass over the weights; by default as many, up to 1024, as leave what is
                between the layers in the cache.
        """
        outputs: CompiledOutputs = import_module("minigrad.engine").compile_model(self, batch_size)  # made of modules
        return outputs

    # ------------------------------------------------------------------------------------------------ walking

    def _attributes(self) -> Iterator[tuple[str, Any]]:
        # Of a list: another thread may begin to observe this module, which adds an attribute.
        return ((name, value) for name, value in list(vars(self).items()) if not name.startswith("_"))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the direct children with their names, in the order in which they were assigned."""
        for name, value in self._attributes():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, (list, tuple)):
                yield from ((f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, Module))

    def set_submodule(self, target: str, module: Module) -> None:
        """Put `module` in the place of the one at the dotted path `target`, as in PyTorch.

        Raises:
            AttributeError: if there is none.
        """
        for name, child in self.named_children():
            if name == target:
                return self._set_child(name, module)
            if target.startswith(f"{name}."):
                return child.set_submodule(target.removeprefix(f"{name}."), module)
        raise AttributeError(f"{type(self).__name__}.set_submodule: there is no module {target!r}")

    def _set_child(self, name: str, module: Module) -> None:
        name, _, index = name.partition(".")
        if index:
            getattr(self, name)[int(index)] = module
        else:
            setattr(self, name, module)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield this module and all below it with their dotted paths. One that is shared comes once for each path."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it, each once."""
        yield from {id(module): module for _, module in self.named_modules()}.values()

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield every parameter once, with its dotted name (of a shared one: the first)."""
        seen: set[int] = set()
        for name, value in self._named_state():
            if isinstance(value, Parameter) and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def own_parameters(self) -> list[Parameter]:
        """Return the parameters of this module alone, without its children's."""
        return [value for _, value in self._attributes() if isinstance(value, Parameter)]

    def parameters(self) -> Iterator[Parameter]:
        """Yield every parameter once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """Yield the arrays that are state but not trained, with their dotted names."""
        return ((name, value) for name, value in self._named_state() if isinstance(value, np.ndarray))

    def _named_state(self) -> Iterator[tuple[str, Parameter | Array]]:
        for prefix, module in self.named_modules():
            for name, value in module._attributes():
                if isinstance(value, (Parameter, np.ndarray)):
                    yield (f"{prefix}.{name}" if prefix else name), value

    # -------------------------------------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all parameters and buffers under PyTorch's keys."""
        return {
            name: (value.data if isinstance(value, Parameter) else value).copy() for name, value in self._named_state()
        }

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike], strict: bool = True) -> IncompatibleKeys:
        """Copy `state` into the parameters and buffers, converted to their dtype, all of it or nothing.

        As in PyTorch, a state may lack the `num_batches_tracked` of a normalisation, which old files have not.

        Arguments:
            state: arrays by name, as `state_dict()` gives them.
            strict: whether a key that is missing or unknown is an error. A wrong shape always is, and so are numbers
                that would become others: complex ones, fractions for an integer, what overflows.

        Returns:
            The `missing_keys` and the `unexpected_keys`, none where `strict`.

        Raises:
            TypeError: if the state is no mapping.
            ValueError: listing all that does not fit. Nothing has been written then.
        """
        where = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state, Mapping):
            raise TypeError(f"{where}: want arrays by name, got {type(state).__name__}")
        own = {name: value.data if isinstance(value, Parameter) else value for name, value in self._named_state()}
        optional = {
            f"{prefix}.{name}" if prefix else name
            for prefix, module in self.named_modules()
            for name in module.optional_state
        }
        try:
            return load_state(own, state, optional, strict)
        except ValueError as error:
            raise ValueError(f"{where}:{error}") from None

    def to(self, dtype: npt.DTypeLike) -> Self:
        """Convert all parameters and floating buffers to float32 or float64. Optimizers follow at their next step."""
        dtype = np.dtype(dtype)
        if dtype not in FLOATS:
            raise ValueError(f"{type(self).__name__}.to: want float32 or float64, got {dtype}")
        for module in self.modules():
            for name, value in module._attributes():
                if isinstance(value, Parameter):
                    value.data, value.grad = value.data.astype(dtype), value.grad.astype(dtype)
                elif isinstance(value, np.ndarray) and value.dtype in FLOATS:
                    setattr(module, name, value.astype(dtype))
        return self

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze all parameters here and below (False), or let them be trained again (True), as in PyTorch.

        What is frozen gets no gradient and no update. A normalisation with running statistics whose own parameters
        are all frozen keeps these statistics and uses them, as in `eval()`, also in training. Everything else, such
        as Dropout, goes on as before.

        Where the gradient with respect to the input is not wanted (`backward(dy, input_grad=False)`, compiled steps,
        the Trainer), the backward ends behind the first layer that is trained: what is frozen in front of it costs
        none. A frozen layer with a trained one in front of it hands its dx on, and saves the work for its parameters.

        >>> from minigrad import nn
        >>> model = nn.Sequential(nn.Linear(3, 5).requires_grad_(False), nn.ReLU(), nn.Linear(5, 2))
        >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        ['2.weight', '2.bias']
        """
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    @property
    def is_trained(self) -> bool:
        """Whether a parameter here or below requires a gradient."""
        return any(parameter.requires_grad for parameter in self.parameters())

    @property
    def is_learning(self) -> bool:
        """Whether it is in training mode, and not a layer whose own parameters are all frozen."""
        own = self.own_parameters()
        return self.training and (not own or any(parameter.requires_grad for parameter in own))

    @property
    def training(self) -> bool:
        """Whether Dropout drops and BatchNorm uses the batch's statistics."""
        return self._training and not is_evaluating()

    @training.setter
    def training(self, mode: bool) -> None:
        self._training = mode

    def train(self, mode: bool = True) -> Self:
        """Let Dropout drop and BatchNorm use the batch's statistics, here and below."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Let Dropout pass and BatchNorm use its running statistics, here and below."""
        return self.train(False)

    # ------------------------------------------------------------------------------------------------ showing

    def multiply_adds(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Return the multiply-adds of one forward that turns `x_shape` into `y_shape`; 0 where they do not count."""
        return 0

    def summary(self, input_shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32) -> Summary:
        """Return a table of every layer's output shape, parameters, multiply-adds and activation bytes.

        Arguments:
            input_shape: with the batch, for example (1, 784).
            dtype: of the input; np.int64 where the model begins with an Embedding.
        """
        from minigrad.nn.observe import summary  # which is made of modules itself

        return summary(self, input_shape, dtype)

    def path_of(self, module: Module) -> str:
        """Return where `module` lies in this one, for people: `Sequential[3].Linear`."""
        return path_of(module, self)

    def extra_repr(self) -> str:
        """Return the constructor's arguments as shown by `repr`."""
        return ""

    def __repr__(self) -> str:
        children = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        return "\n  ".join([f"{type(self).__name__}(", *filter(None, [self.extra_repr()]), *children]) + "\n)"


def count_parameters(parameters: Iterable[Parameter]) -> int:
    """Return the number of values, frozen or not."""
    return sum(parameter.size for parameter in parameters)

"""What a network is: a description, from which minigrad's network and its PyTorch twin are made."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from minigrad import nn
from tests.cases.containers import TorchConcat, TorchResidual, TorchSum

Shape = tuple[int, ...]
Options = dict[str, Any]


def torch_concat(*branches: torch.nn.Module, axis: int) -> torch.nn.Module:
    twin = TorchConcat(*branches)
    twin.axis = axis
    return twin


BRANCHES = {"Concat": torch_concat, "Residual": TorchResidual, "Sum": TorchSum}  # as PyTorch has none


NORMALISATIONS = nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d


class Layer(NamedTuple):
    """A layer as its constructor is called, in either library. Layers of one number are one layer, used again."""

    number: int
    kind: str
    arguments: tuple[Any, ...]  # a container's are its children
    options: Options

    def __repr__(self) -> str:
        """Return the call that makes it, to be read and replayed: a child a line."""
        lines = (f"\n{child!r},".replace("\n", "\n  ") for child in self.children)
        arguments = f"({''.join(lines)}\n)" if self.children else repr(self.arguments)
        return f"Layer({self.number}, {self.kind!r}, {arguments}, {self.options})"

    @property
    def children(self) -> list["Layer"]:
        return [argument for argument in self.arguments if isinstance(argument, Layer)]

    def depth(self) -> int:
        """Return how deep branches are nested."""
        below = max((child.depth() for child in self.children), default=0)
        return below + (self.kind in BRANCHES)

    def gain(self) -> float:
        """Return by how much the normalisations, one behind the other, can enlarge an error of values near 1."""
        return math.prod(max(1, use.options["eps"] ** -0.5) for use in self.uses() if "eps" in use.options)

    def uses(self) -> list["Layer"]:
        """Return this layer and all below it, a shared one as often as it is used."""
        return [self, *(use for child in self.children for use in child.uses())]


@dataclass(frozen=True)
class Network:
    """A network, the shape of its input (with the batch), its mode, and the seed of all values."""

    layer: Layer
    shape: Shape
    training: bool
    seed: int
    vocabulary: int | None = None  # the input holds integers below this

    def module(self, dtype: Any = np.float64) -> nn.Module:
        """Return minigrad's network, with random values in all parameters and buffers."""
        module: nn.Module = built(self.layer, lambda kind: getattr(nn, kind), {})
        module.to(dtype).train(self.training)
        rng = np.random.default_rng(self.seed)
        for parameter in module.parameters():
            values = rng.uniform(0.3, 1.2, parameter.shape) * rng.choice([-1, 1], parameter.shape)
            # A matrix that neither kills values nor blows them up, however deep the network is.
            parameter.data[...] = values / math.sqrt(math.prod(parameter.shape[1:]))
        for _, buffer in module.named_buffers():
            buffer[...] = rng.integers(1, 5) if buffer.dtype.kind == "i" else rng.uniform(0.5, 1.5, buffer.shape)
        return module

    def twin(self, module: nn.Module) -> torch.nn.Module:
        """Return PyTorch's network with the state of `module`."""
        twin: torch.nn.Module = built(self.layer, lambda kind: BRANCHES.get(kind) or getattr(torch.nn, kind), {})
        state = {name: torch.from_numpy(value) for name, value in module.state_dict().items()}
        if any(value.dtype == torch.float64 for value in state.values()):
            twin.double()
        twin.load_state_dict(state)
        return twin.train(self.training)

    def rounding(self, dtype: Any) -> float:
        """Return how far two libraries' results may lie apart, relative to the largest value of an array or 1.

        Each use of a layer rounds sums of up to 150 terms, which comes to about √150 < 16 roundings, half an eps each.
        What they add up to passes through the rest of the network, which has about unit gain but for normalisations.
        At most it is what float64 is allowed, 1e-10, or as many eps of another dtype.
        """
        eps = np.finfo(dtype).eps
        allowed = 1e-10 * eps / np.finfo(np.float64).eps
        return float(min(16 * eps / 2 * len(self.layer.uses()) * self.gain(), allowed))

    def gain(self) -> float:
        """Return by how much the normalisations, one behind the other, enlarge a rounding error of this input.

        A normalisation divides by √(σ² + eps) what was rounded in units of the largest x. So a feature near 5.7 with
        σ = 0.03 loses two digits, while one that varies as much as it is large loses none, however small eps is: a
        question of the values, which are measured.
        """
        module, gains = self.module(), [1.0]

        def note(path: str, layer: nn.Module, x: np.ndarray, y: np.ndarray) -> None:
            if isinstance(layer, NORMALISATIONS):
                gains.append(max(1.0, gain_of(layer, x)))

        with nn.observe(module, note):
            module(self.input())
        return math.prod(gains)

    def input(self, dtype: Any = np.float64, number: int = 0) -> np.ndarray:
        """Return input `number`."""
        rng = np.random.default_rng((self.seed, number))
        if self.vocabulary is not None:
            return rng.integers(0, self.vocabulary, self.shape)
        return (rng.standard_normal(self.shape) * 1.5).astype(dtype)


def gain_of(layer: Any, x: np.ndarray) -> float:
    """Return the largest max|x| / √(σ² + eps) of what the layer normalises together."""
    running = getattr(layer, "track_running_stats", False) and not layer.training
    match layer:
        case nn.LayerNorm():
            features = x.reshape(-1, math.prod(layer.normalized_shape))
        case nn.GroupNorm():
            features = x.reshape(len(x) * layer.num_groups, -1)
        case nn.InstanceNorm2d() if not running:
            features = x.reshape(len(x) * layer.num_features, -1)
        case _:
            features = np.moveaxis(x, 1, 0).reshape(layer.num_features, -1)
    var = layer.running_var if running else features.var(axis=1)
    return float(np.max(np.abs(features).max(axis=1) / np.sqrt(var + layer.eps)))


def built(layer: Layer, library: Callable[[str], Any], done: dict[int, Any]) -> Any:
    """Return the layer, made of the library's classes; what is `done` by number is used again."""
    if layer.number not in done:
        arguments = [built(a, library, done) if isinstance(a, Layer) else a for a in layer.arguments]
        done[layer.number] = library(layer.kind)(*arguments, **layer.options)
    return done[layer.number]


def output_shape(layer: Layer, shape: Shape) -> Shape | None:
    """Return the shape of the output for an input of `shape`, or None where that does not fit."""
    match layer.kind, layer.arguments:
        case "Linear", (features, size):
            return (*shape[:-1], size) if shape[-1] == features else None
        case "Embedding", (_, size):
            return (*shape, size)
        case (("BatchNorm1d" | "BatchNorm2d"), (channels,)):
            fits = (len(shape) == 4) == (layer.kind == "BatchNorm2d")
            return shape if fits and shape[1] == channels else None
        case "GroupNorm", (groups, channels):  # without weights PyTorch does not ask
            return shape if shape[1] == channels and math.prod(shape) > groups else None
        case "PReLU", (slopes,):
            return shape if slopes in (1, shape[1]) else None
        case "LayerNorm", (last,):
            return shape if shape[-len(last) :] == last else None
        case (("Softmax" | "LogSoftmax"), (dim,)):
            return shape if -len(shape) <= dim < len(shape) else None
        case "Flatten", (start, end):
            return flattened(shape, start, end)
        case "Sequential", layers:
            return through(layers, shape)
        case "Residual", (body,):
            return shape if output_shape(body, shape) == shape else None
        case (("Sum" | "Residual"), branches):
            shapes = {output_shape(branch, shape) for branch in branches}
            return shapes.pop() if len(shapes) == 1 else None
        case "Concat", branches:
            return joined([output_shape(branch, shape) for branch in branches], layer.options["axis"])
        case kind, (channels, *_) if kind.startswith("ConvTranspose") and shape[1] != channels:
            return None  # which PyTorch does not see without values
        case kind, _ if kind.endswith("d") or kind in ("PixelShuffle", "Unflatten", "Upsample"):
            return _torch_shape(repr(layer), shape)
        case _:
            return shape


@lru_cache(10_000)
def _torch_shape(layer: str, shape: Shape) -> Shape | None:
    """Return what PyTorch says, which computes nothing on its device "meta"; None where it refuses."""
    twin = built(eval(layer), lambda kind: getattr(torch.nn, kind), {}).to("meta")
    try:
        with warnings.catch_warnings(action="error"):
            return tuple(twin(torch.empty(shape, device="meta")).shape)
    except (IndexError, RuntimeError, ValueError, UserWarning):
        return None


def through(layers: tuple[Layer, ...], shape: Shape) -> Shape | None:
    for layer in layers:
        after = output_shape(layer, shape)
        if after is None:
            return None
        shape = after
    return shape


def flattened(shape: Shape, start: int, end: int) -> Shape | None:
    """Return the shape with the axes joined, or None where no matrix is left."""
    first, last = (dim + len(shape) if dim < 0 else dim for dim in (start, end))
    if not 0 <= first <= last < len(shape) or len(shape) - (last - first) < 2:
        return None
    return (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


def joined(shapes: list[Shape | None], axis: int) -> Shape | None:
    if None in shapes or not -len(shapes[0]) <= axis < len(shapes[0]):
        return None
    axis %= len(shapes[0])
    if len({replaced(shape, axis, 0) for shape in shapes}) > 1:
        return None
    return replaced(shapes[0], axis, sum(shape[axis] for shape in shapes))


def replaced(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])

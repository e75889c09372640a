"""Deep random networks, drawn by Hypothesis."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from hypothesis import strategies as st

from tests.cases.network import BRANCHES, Layer, Network, Options, Shape, output_shape, replaced
from tests.drawn_layers import IMAGE_LAYERS, LINE_LAYERS, windowed

# Hypothesis draws the first of these most: sizes that hide nothing, and PyTorch's defaults.
SIZES = (3, 2, 4, 5, 6, 7, 1)
flags = st.sampled_from([True, False])

DEPTH = 4  # of branches in branches
LARGEST = 150  # values in one array
GAIN = 320  # of all normalisations together: one eps of 1e-5, or some larger ones


def tenths(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low, high).map(lambda n: n / 10)


def options(**strategies: Any) -> st.SearchStrategy[Options]:
    return st.fixed_dictionaries(strategies)


ELEMENTWISE = {
    "Identity": options(),
    "ELU": options(alpha=tenths(1, 20)),
    "GELU": options(approximate=st.sampled_from(["none", "tanh"])),
    "Hardswish": options(),
    "Hardtanh": options(min_val=tenths(-20, -1), max_val=tenths(1, 20)),
    "LeakyReLU": options(negative_slope=tenths(-5, 9)),
    "ReLU": options(),
    "ReLU6": options(),
    "SELU": options(),
    "SiLU": options(),
    "Sigmoid": options(),
    "Softplus": options(beta=tenths(5, 30), threshold=tenths(5, 200)),
    "Tanh": options(),
}
# The shape. On images BatchNorm1d stands for BatchNorm2d.
KEEPING = [*ELEMENTWISE, "BatchNorm1d", "Dropout", "GroupNorm", "LayerNorm", "LogSoftmax", "PReLU", "Softmax"]
LEAVES = [*["Linear"] * 6, *KEEPING, "Flatten", "Unflatten"]  # more of what gives a network weights
BY_RANK = {2: LEAVES, 3: [*LEAVES, *LINE_LAYERS * 2], 4: [*LEAVES, *IMAGE_LAYERS * 3]}
VOCABULARY = {*LEAVES, *IMAGE_LAYERS, *LINE_LAYERS, *BRANCHES, "Embedding", "Sequential"}


class Draft:
    """A network while it is drawn. What has been made may be used again wherever it fits.

    `free` says in all methods whether other axes than the last may change.
    """

    def __init__(self, draw: Callable[..., Any], batch: int, training: bool, most: int) -> None:
        self.draw, self.batch, self.training, self.most = draw, batch, training, most
        self.numbers = count()
        self.made: list[Layer] = []
        self.uses, self.gain = 0, 1.0

    def layer(self, kind: str, *arguments: Any, **options: Any) -> Layer:
        self.made.append(Layer(next(self.numbers), kind, arguments, options))
        return self.made[-1]

    def choose(self, values: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(values))

    def chain(self, shape: Shape, depth: int, free: bool, goal: Shape | None = None) -> Layer:
        """Draw some steps one behind the other, and a way from there to the shape `goal` if one is given."""
        layers: list[Layer] = []
        for _ in range(self.choose((1, 2, 3, 4, 0) if depth < DEPTH else (6, 7, 8, 5, 4, 3, 2, 1))):
            layers.append(self.step(shape, depth, free and goal is None))
            shape = output_shape(layers[-1], shape)
        if goal is not None:
            layers += self.way(shape, goal)
        return layers[0] if len(layers) == 1 and self.draw(flags) else self.layer("Sequential", *layers)

    def step(self, shape: Shape, depth: int, free: bool) -> Layer:
        """Draw a block of branches, a layer or block made before, or a new layer."""
        choice = self.choose(["new", "branch", "again", "new", "branch"])
        if choice == "branch" and depth and self.uses < self.most:
            block = getattr(self, self.choose([*BRANCHES]).lower())
            return block(shape, depth - 1, free and 2 * math.prod(shape) < LARGEST)
        before = [layer for layer in self.made if self.fits(layer, shape, depth, free)] if choice == "again" else []
        if not before:
            self.uses += 1
            return self.leaf(self.choose(BY_RANK[len(shape)]), shape, free)
        layer = self.choose(before)
        self.uses += len(layer.uses())
        self.gain *= layer.gain()
        return layer

    def fits(self, layer: Layer, shape: Shape, depth: int, free: bool) -> bool:
        after = output_shape(layer, shape)
        if after is None or math.prod(after) > LARGEST or len(after) > len(shape):
            return False
        if not (free or after[:-1] == shape[:-1]):
            return False
        return (
            layer.depth() <= depth and self.uses + len(layer.uses()) <= self.most and self.gain * layer.gain() <= GAIN
        )

    def way(self, shape: Shape, goal: Shape) -> Iterator[Layer]:
        """Yield layers that lead from `shape` to `goal`, whose other axes than the last are multiples."""
        if len(shape) > len(goal):
            yield self.layer("Flatten", 1, -1)
            shape = (shape[0], math.prod(shape[1:]))
        if shape[2:-1] != goal[2:-1]:
            yield self.layer("AdaptiveAvgPool2d", goal[2:])
            shape = (*shape[:2], *goal[2:])
        if len(shape) > 2 and goal[1] % shape[1]:
            yield self.layer(f"Conv{len(shape) - 2}d", shape[1], goal[1], 1)
            shape = replaced(shape, 1, goal[1])
        for axis in range(len(goal) - 1):
            if shape[axis] != goal[axis]:
                branches = [self.leaf(self.choose(KEEPING), shape, False) for _ in range(goal[axis] // shape[axis])]
                yield self.layer("Concat", *branches, axis=axis)
                shape = replaced(shape, axis, goal[axis])
        if shape != goal:
            yield self.layer("Linear", shape[-1], goal[-1], bias=self.draw(flags))

    # --------------------------------------------------------------------------------------------------- branches

    def sum(self, shape: Shape, depth: int, free: bool) -> Layer:
        first = self.chain(shape, depth, free)
        goal = output_shape(first, shape)
        others = [self.chain(shape, depth, free, goal) for _ in range(self.draw(st.integers(0, 2)))]
        return self.layer("Sum", first, *others)

    def residual(self, shape: Shape, depth: int, free: bool) -> Layer:
        body = self.chain(shape, depth, free, self.choose([shape, None]))
        goal = output_shape(body, shape)
        if goal == shape and self.draw(flags):
            return self.layer("Residual", body)
        return self.layer("Residual", body, self.chain(shape, depth, free, goal))

    def concat(self, shape: Shape, depth: int, free: bool) -> Layer:
        first = self.chain(shape, depth, free)
        goal = output_shape(first, shape)
        rank = len(goal)
        axis = self.draw(st.integers(0 if free else rank - 1, rank - 1))
        sizes = SIZES if axis == rank - 1 else [shape[axis], goal[axis]]
        goals = [replaced(goal, axis, self.choose(sizes)) for _ in range(self.draw(st.integers(0, 2)))]
        others = [self.chain(shape, depth, free, goal) for goal in goals]
        return self.layer("Concat", first, *others, axis=axis - self.choose([0, rank]))

    # ----------------------------------------------------------------------------------------------------- layers

    def leaf(self, kind: str, shape: Shape, free: bool) -> Layer:
        """Draw a new layer."""
        rank = len(shape)
        match kind:
            case "Linear":  # square shapes hide transposes
                size = self.choose([size for size in SIZES if size not in shape])
                return self.layer(kind, shape[-1], size, bias=self.draw(flags))
            case "BatchNorm1d" | "BatchNorm2d":
                return self.batch_norm("BatchNorm2d" if rank == 4 else "BatchNorm1d", shape[1])
            case "GroupNorm":
                groups = self.choose([n for n in range(1, shape[1] + 1) if shape[1] % n == 0])
                return self.kept(self.layer(kind, groups, shape[1], eps=self.eps(), affine=self.draw(flags)), shape)
            case "LayerNorm":
                drawn = self.draw(options(elementwise_affine=flags, bias=flags))
                return self.layer(kind, shape[self.draw(st.integers(0, rank - 1)) :], eps=self.eps(), **drawn)
            case "PReLU":
                return self.layer(kind, self.choose([1, shape[1]]))
            case "Softmax" | "LogSoftmax":
                return self.layer(kind, self.draw(st.integers(-rank, rank - 1)))
            case "Dropout":  # whose masks PyTorch draws otherwise
                return self.layer(kind, 0.0 if self.training else self.draw(tenths(0, 10)))
            case "Flatten":
                axes = [(i, i) for i in range(rank)] + [(i, i + 1) for i in range(rank - 1) if free and rank == 3]
                start, end = self.choose(axes + [(1, 3)] * (free and rank == 4))
                return self.layer(kind, start - self.choose([0, rank]), end - self.choose([0, rank]))
            case "Unflatten":
                sizes = (-1, *shape[2:]) if self.draw(flags) else shape[1:]
                return self.layer(
                    "Sequential", self.layer("Flatten", 1, -1), self.layer(kind, self.choose([1, -1]), sizes)
                )
            case _ if kind in (*IMAGE_LAYERS, *LINE_LAYERS):
                return self.kept(windowed(self, kind, shape, free), shape)
            case _:
                return self.layer(kind, **self.draw(ELEMENTWISE[kind]))

    def kept(self, layer: Layer, shape: Shape) -> Layer:
        """Return a layer that was drawn, if it fits."""
        after = output_shape(layer, shape)
        if after is not None and math.prod(after) <= LARGEST:
            return layer
        self.made.remove(layer)
        return self.layer("Identity")

    def batch_norm(self, kind: str, channels: int) -> Layer:
        """Draw one that can do with the batch: a single sample has no statistics."""
        if self.batch == 1 and self.training:
            return self.layer("Identity")
        tracks = flags if self.batch > 1 else st.just(True)
        momenta = st.none() | tenths(0, 10)
        drawn = self.draw(options(momentum=momenta, affine=flags, bias=flags, track_running_stats=tracks))
        return self.layer(kind, channels, eps=self.eps(), **drawn)

    def eps(self) -> float:
        """Draw the eps of a normalisation, as small as the others leave room for."""
        eps = self.choose([eps for eps in (1.0, 0.1, 1e-3, 1e-5) if self.gain * eps**-0.5 <= GAIN])
        self.gain *= eps**-0.5
        return eps

    def embedding(self, vocabulary: int, shape: Shape, padding: bool) -> Layer:
        """Draw a front for integers: one table, or two joined, that may be one and the same."""
        indices = st.none() | st.integers(-vocabulary, vocabulary - 1) if padding else st.none()
        tables = [self.layer("Embedding", vocabulary, shape[-1], padding_idx=self.draw(indices)) for _ in range(2)]
        first, second = tables[0], self.choose(tables)
        match self.choose(["Embedding", *BRANCHES]):
            case "Embedding":
                return first
            case "Concat":
                return self.layer("Concat", first, second, axis=self.draw(st.integers(-len(shape), len(shape) - 1)))
            case kind:
                return self.layer(kind, first, second)


@st.composite
def networks(draw: Callable[..., Any], most: int = 25, padding: bool = True) -> Network:
    """Draw a network.

    Arguments:
        most: uses of layers, about.
        padding: whether an Embedding may have a row that gets no gradient.
    """
    rank, training = draw(st.integers(2, 4)), draw(flags)
    vocabulary = draw(st.integers(2, 7)) if draw(st.integers(0, 3)) == 3 else None
    sizes = st.lists(st.sampled_from(SIZES), min_size=rank, max_size=rank, unique=True)
    shape = tuple(draw(sizes.filter(lambda drawn: math.prod(drawn) <= LARGEST)))
    draft = Draft(draw, shape[0], training, most)
    front = [] if vocabulary is None else [draft.embedding(vocabulary, shape, padding)]
    inner = output_shape(front[0], shape[:-1]) if front else shape
    draft.made.clear()  # what takes integers fits nowhere else
    chain = draft.chain(inner, DEPTH, True)
    layer = draft.layer("Sequential", *front, chain) if front else chain
    return Network(layer, shape[:-1] if front else shape, training, draw(st.integers(0, 2**32 - 1)), vocabulary)

"""Cases that Hypothesis draws: for each loss any of its options, on any shape that it takes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad import nn
from tests.cases.case import LossCase
from tests.cases.drawn import Draw, numbers, shapes
from tests.cases.loss import Rng, case, fractions, indices, probabilities, values

REDUCTIONS = st.sampled_from(["mean", "sum", "none"])


def with_ignored(ignored: int) -> Callable[[Rng, tuple[int, ...]], np.ndarray]:
    """Targets of which about a third, but never all, are to be ignored."""

    def targets(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
        target = np.asarray(indices(rng, shape))
        target[rng.random(target.shape) < 1 / 3] = ignored
        C = shape[min(1, len(shape) - 1)]
        target.flat[0] = (ignored + 1) % C  # a class, and another one
        return target

    return targets


@st.composite
def weights(draw: Draw, size: int) -> np.ndarray:
    """Positive weights, one for each of so many."""
    return np.array([draw(numbers(0.1, 3)) for _ in range(size)])


@st.composite
def per_class(draw: Draw, name: str) -> LossCase:
    shape = draw(shapes(1, 4))
    C = shape[min(1, len(shape) - 1)]
    options: dict[str, Any] = {"reduction": draw(REDUCTIONS)}
    soft = name == "CrossEntropyLoss" and draw(st.booleans())
    if name == "CrossEntropyLoss":
        options["label_smoothing"] = draw(numbers(0, 1))
    if not soft:
        options["ignore_index"] = draw(st.sampled_from([-100, C - 1] if C > 1 else [-100]))
    target = probabilities if soft else with_ignored(options["ignore_index"])
    arrays = {"weight": draw(weights(C))} if draw(st.booleans()) else {}
    return case(name, shape, target, arrays=arrays, **options)


@st.composite
def per_element(draw: Draw, name: str, kinks: tuple[float, ...] | None = None) -> LossCase:
    return case(name, draw(shapes(0, 4)), values, kinks, reduction=draw(REDUCTIONS))


@st.composite
def huber(draw: Draw) -> LossCase:
    delta = draw(numbers(0.1, 3))
    return case("HuberLoss", draw(shapes(0, 4)), values, (-delta, delta), reduction=draw(REDUCTIONS), delta=delta)


@st.composite
def smooth_l1(draw: Draw) -> LossCase:
    beta = draw(st.just(0.0) | numbers(0.1, 3))
    return case("SmoothL1Loss", draw(shapes(0, 4)), values, (-beta, beta), reduction=draw(REDUCTIONS), beta=beta)


@st.composite
def bce(draw: Draw) -> LossCase:
    names = draw(st.lists(st.sampled_from(["weight", "pos_weight"]), unique=True))
    shape = draw(shapes(2 if names else 0, 4))
    arrays = {name: draw(weights(shape[-1])) for name in names}
    return case("BCEWithLogitsLoss", shape, fractions, arrays=arrays, reduction=draw(REDUCTIONS))


DRAWN: dict[type[nn.Loss], st.SearchStrategy[LossCase]] = {
    nn.BCEWithLogitsLoss: bce(),
    nn.CrossEntropyLoss: per_class("CrossEntropyLoss"),
    nn.HuberLoss: huber(),
    nn.L1Loss: per_element("L1Loss", (0.0,)),
    nn.MSELoss: per_element("MSELoss"),
    nn.NLLLoss: per_class("NLLLoss"),
    nn.SmoothL1Loss: smooth_l1(),
}

"""A compiled step does what an eager one does, in every case of the case tables, over 20 steps."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject

from minigrad import nn, optim
from minigrad.nn import Parameter
from tests.backend import needs_engine
from tests.cases import LOSSES, MODULES, LossCase, ModuleCase
from tests.cases.case import At
from tests.cases.network import Network
from tests.cases.optimizer import OPTIMIZERS, OptimizerCase
from tests.engine_runs import Parts, Training, assert_compiled_equals_eager
from tests.networks import networks
from tests.test_networks import kinks

pytestmark = needs_engine

in_both_precisions = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
LR = 1e-2


def random_linear(inputs: int, outputs: int, dtype: Any, seed: int = 0) -> nn.Linear:
    return nn.Linear(inputs, outputs, rng=seed).to(dtype)


def training_of_layer(case: ModuleCase, at: At, is_first: bool) -> Training:
    """Towards random targets. One parameter more than the model uses: some layers have none."""

    def make(dtype: Any) -> Parts:
        layer = case.module(replace(at, dtype=dtype))
        model = layer if is_first else nn.Sequential(random_linear(case.shape[-1], case.shape[-1], dtype), layer)
        idle = Parameter(np.ones(3, dtype))
        model.train(at.training)
        return model, nn.MSELoss(), optim.SGD([*model.parameters(), idle], lr=LR, momentum=0.5, weight_decay=0.1)

    shape = case.module(at)(case.input(at)).shape
    return Training(make, lambda step: (case.input(at, step), at.rng(100 + step).standard_normal(shape)))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@in_both_precisions
@pytest.mark.parametrize("case", MODULES, ids=lambda case: case.name)
def test_every_layer(case: ModuleCase, dtype: Any, training: bool) -> None:
    """Alone, where no gradient of the input is wanted, and behind a layer that is trained."""
    alone = training_of_layer(case, At(training), is_first=True)
    if case.integers is not None:
        assert_compiled_equals_eager(alone, dtype)
    else:
        assert_compiled_equals_eager(alone, dtype, threads=())
        assert_compiled_equals_eager(training_of_layer(case, At(training), is_first=False), dtype)


@in_both_precisions
@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)
def test_every_loss(case: LossCase, dtype: Any) -> None:
    """With its options; in the place of "none", which no training has, the mean."""

    def make(dtype: Any) -> Parts:
        model, loss = random_linear(case.shape[-1], case.shape[-1], dtype), case.make()
        loss.reduction = "mean" if loss.reduction == "none" else loss.reduction
        return model, loss, optim.SGD(model.parameters(), lr=LR)

    assert_compiled_equals_eager(Training(make, lambda step: case.draw(At(seed=step))), dtype)


@in_both_precisions
@pytest.mark.parametrize("case", OPTIMIZERS, ids=lambda case: case.name)
def test_every_optimizer(case: OptimizerCase, dtype: Any) -> None:
    """With an l1 penalty in float64 only: a weight that comes within rounding of 0 has no sign."""

    def make(dtype_made: Any) -> Parts:
        model = nn.Sequential(random_linear(3, 7, dtype_made), nn.Tanh(), random_linear(7, 4, dtype_made, 1))
        chosen = replace(case, l1=case.l1 if dtype == np.float64 else 0.0)
        return model, nn.MSELoss(), chosen.make(list(model.parameters()))

    def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(step)
        return rng.standard_normal((5, 3)), 2 * rng.standard_normal((5, 4))

    assert_compiled_equals_eager(Training(make, batch), dtype)


@given(networks(most=15))
def test_every_combination(network: Network) -> None:
    """Networks that are drawn: containers in containers, layers used again, any order of layers."""

    def make(dtype: Any) -> Parts:
        model = network.module(dtype)
        idle = Parameter(np.ones(3, dtype))
        return model, nn.MSELoss(), optim.SGD([*model.parameters(), idle], lr=1e-3, momentum=0.5)

    reject_near_kinks(network)
    shape = network.module()(network.input()).shape
    target = np.random.default_rng(network.seed).standard_normal(shape)
    training = Training(make, lambda step: (network.input(number=step), target), steps=3)
    assert_compiled_equals_eager(training, np.float64, threads=(2,))


def reject_near_kinks(network: Network) -> None:
    """Reject an example where rounding alone may put a value on two sides of a kink."""

    def note(path: str, layer: nn.Module, x: np.ndarray, y: np.ndarray) -> None:
        for kink in kinks(layer):
            if ((x != kink) & (np.abs(x - kink) < 1e-9)).any():
                reject()

    with nn.observe(model := network.module(), note):
        model(network.input())


# ------------------------------------------------------------------------------------------------- what is wrong shows


def layer_named(name: str) -> Training:
    return training_of_layer(next(case for case in MODULES if case.name == name), At(), is_first=False)


def lowered_as(cls: type, wrong: Callable[..., Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """Have a class lowered by `wrong(right, b, layer, *rest)`."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        from minigrad.engine.lowering import _LOWERINGS

        right = _LOWERINGS[cls]
        patch.setitem(_LOWERINGS, cls, lambda *arguments: wrong(right, *arguments))

    return apply


def a_little_more(patch: pytest.MonkeyPatch) -> None:
    from minigrad.engine.lowering import Options

    right = Options.read

    def read(self: Options) -> None:
        right(self)
        self.row *= 1 + 1e-10

    patch.setattr(Options, "read", read)


WRONG: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], Any]]] = {
    "options are larger by 1e-10": ("Linear", a_little_more),
    "buffers lie on each other": (
        "deep",
        lambda patch: patch.setattr(
            "minigrad.engine.program.place", lambda lives: ([0] * len(lives), max(life.nbytes for life in lives))
        ),
    ),
    "the last gradient wins": (
        "shared",
        lambda patch: patch.setattr("minigrad.engine.lowering.Lowering.begin_gradient", lambda self, parameter: False),
    ),
    "no mask in the backward": (
        "Dropout",
        lowered_as(nn.Dropout, lambda right, *arguments: (right(*arguments)[0], lambda dy, wants_dx: dy)),
    ),
    "in evaluation as in training": (
        "BatchNorm1d",
        lowered_as(nn.BatchNorm1d, lambda right, b, layer, x: right(b, layer.eval(), x)),
    ),
    "another slope": (
        "PReLU",
        lowered_as(nn.PReLU, lambda right, b, layer, x: b.lower(nn.ReLU(), x)),
    ),
    "another loss": (
        "Tanh",
        lowered_as(nn.MSELoss, lambda right, b, loss, x, target: right(b, nn.L1Loss(loss.reduction), x, target)),
    ),
    "the sum for the mean": (
        "Tanh",
        lowered_as(
            nn.MSELoss, lambda right, b, loss, x, target: setattr(loss, "reduction", "sum") or right(b, loss, x, target)
        ),
    ),
}


@pytest.mark.parametrize(("name", "make_wrong"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_shows(
    name: str, make_wrong: Callable[[pytest.MonkeyPatch], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = layer_named(name)
    assert_compiled_equals_eager(training, np.float64)
    make_wrong(monkeypatch)
    with pytest.raises(AssertionError):
        assert_compiled_equals_eager(training, np.float64)

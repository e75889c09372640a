"""Where a compiled step stays eager: with layers, losses and optimizers of one's own, and without Numba."""

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import engine, nn, optim
from minigrad.engine import EagerStep
from tests.backend import HAS_NUMBA, needs_engine
from tests.engine_twins import adam, compiled, network, samples


class Cube(nn.Module):
    """A layer of one's own."""

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return x**3, x

    def _backward(self, saved: Any, dy: np.ndarray) -> np.ndarray:
        return 3 * saved**2 * dy


class Steeper(nn.ReLU):
    """A layer of one's own, made of one that has a lowering."""

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        y, saved = super()._forward(x)
        return 2 * y, saved

    def _backward(self, saved: Any, dy: np.ndarray) -> np.ndarray:
        return 2 * super()._backward(saved, dy)


class Halved(nn.MSELoss):
    """A loss of one's own."""


class Slow(optim.SGD):
    """An optimizer of one's own."""


@needs_engine
@pytest.mark.parametrize("layer", [Cube, Steeper])
def test_a_layer_of_ones_own(layer: type[nn.Module]) -> None:
    """The step is eager then, and says which layer it is; the result is the layer's."""
    model = nn.Sequential(nn.Linear(3, 7, rng=0), nn.Sequential(nn.Tanh(), layer()), nn.Linear(7, 5, rng=1))
    path = rf"Sequential\[1\]\[1\]\.{layer.__name__}"
    with pytest.warns(UserWarning, match=rf"^minigrad.compile: {path} has no lowering, so each step runs eagerly$"):
        step = compiled(model.to(np.float64))
    assert type(step) is EagerStep
    x, y = samples()
    before = model(x)
    assert step(x, y) == pytest.approx(nn.CrossEntropyLoss()(before, y))
    with pytest.warns(UserWarning, match=rf"^Sequential.compiled: {path} has no lowering, so each batch runs eagerly$"):
        forward = model.compiled(batch_size=2)
    np.testing.assert_allclose(forward(x), model.eval()(x), rtol=1e-12)


@needs_engine
def test_a_loss_and_an_optimizer_of_ones_own() -> None:
    model = nn.Linear(3, 5)
    with pytest.warns(UserWarning, match="minigrad.compile: Halved has no lowering"):
        assert type(minigrad.compile(model, Halved(), adam(model))) is EagerStep
    with pytest.warns(UserWarning, match="minigrad.compile: Slow has no lowering"):
        assert type(minigrad.compile(model, nn.MSELoss(), Slow(model.parameters()))) is EagerStep


@needs_engine
def test_the_warning_points_at_the_caller() -> None:
    model = nn.Sequential(nn.Linear(3, 3), Cube())
    with pytest.warns(UserWarning, match="Cube") as caught:
        minigrad.compile(model, nn.CrossEntropyLoss(), adam(model))
    assert caught[0].filename == __file__.replace(".pyc", ".py")


WITHOUT = """
import sys, warnings
import numpy as np
import minigrad
from minigrad import nn, optim
model = nn.Linear(3, 5, rng=0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    step = minigrad.compile(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters()))
(warning,) = caught
x = np.ones((2, 3), np.float32)
losses = step(x, [0, 1]), step.epoch(x, [0, 1])
print(type(step).__name__, "numba" in sys.modules, *losses)
print(warning.message)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    forward = model.compiled(1)
(warning,) = caught
assert (forward(x) == model(x)).all()
print(warning.message)
"""


@pytest.mark.parametrize(
    ("environment", "reason", "loads"),
    [
        ({"MINIGRAD_KERNELS": "reference"}, "Numba is not installed, or not wanted", False),
        pytest.param(
            {"NUMBA_DISABLE_JIT": "1", "MINIGRAD_KERNELS": ""},
            "Numba's JIT is off",
            True,
            marks=pytest.mark.skipif(not HAS_NUMBA, reason="Numba is not installed"),
        ),
    ],
    ids=["NumPy's kernels", "no JIT"],
)
def test_without_numba(environment: dict[str, str], reason: str, loads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    first, *warned = result.stdout.splitlines()
    kind, loaded, *losses = first.split()
    assert (kind, loaded) == ("EagerStep", str(loads))
    assert 0 < float(losses[1]) < float(losses[0])
    assert warned == [
        f"minigrad.compile: {reason}, so each step runs eagerly",
        f"Linear.compiled: {reason}, so each batch runs eagerly",
    ]


@needs_engine
def test_what_can_be_compiled_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not isinstance(compiled(), EagerStep)
    assert engine.why_eager(network()) == ""

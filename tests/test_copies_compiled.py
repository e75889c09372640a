"""Copies of what is compiled, by deepcopy, pickle and joblib: they belong to the copied model, and go on as it does."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim
from minigrad.engine import EagerStep
from minigrad.train import Callback, Trainer
from tests.backend import needs_engine
from tests.engine_twins import adam, compiled, network, samples

pytestmark = needs_engine

X, Y = samples()


def by_joblib(value: Any) -> Any:
    joblib = pytest.importorskip("joblib", reason="joblib comes with scikit-learn, which only the benchmarks want")
    file = io.BytesIO()
    joblib.dump(value, file)
    file.seek(0)
    return joblib.load(file)


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "oldest pickle": lambda value: pickle.loads(pickle.dumps(value, 2)),
    "joblib": by_joblib,
}
in_each_way = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


@in_each_way
@pytest.mark.parametrize("make", [compiled, lambda: EagerStep(model := network(), nn.CrossEntropyLoss(), adam(model))])
@pytest.mark.parametrize("is_used", [False, True])
def test_a_step(make: Callable[[], Any], is_used: bool, copied: Callable[[Any], Any]) -> None:
    step = make()
    step.clip_norm, step.batch_size = 0.5, 4
    for _ in range(3 * is_used):
        step(X, Y)
    twin = copied(step)
    assert (type(twin), twin.clip_norm, twin.batch_size) == (type(step), 0.5, 4)
    assert not np.shares_memory(twin.parameters[0].data, step.parameters[0].data)
    assert [step(X, Y) for _ in range(3)] == [twin(X, Y) for _ in range(3)]
    assert step.epoch(X, Y) == twin.epoch(X, Y)
    for name, value in step.model.state_dict().items():
        np.testing.assert_array_equal(twin.model.state_dict()[name], value, name)


@in_each_way
def test_a_step_beside_its_model(copied: Callable[[Any], Any]) -> None:
    """In one copy they still belong to each other."""
    step = compiled()
    step(X, Y)
    model, optimizer, twin = copied((step.model, step.optimizer, step))
    assert twin.model is model
    assert twin.optimizer is optimizer
    before = model.state_dict()
    twin(X, Y)
    assert any(not np.array_equal(before[name], value) for name, value in model.state_dict().items())


@in_each_way
def test_outputs(copied: Callable[[Any], Any]) -> None:
    forward = network().compiled(batch_size=5)
    want = forward(X)
    twin = copied(forward)
    assert (type(twin), twin.batch_size) == (type(forward), 5)
    np.testing.assert_array_equal(twin(X), want)
    twin.model[0].weight.data[...] = 0
    assert not np.array_equal(twin(X), want)
    np.testing.assert_array_equal(forward(X), want)


@in_each_way
def test_a_model_that_holds_its_own_compiled_form(copied: Callable[[Any], Any]) -> None:
    model = network()
    model.fast = model.compiled()
    want = model.fast(X)
    twin = copied(model)
    assert twin.fast.model is twin
    np.testing.assert_array_equal(twin.fast(X), want)


@in_each_way
def test_the_result_of_an_epoch(copied: Callable[[Any], Any]) -> None:
    result = compiled().run_epoch(X, Y)
    twin = copied(result)
    assert type(twin) is type(result)
    for ours, theirs in zip(twin, result, strict=True):
        np.testing.assert_array_equal(ours, theirs)


class Asks(Callback):
    """Has a compiled model, and a compiled step of it, for itself."""

    def __init__(self, model: nn.Module) -> None:
        self.forward = model.compiled()
        self.step = minigrad.compile(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.0))

    def on_epoch_end(self, trainer: Trainer, row: Any) -> None:
        self.outputs = self.forward(X)


@in_each_way
def test_a_trainer_that_holds_both(copied: Callable[[Any], Any]) -> None:
    model = network()
    asks = Asks(model)
    trainer = Trainer(model, nn.CrossEntropyLoss(), adam(model), callbacks=[asks], progress=False)
    trainer.fit((X, Y), epochs=2)
    twin = copied(trainer)
    assert twin.callbacks[0].forward.model is twin.callbacks[0].step.model is twin.model
    for each in (trainer, twin):
        each.fit((X, Y), epochs=2)
    np.testing.assert_array_equal(twin.callbacks[0].outputs, asks.outputs)
    assert twin.history["loss"] == trainer.history["loss"]


def _fitted(step: Any) -> tuple[list[float], Any]:
    return [step(X, Y) for _ in range(3)], step


def test_in_a_process_of_joblib() -> None:
    """A step goes to a worker, is trained there and comes back."""
    joblib = pytest.importorskip("joblib", reason="joblib comes with scikit-learn, which only the benchmarks want")
    step = compiled()
    step(X, Y)
    ((losses, back),) = joblib.Parallel(2)([joblib.delayed(_fitted)(step)])
    assert losses == [step(X, Y) for _ in range(3)]
    assert back(X, Y) == step(X, Y)

"""Models that several threads use at once: nobody changes what is not his, and everybody gets the right answer.

`MINIGRAD_ASKED=1000 pytest tests/test_threads.py -k asked` asks 1,000 times a thread for all outputs of a model.
"""

import copy
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim
from minigrad.data import Loader
from minigrad.engine import EagerStep
from minigrad.engine.eager import EagerModel
from minigrad.train import Callback, Trainer, TrainingError
from minigrad.train.evaluation import Forward, apply
from tests.backend import needs_engine

THREADS = 4
ASKED = int(os.environ.get("MINIGRAD_ASKED", "40"))  # times a thread of another model
BATCH = np.random.default_rng(0).standard_normal((64, 16)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 10, 64)

Serve = Callable[[nn.Module], np.ndarray]
SERVE: dict[str, Serve] = {
    "eager": lambda model: EagerModel(model)(BATCH),
    "evaluated": lambda model: apply(model, Loader((BATCH, LABELS)), Forward(compiled=False)),
    "compiled": lambda model: model.compiled()(BATCH),
    "compiled, in batches": lambda model: model.compiled(batch_size=24)(BATCH),
}
MODES = [pytest.param(name, marks=needs_engine if "compiled" in name else ()) for name in SERVE]


def network(seed: int = 0) -> nn.Sequential:
    """In training mode, as after a fit: with masks, and statistics of both kinds."""
    body = nn.Sequential(nn.Linear(32, 32, rng=seed + 1), nn.BatchNorm1d(32), nn.ReLU())
    model = nn.Sequential(
        nn.Linear(16, 32, rng=seed),
        nn.BatchNorm1d(32, momentum=None),
        nn.Dropout(0.5, rng=seed),
        nn.Residual(body),
        nn.Linear(32, 10, rng=seed + 2),
    )
    model(BATCH)  # moves the statistics
    return copy.deepcopy(model)  # without what that forward kept


def trainer_of(model: nn.Module, **options: Any) -> Trainer:
    sgd = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return Trainer(model, nn.CrossEntropyLoss(), sgd, progress=False, **options)


def state_of(model: nn.Module) -> dict[str, Any]:
    """Return all that a forward could change."""
    own = {f"{path} mode": module.training for path, module in model.named_modules()}
    own |= {f"{path} step": module.step for path, module in model.named_modules() if isinstance(module, nn.Dropout)}
    return (
        own
        | {f"{path} hooks": "_forward" in vars(module) for path, module in model.named_modules()}
        | dict(model.state_dict())
    )


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, name)


@pytest.mark.parametrize("mode", MODES)
def test_asked_by_many_threads(mode: str) -> None:
    """All ask one model for outputs and for its summary, which makes programs, while another one is trained."""
    serve, done, summary = SERVE[mode], threading.Event(), network().summary((1, 16))
    trained = trainer_of(network(7), compiled="compiled" in mode)
    alone = copy.deepcopy(trained)

    def train() -> None:
        while not done.is_set():
            trained.fit((BATCH, LABELS), epochs=1, batch_size=32)

    with ThreadPoolExecutor(THREADS + 1) as pool:
        training = pool.submit(train)
        try:
            for seed in range(-(-ASKED // THREADS)):
                model = network(seed)
                want, before, start = serve(copy.deepcopy(model)), state_of(model), threading.Barrier(THREADS)

                def ask(_: int, model: nn.Module = model, start: threading.Barrier = start) -> np.ndarray:
                    start.wait(60)
                    assert model.summary((1, 16)) == summary
                    return serve(model)

                for outputs in pool.map(ask, range(THREADS)):
                    np.testing.assert_array_equal(outputs, want)
                assert_same(state_of(model), before)
        finally:
            done.set()
        training.result(60)
    for _ in trained.history["epoch"]:
        alone.fit((BATCH, LABELS), epochs=1, batch_size=32)
    assert_same(state_of(trained.model), state_of(alone.model))


@pytest.mark.parametrize("mode", MODES)
def test_a_model_in_training_is_asked(mode: str) -> None:
    """Which changes nothing of what it is trained to."""
    trained = trainer_of(network(), compiled="compiled" in mode)
    alone, done = copy.deepcopy(trained), threading.Event()

    def ask() -> None:
        while not done.is_set():
            assert np.isfinite(SERVE[mode](trained.model)).all()

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        try:
            trained.fit((BATCH, LABELS), epochs=10, batch_size=16)
        finally:
            done.set()
        for each in asking:
            each.result(60)
    alone.fit((BATCH, LABELS), epochs=10, batch_size=16)
    assert_same(state_of(trained.model), state_of(alone.model))


def test_each_thread_has_its_own_backward() -> None:
    """Threads that go forward and back through one model add up all gradients, each of its own forward."""
    model, loss, rng = nn.Sequential(nn.Linear(16, 64, rng=0), nn.Tanh()), nn.MSELoss("sum"), np.random.default_rng(0)
    inputs = rng.standard_normal((THREADS * 20, 8, 16))
    model.to(np.float64)

    def gradients(x: np.ndarray) -> None:
        loss(model(x), np.zeros((8, 64)))
        model.backward(loss.backward())

    for x in inputs:
        gradients(x)
    want = [parameter.grad.copy() for parameter in model.parameters()]
    model.zero_grad()
    assert all(np.array_equal(parameter.grad, 0 * parameter.data) for parameter in model.parameters())
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(gradients, inputs))
    for parameter, gradient in zip(model.parameters(), want, strict=True):
        np.testing.assert_allclose(parameter.grad, gradient, rtol=1e-12, atol=1e-9)


def test_a_backward_of_another_threads_forward_is_refused() -> None:
    model = nn.Linear(16, 3)
    with ThreadPoolExecutor(1) as pool:
        y = pool.submit(model, BATCH).result()
        with pytest.raises(nn.BackwardError, match="or in another thread: the pullback of `vjp` may be called in any"):
            model.backward(y)
        pool.submit(model.backward, y).result()
        y, pull = pool.submit(model.vjp, BATCH).result()
    assert pull(y).shape == BATCH.shape


def test_who_observes_sees_no_other_threads_forwards() -> None:
    model, seen = network(), []
    with nn.observe(model, lambda path, *_: seen.append(path)), ThreadPoolExecutor(1) as pool:
        pool.submit(model.summary, (1, 16)).result()
        assert seen == []
        EagerModel(model)(BATCH)
    assert seen[-1] == "Sequential"
    assert not any("_forward" in vars(module) for module in model.modules())


def test_a_forward_that_somebody_replaced_stays_replaced() -> None:
    model = nn.Linear(16, 3)
    own = model._forward
    vars(model)["_forward"] = own
    model.summary((1, 16))
    assert vars(model) == vars(model) | {"_forward": own}


class Waits(Callback):
    """Holds a fit until it is told to go on."""

    def __init__(self) -> None:
        self.is_there, self.may_go = threading.Event(), threading.Event()

    def on_epoch_start(self, trainer: Trainer) -> None:
        self.is_there.set()
        assert self.may_go.wait(60)


@pytest.mark.parametrize("shares", ["Trainer", "Sequential", "SGD"])
def test_two_fits_of_one_model_are_refused(shares: str) -> None:
    waits = Waits()
    first = trainer_of(network(), callbacks=[waits], compiled=False)
    second = trainer_of(network(), compiled=False)
    if shares == "Sequential":
        second = trainer_of(first.model, compiled=False)
    if shares == "SGD":
        second.model, second.optimizer = nn.Sequential(*first.model), first.optimizer
    with ThreadPoolExecutor(1) as pool:
        fitting = pool.submit(first.fit, (BATCH, LABELS), epochs=1)
        assert waits.is_there.wait(60)
        before = state_of(first.model)
        with pytest.raises(TrainingError, match=f"another thread's fit is training this {shares}; wait for it, or"):
            (first if shares == "Trainer" else second).fit((BATCH, LABELS), epochs=1)
        assert_same(state_of(first.model), before)
        waits.may_go.set()
        assert len(fitting.result(60)) == 1
    second.fit((BATCH, LABELS), epochs=1)  # now it may


@pytest.mark.parametrize("is_compiled", [False, pytest.param(True, marks=needs_engine)])
def test_steps_of_one_model_take_turns(is_compiled: bool) -> None:
    """Each thread has a step of its own, of one model and one optimizer. With one batch their order does not show."""

    def steps(model: nn.Module, count: int) -> list[minigrad.engine.TrainingStep]:
        make = minigrad.compile if is_compiled else EagerStep
        loss, sgd = nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        return [make(model, loss, sgd) for _ in range(count)]

    model, twin = network(), network()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda step: [step(BATCH, LABELS) for _ in range(20)], steps(model, THREADS)))
    (step,) = steps(twin, 1)
    for _ in range(20 * THREADS):
        step(BATCH, LABELS)
    assert_same(state_of(model), state_of(twin))

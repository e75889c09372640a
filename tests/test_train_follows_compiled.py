"""Whatever is changed between two steps or epochs, a compiled training goes on as the eager one does.

The attributes are found by looking at what is there: a new one fails until it is followed, or is listed with a reason.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim
from minigrad.data import ArrayDataset, Augmentation, Loader, Preparation
from minigrad.engine import EagerStep, TrainingStep
from minigrad.train import Callback, Trainer
from tests.backend import needs_engine
from tests.cases import LOSSES, LossCase
from tests.cases.case import At
from tests.changes import changed, changes, others
from tests.engine_twins import network, samples, twins

pytestmark = needs_engine

OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda parameters: optim.SGD(parameters, lr=0.01),
    "SGD with momentum": lambda parameters: optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True),
    "Adam": lambda parameters: optim.Adam(parameters, lr=0.01, weight_decay=0.1),
    "AdamW": lambda parameters: optim.AdamW(parameters, lr=0.01),
    "RMSprop": lambda parameters: optim.RMSprop(parameters, lr=0.01),
    "Adagrad": lambda parameters: optim.Adagrad(parameters, lr=0.01),
}


class Pair:
    """The same training twice, which must say the same: a loss, or that there is none."""

    def __init__(self, model: nn.Module, loss: nn.Loss, make: Callable[[Any], optim.Optimizer], x: Any, y: Any) -> None:
        self.start = model, loss, make
        self.batch = x, y
        self.begin()

    def begin(self) -> None:
        """Begin anew."""
        model, loss, make = self.start
        self.steps: list[TrainingStep] = []
        for kind in (EagerStep, minigrad.compile):
            own = copy.deepcopy(model)
            self.steps.append(kind(own, copy.deepcopy(loss), make(list(own.parameters()))))

    def step(self, what: str) -> bool:
        """Do a step; return whether there was one."""
        said: list[Any] = []
        for step in self.steps:
            try:
                with np.errstate(all="ignore"):
                    said.append(step(*self.batch))
            except Exception as error:
                said.append(f"{type(error).__name__}: {error}")
        ours, theirs = said[::-1]
        assert isinstance(ours, str) == isinstance(theirs, str), f"{what}: eager {theirs}, compiled {ours}"
        if not isinstance(ours, str):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9, err_msg=what)
            return bool(np.isfinite(ours) and abs(ours) < 1e6)
        return False

    def follow(self, part: Callable[[TrainingStep], Any], changes: list[tuple[str, Any]]) -> None:
        """Do a step under each change, and one after it, which sees what it has done to the weights."""
        for dotted, value in changes:
            what = f"{dotted} = {value!r}"
            first, second = (changed(part(step), dotted, value) for step in self.steps)
            with first, second:
                went_on = self.step(what)
            if not (went_on and self.step(f"after {what}")):
                self.begin()  # one that fails may have moved statistics before it did


def pair(make: Callable[[Any], optim.Optimizer] = OPTIMIZERS["SGD with momentum"]) -> Pair:
    return Pair(network(), nn.CrossEntropyLoss(label_smoothing=0.1), make, *samples())


def images() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 7, 3, padding=1, rng=0),
        nn.BatchNorm2d(7),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout2d(0.3, rng=0),
        nn.Flatten(),
        nn.Linear(7 * 4, 5, rng=1),
    ).to(np.float64)


@pytest.mark.parametrize("make", [network, images])
def test_every_attribute_of_every_layer(make: Callable[[], nn.Module]) -> None:
    x, y = samples(shape=(3,) if make is network else (3, 4, 4))
    both = Pair(make(), nn.CrossEntropyLoss(), OPTIMIZERS["SGD"], x, y)
    found = list(changes(both.steps[0].model, most=1))
    assert len(found) > 40
    both.follow(lambda step: step.model, found)


@pytest.mark.parametrize("case", LOSSES, ids=repr)
def test_every_attribute_of_every_loss(case: LossCase) -> None:
    loss = case.make()
    if loss.reduction == "none":
        loss.reduction = "sum"
    both = Pair(nn.PReLU().to(np.float64), loss, OPTIMIZERS["SGD"], *case.draw(At()))
    both.follow(lambda step: step.loss, list(changes(loss)))


@pytest.mark.parametrize("name", ["weight", "pos_weight"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_that_are_changed_in_place(name: str, dtype: Any) -> None:
    """Also where a program has them in another precision, or for each element."""
    weights = np.array([1, 2, 3, 4, 5], dtype)
    losses = [nn.BCEWithLogitsLoss(**{name: weights})]
    if name == "weight":
        losses += [nn.CrossEntropyLoss(weight=weights), nn.NLLLoss(weight=weights)]
    x, y = samples()
    for loss in losses:
        is_binary = isinstance(loss, nn.BCEWithLogitsLoss)
        both = Pair(network(), loss, OPTIMIZERS["SGD"], x, np.eye(5)[y] if is_binary else y)
        both.step("before")
        for step in both.steps:
            getattr(step.loss, name)[...] = weights[::-1]
        assert both.step("after")
        assert both.step("and after that")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_option_of_every_optimizer(name: str) -> None:
    both = pair(OPTIMIZERS[name])
    group = both.steps[0].optimizer.param_groups[0]
    options = [option for option in group if option != "params"]
    assert set(options) == set(both.steps[0].optimizer.defaults)
    for option in options:
        for value in others(option, group[option]):
            for step in both.steps:  # on all groups, one of which is replaced by another dict
                step.optimizer.param_groups[0] = step.optimizer.param_groups[0] | {option: value}
            what = f"{option} = {value!r}"
            if both.step(what) and both.step(f"after {what}"):
                both.step(f"long after {what}")
            both.begin()


def test_every_attribute_of_a_step() -> None:
    """A new attribute of TrainingStep has to be added here."""

    def another_model(step: TrainingStep) -> None:
        step.model = copy.deepcopy(step.model)
        step.optimizer = optim.SGD(step.model.parameters(), lr=0.05)

    does: dict[str, Callable[[TrainingStep], Any]] = {
        "model": another_model,
        "loss": lambda step: setattr(step, "loss", nn.CrossEntropyLoss(weight=np.arange(1, 6))),
        "optimizer": lambda step: setattr(step, "optimizer", optim.Adam(step.model.parameters(), lr=0.02)),
        "clip_norm": lambda step: setattr(step, "clip_norm", 0.01),
        "batch_size": lambda step: setattr(step, "batch_size", 5),
    }
    both = twins(network(), batch_size=4)
    assert set(does) == set(vars(both.eager))
    x, y = samples(10)
    does |= {f"clip_norm {n}": lambda step, n=n: setattr(step, "clip_norm", n) for n in (0.5, None)}
    for change in does.values():
        both.do(change)
        both.note(lambda step: step.epoch(x, y))
        both.train(1)


@pytest.mark.parametrize("make", [EagerStep, minigrad.compile])
def test_what_a_step_cannot_be_set_to(make: Any) -> None:
    model = network()
    step = make(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
    for name, wrong, message in (
        ("loss", nn.CrossEntropyLoss(reduction="none"), "want a loss with reduction 'mean' or 'sum', got 'none'"),
        ("batch_size", 0, "want a batch_size of at least 1, got 0"),
        ("clip_norm", -1.0, "want a positive clip_norm, got -1.0"),
    ):
        before = getattr(step, name)
        with pytest.raises(ValueError, match=message):
            setattr(step, name, wrong)
        assert getattr(step, name) is before


def test_a_part_without_a_lowering_is_refused_by_a_compiled_step() -> None:
    class Own(nn.MSELoss):
        pass

    model, (x, y) = network(), samples()
    step = minigrad.compile(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
    step(x, y)
    step.loss = Own()
    with pytest.raises(ValueError, match=r"Own has no lowering since .*; make a step anew by minigrad.compile"):
        step(x, y)


# ----------------------------------------------------------------------------------------------------- the Trainer

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((41, 3, 4, 4)), RNG.integers(0, 5, 41).astype(np.int32)
Do = Callable[[Trainer], Any]


class InEpoch3(Callback):
    """Does something when the third epoch starts."""

    def __init__(self, do: Do) -> None:
        self.do = do

    def on_epoch_start(self, trainer: Trainer) -> None:
        if trainer.epoch == 3:
            self.do(trainer)


class InItsSecondStep(Callback):
    """Does it after the second step of that epoch."""

    def __init__(self, do: Do) -> None:
        self.do = do

    def on_step_end(self, trainer: Trainer) -> None:
        if (trainer.epoch, trainer.step) == (3, 2):
            self.do(trainer)


def trained(when: Any, do: Do, is_compiled: bool) -> list[dict[str, Any]]:
    """Train four epochs, and return what the history says."""
    model = images()
    sgd, loader = optim.SGD(model.parameters(), lr=0.02, momentum=0.9), Loader((X.copy(), Y.copy()), 8, shuffle=True)
    trainer = Trainer(model, nn.CrossEntropyLoss(), sgd, callbacks=[when(do)], progress=False, compiled=is_compiled)
    trainer.fit(loader, (X, Y), epochs=4)
    timed = ("seconds", "val_seconds")
    return [{name: value for name, value in row.items() if name not in timed} for row in trainer.history.rows]


def both_follow(when: Any, do: Do) -> None:
    eager, compiled = trained(when, do, False), trained(when, do, True)
    for ours, theirs in zip(compiled, eager, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6)


def set_to(**values: Callable[[Trainer], Any]) -> Do:
    def do(trainer: Trainer) -> None:
        for name, value in values.items():
            setattr(trainer, name, value(trainer))

    return do


def another_model(trainer: Trainer) -> None:
    trainer.model = copy.deepcopy(trainer.model)
    trainer.optimizer = optim.SGD(trainer.model.parameters(), lr=0.05)


OF_TRAINER: dict[str, Do] = {
    "model": another_model,
    "loss": set_to(loss=lambda trainer: nn.CrossEntropyLoss(weight=np.arange(1, 6))),
    "optimizer": set_to(optimizer=lambda trainer: optim.Adam(trainer.model.parameters(), lr=0.01)),
    "compiled": set_to(compiled=lambda trainer: not trainer.compiled),
    "metrics": set_to(metrics=lambda trainer: {"accuracy": lambda outputs, targets: 0.5}),
    "clip_norm": set_to(clip_norm=lambda trainer: 0.01),
    "callbacks": lambda trainer: trainer.callbacks.append(InItsSecondStep(set_to(clip_norm=lambda trainer: 0.01))),
}
STATE_OF_TRAINER = {  # what it says about a fit, which nobody trains by
    *("history", "epoch", "step", "steps", "last_epoch", "epochs_before_fit", "columns", "means", "batches"),
    *("is_resumed", "resumed_order", "reasons_said", "progress", "fingerprints", "settings_at_starts"),
}


@pytest.mark.parametrize("name", OF_TRAINER)
def test_every_attribute_of_the_trainer_between_epochs(name: str) -> None:
    both_follow(InEpoch3, OF_TRAINER[name])


@pytest.mark.parametrize("name", ["model", "loss", "optimizer", "clip_norm"])
def test_attributes_of_the_trainer_between_steps(name: str) -> None:
    both_follow(InItsSecondStep, OF_TRAINER[name])


def replaced(trainer: Trainer) -> None:
    trainer.batches.data = ArrayDataset(X[::-1] * 2, (Y + 1) % 5)


def in_place(trainer: Trainer) -> None:
    trainer.batches.data.x[...] *= 2
    trainer.batches.data.y[...] = (trainer.batches.data.y + 1) % 5


def batches_get(name: str, value: Any) -> Do:
    return lambda trainer: setattr(trainer.batches, name, value)


OF_LOADER: dict[str, list[Do]] = {
    "data": [replaced, in_place],
    "batch_size": [batches_get("batch_size", 5)],
    "shuffle": [batches_get("shuffle", False)],
    "seed": [batches_get("seed", 7)],
    "drop_last": [batches_get("drop_last", True)],
    "epoch": [batches_get("epoch", 11)],
    "preparation": [
        batches_get("preparation", Preparation(mean=0.3, std=2.0)),
        batches_get("preparation", Preparation(augment=Augmentation(flip=True), seed=3)),
    ],
}
STATE_OF_LOADER = {"columns"}  # of samples that are dicts, which come one by one in both modes


@pytest.mark.parametrize(("name", "number"), [(name, i) for name, all_ in OF_LOADER.items() for i in range(len(all_))])
def test_every_attribute_of_the_loader_between_epochs(name: str, number: int) -> None:
    both_follow(InEpoch3, OF_LOADER[name][number])


@pytest.mark.parametrize("do", [replaced, *OF_LOADER["preparation"]])
def test_data_and_preparation_between_steps(do: Do) -> None:
    both_follow(InItsSecondStep, do)


def test_no_attribute_has_been_forgotten() -> None:
    model = images()
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), progress=False)
    trainer.fit(loader := Loader((X, Y)), epochs=1)
    for part, followed, state in ((trainer, OF_TRAINER, STATE_OF_TRAINER), (loader, OF_LOADER, STATE_OF_LOADER)):
        assert {name for name in vars(part) if not name.startswith("_")} == followed.keys() | state
    assert {"_convert"} == {name for name in vars(loader) if name.startswith("_")}  # made at the door of a fit

"""A resumed run is the interrupted one, bit for bit, or an error that says in what it is not."""

import numpy as np
import pytest

from minigrad import data, nn, optim
from minigrad.train import Callback, Checkpoint, Trainer, TrainingError

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((300, 8)).astype(np.float32), RNG.integers(0, 3, 300)
WEIGHT = np.array([1.0, 2.0, 3.0], np.float32)


class Change(Callback):
    """Changes what a fit reads, before its third epoch."""

    def on_epoch_start(self, trainer):
        if trainer.epoch == 3:
            trainer.model[0].requires_grad_()
            trainer.model[2].p = 0.1
            trainer.model[3].momentum = None
            trainer.loss.weight = WEIGHT
            trainer.loss.label_smoothing = 0.2
            trainer.clip_norm = 0.5


class Crash(Callback):
    def on_epoch_start(self, trainer):
        if trainer.epoch == 5:
            raise KeyboardInterrupt


def make(folder, *more, p=0.5, loss=None, **options):
    model = nn.Sequential(
        nn.Linear(8, 16, rng=0).requires_grad_(False),
        nn.ReLU(),
        nn.Dropout(p, rng=2),
        nn.BatchNorm1d(16),
        nn.Linear(16, 3, rng=1),
    )
    callbacks = [Change(), Checkpoint(folder), *more]
    adam = optim.Adam(model.parameters(), lr=1e-2)
    return Trainer(model, loss or nn.CrossEntropyLoss(), adam, callbacks=callbacks, progress=False, **options)


@pytest.fixture
def interrupted(tmp_path):
    make(tmp_path, Crash()).fit((X, Y), (X[:50], Y[:50]), epochs=6)
    return tmp_path


@pytest.mark.parametrize("compiled", [True, False])
def test_what_callbacks_changed_is_taken_over(tmp_path, compiled):
    whole = make(tmp_path / "whole", compiled=compiled)
    whole.fit((X, Y), epochs=6)
    make(tmp_path / "half", Crash(), compiled=compiled).fit((X, Y), epochs=6)
    resumed = make(tmp_path / "half", compiled=compiled)
    resumed.resume(tmp_path / "half")
    assert (resumed.model[2].p, resumed.model[3].momentum, resumed.clip_norm) == (0.1, None, 0.5)
    assert resumed.model[0].is_trained
    resumed.fit((X, Y), epochs=6)
    assert resumed.history["loss"] == whole.history["loss"]
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], array)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 0.3}, "model.2.p was 0.5 or 0.1, is 0.3"),
        ({"clip_norm": 2.0}, "clip_norm was None or 0.5, is 2.0"),
        ({"loss": nn.CrossEntropyLoss(label_smoothing=0.7)}, "loss.label_smoothing was 0.0 or 0.2, is 0.7"),
        ({"loss": nn.CrossEntropyLoss(weight=2 * WEIGHT)}, "loss.weight was None or array"),
    ],
)
def test_another_run_is_refused(interrupted, options, message):
    trainer = make(interrupted, **options)
    before = trainer.model.state_dict()
    with pytest.raises(TrainingError, match=f"(?s)this is not the interrupted run.*{message}"):
        trainer.resume(interrupted)
    for name, array in trainer.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_what_is_frozen_now_and_was_not_is_refused(interrupted):
    trainer = make(interrupted)
    trainer.model[4].requires_grad_(False)
    with pytest.raises(TrainingError, match=r"model\.4\.weight\.requires_grad was True, is False"):
        trainer.resume(interrupted)


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        (
            (X[:100], Y[:100]),
            (X[:50], Y[:50]),
            r"training data .* differ in x: float32 \(300, 8\), got float32 \(100, 8\)",
        ),
        ((X * 3, Y), (X[:50], Y[:50]), "training data .* differ in values of x$"),
        ((X, (Y + 1) % 3), (X[:50], Y[:50]), "training data .* differ in values of y$"),
        (data.Loader((X, Y), 64, shuffle=True, mean=0.5), data.Loader((X[:50], Y[:50])), "differ in preparation"),
        (data.Loader((X, Y), 64), (X[:50], Y[:50]), "training data .* differ in shuffle: True, got False"),
        ((X, Y), (X[:51], Y[:51]), "validation data .* differ in x"),
        ((X, Y), None, "the interrupted run had some validation data"),
    ],
)
def test_other_data_are_refused(interrupted, train, validation, message):
    trainer = make(interrupted)
    trainer.resume(interrupted)
    with pytest.raises(TrainingError, match=message):
        trainer.fit(train, validation, epochs=6)
    assert trainer.is_resumed
    assert trainer.fit((X, Y), (X[:50], Y[:50]), epochs=6)["epoch"] == [1, 2, 3, 4, 5, 6]


def test_a_second_fit_may_begin_with_other_options(tmp_path):
    """The script that resumes it may have changed them before, or not."""
    first = make(tmp_path)
    first.fit((X, Y), epochs=2)
    first.model[2].p = 0.2
    first.callbacks.append(Crash())
    first.fit((X, Y), epochs=4)
    for p in (0.5, 0.2, 0.1):
        again = make(tmp_path)
        again.model[2].p = p
        again.resume(tmp_path)
        assert again.model[2].p == 0.1
    assert again.fit((X, Y), epochs=4)["epoch"] == [1, 2, 3, 4, 5, 6]


def test_a_checkpoint_of_an_older_version_is_read(interrupted, monkeypatch):
    from minigrad.train import trainer as module
    from minigrad.train.checkpoint import read_checkpoint

    state = read_checkpoint(interrupted)
    del state["settings"], state["data"]
    monkeypatch.setattr(module, "read_checkpoint", lambda path: state)
    again = make(interrupted)
    again.resume(interrupted)
    assert len(again.fit((X, Y), (X[:50], Y[:50]), epochs=6)) == 6

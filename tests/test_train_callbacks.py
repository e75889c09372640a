import csv

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.data import ArrayDataset
from minigrad.train import Averaging, Callback, CSVLog, EarlyStopping, LRSchedule, Trainer, TrainingError


def blobs(samples=48, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, samples)
    return ArrayDataset((rng.standard_normal((samples, 5)) + 2 * y[:, None]).astype(np.float32), y)


def make(*callbacks, lr=0.01, model=None):
    model = model or nn.Sequential(nn.Linear(5, 7, rng=0), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3, rng=1))
    sgd = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return Trainer(model, nn.CrossEntropyLoss(), sgd, callbacks=callbacks, progress=False)


def same_state(one, other):
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name, strict=True)


class Script(Callback):
    """Overwrites the validation loss with given values and keeps the states of all epochs."""

    def __init__(self, *values):
        self.values, self.states = values, []

    def on_epoch_end(self, trainer, row):
        row["val_loss"] = self.values[trainer.epoch - 1]
        self.states.append(trainer.model.state_dict())


class Log(Callback):
    """Writes down what happens."""

    def __init__(self, name, log, acts_last=False):
        self.name, self.log, self.acts_last = name, log, acts_last

    def on_fit_start(self, trainer):
        self.log.append(f"{self.name} fit start")

    def on_epoch_start(self, trainer):
        self.log.append(f"{self.name} epoch {trainer.epoch} start")

    def on_loss(self, trainer, x, y, value):
        self.log.append(f"{self.name} loss {trainer.step}/{trainer.steps} of {len(x)}")

    def on_step_end(self, trainer):
        self.log.append(f"{self.name} step {trainer.step} end")

    def on_epoch_end(self, trainer, row):
        self.log.append(f"{self.name} epoch {row['epoch']} end")

    def on_fit_end(self, trainer):
        self.log.append(f"{self.name} fit end {trainer.history.stopped}")


# ------------------------------------------------------------------------------------------------------- events


def test_events_come_in_order_and_ends_are_nested():
    log = []
    make(Log("z", log, acts_last=True), Log("a", log)).fit(blobs(), epochs=1, batch_size=32)
    assert log == [
        *["a fit start", "z fit start", "a epoch 1 start", "z epoch 1 start"],
        *["a loss 1/2 of 32", "z loss 1/2 of 32", "a step 1 end", "z step 1 end"],
        *["a loss 2/2 of 16", "z loss 2/2 of 16", "a step 2 end", "z step 2 end"],
        *["a epoch 1 end", "z epoch 1 end", "z fit end None", "a fit end None"],
    ]


@pytest.mark.parametrize("event", ["on_epoch_start", "on_loss", "on_step_end", "on_epoch_end"])
@pytest.mark.parametrize(("error", "stopped"), [(RuntimeError, "error"), (KeyboardInterrupt, "interrupted")])
def test_fit_end_always_runs(event, error, stopped):
    def fail(*arguments):
        raise error

    log = []
    failing = type("Failing", (Callback,), {event: fail})()
    trainer = make(Log("a", log), failing)
    try:
        trainer.fit(blobs(), epochs=1)
    except RuntimeError:
        assert stopped == "error"
    assert trainer.history.stopped == stopped
    assert log[-1] == f"a fit end {stopped}"


def test_all_ends_run_even_if_one_of_them_fails():
    class Failing(Callback):
        def on_fit_end(self, trainer):
            raise OSError("disk")

    log = []
    with pytest.raises(OSError, match="disk"):
        make(Log("a", log), Failing(), Log("b", log)).fit(blobs(), epochs=1)
    assert log[-2:] == ["b fit end None", "a fit end None"]


def test_who_did_not_start_does_not_end(tmp_path):
    (tmp_path / "file").touch()
    log = []
    trainer = make(Log("a", log), CSVLog(tmp_path / "file" / "log.csv"), Log("b", log))
    with pytest.raises(TrainingError, match="CSVLog: cannot write into"):
        trainer.fit(blobs(), epochs=1)
    assert log == ["a fit start", "a fit end error"]


# ------------------------------------------------------------------------------------------------ EarlyStopping


def test_early_stopping_stops_and_restores_weights_and_buffers():
    script, early = Script(0.9, 0.5, 0.7, 0.6, 0.1), EarlyStopping(patience=2)
    trainer = make(script, early)
    history = trainer.fit(blobs(), blobs(), epochs=5)
    assert (len(history), history.stopped) == (4, "early")
    assert (early.best, early.best_epoch, early.wait) == (0.5, 2, 2)
    assert "1.running_mean" in script.states[1]
    same_state(script.states[1], trainer.model.state_dict())


def test_early_stopping_restores_after_the_last_epoch():
    script = Script(0.9, 0.5, 0.7)
    trainer = make(script, EarlyStopping(patience=9))
    assert trainer.fit(blobs(), blobs(), epochs=3).stopped is None
    same_state(script.states[1], trainer.model.state_dict())


@pytest.mark.parametrize("error", [KeyboardInterrupt, ArithmeticError])
def test_early_stopping_restores_after_ctrl_c_and_errors(error):
    class Fail(Callback):
        def on_step_end(self, trainer):
            if (trainer.epoch, trainer.step) == (3, 2):
                raise error

    script = Script(0.5, 0.7, 0.9)
    trainer = make(script, EarlyStopping(), Fail())
    try:
        trainer.fit(blobs(), blobs(), epochs=5, batch_size=16)
    except ArithmeticError:
        assert error is ArithmeticError
    assert len(trainer.history) == 2
    same_state(script.states[0], trainer.model.state_dict())


def test_early_stopping_without_a_best_epoch_leaves_the_model():
    script = Script(np.nan, np.nan)
    trainer = make(script, EarlyStopping(patience=2))
    assert trainer.fit(blobs(), blobs(), epochs=5).stopped == "early"
    same_state(script.states[1], trainer.model.state_dict())


def test_each_fit_looks_for_its_own_best_epoch():
    script, early = Script(0.5, 0.6, 0.9, 0.8), EarlyStopping(patience=5)
    trainer = make(script, early)
    trainer.fit(blobs(), blobs(), epochs=2)
    trainer.fit(blobs(), blobs(), epochs=2)
    assert (early.best, early.best_epoch) == (0.8, 4)
    same_state(script.states[3], trainer.model.state_dict())


def test_early_stopping_looks_upwards_and_ignores_small_steps():
    early = EarlyStopping("val_accuracy", patience=3, min_delta=2.0)
    history = make(early).fit(blobs(), blobs(), epochs=9)
    assert (len(history), early.best_epoch) == (4, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 0}, "patience of at least 1 epoch, got 0"),
        ({"mode": "best"}, "got 'best'"),
        ({"monitor": "val_f1"}, "'auto' does not know 'val_f1'"),
        ({"min_delta": -0.1}, "min_delta"),
    ],
)
def test_early_stopping_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**arguments)


def test_an_unknown_column_stops_before_training():
    trainer = make(EarlyStopping())
    before = trainer.model.state_dict()
    message = "EarlyStopping: no column 'val_loss' to monitor, there are epoch, loss, accuracy, lr, seconds"
    with pytest.raises(ValueError, match=message):
        trainer.fit(blobs(), epochs=2)
    same_state(before, trainer.model.state_dict())


# -------------------------------------------------------------------------------------------------- LRSchedule


def test_schedule_by_epoch_and_by_step():
    trainer = make(lr=1.0)
    trainer.callbacks.append(LRSchedule(optim.StepLR(trainer.optimizer, 1, gamma=0.5)))
    assert trainer.fit(blobs(), epochs=3)["lr"] == [1, 0.5, 0.25]
    trainer = make(lr=1.0)
    trainer.callbacks.append(LRSchedule(optim.StepLR(trainer.optimizer, 1, gamma=0.5), every="step"))
    assert trainer.fit(blobs(48), epochs=2, batch_size=16)["lr"] == [0.5**3, 0.5**6]


def test_one_cycle_over_all_steps():
    trainer = make()
    cycle = optim.OneCycleLR(trainer.optimizer, max_lr=0.1, epochs=2, steps_per_epoch=3)
    trainer.callbacks.append(LRSchedule(cycle, every="step"))
    lrs = trainer.fit(blobs(48), epochs=2, batch_size=16)["lr"]
    assert lrs[1] < lrs[0] <= 0.1


def test_plateau_gets_the_monitored_value():
    trainer = make(Script(0.5, 0.6, 0.7, 0.4, 0.8), lr=1.0)
    plateau = optim.ReduceLROnPlateau(trainer.optimizer, patience=1, factor=0.5)
    trainer.callbacks.append(LRSchedule(plateau))
    assert trainer.fit(blobs(), blobs(), epochs=5)["lr"] == [1, 1, 1, 0.5, 0.5]
    assert plateau.best == 0.4


def test_schedules_that_cannot_be():
    sgd = make().optimizer
    with pytest.raises(ValueError, match="want every='epoch' or every='step', got 'batch'"):
        LRSchedule(optim.StepLR(sgd, 1), every="batch")
    with pytest.raises(ValueError, match=r"ReduceLROnPlateau .* every='epoch'"):
        LRSchedule(optim.ReduceLROnPlateau(sgd), every="step")
    trainer = make()
    trainer.callbacks.append(LRSchedule(optim.ReduceLROnPlateau(trainer.optimizer)))
    with pytest.raises(ValueError, match="LRSchedule: no column 'val_loss'"):
        trainer.fit(blobs(), epochs=1)


# ------------------------------------------------------------------------------------------ CSVLog and Averaging


def test_csv_log_has_every_row_at_the_end_of_its_epoch(tmp_path):
    path = tmp_path / "new folder" / "log.csv"
    rows_on_disk = []

    class Look(Callback):
        def on_epoch_end(self, trainer, row):
            rows_on_disk.append(list(csv.DictReader(path.read_text().splitlines())))

    history = make(CSVLog(path), Look()).fit(blobs(), blobs(), epochs=3)
    assert [len(rows) for rows in rows_on_disk] == [1, 2, 3]
    assert list(rows_on_disk[2][0]) == history.columns
    assert [float(row["val_loss"]) for row in rows_on_disk[2]] == history["val_loss"]


def test_averaging_validates_and_ends_with_the_average():
    trainer = make(lr=0.1)
    ema = optim.EMA(trainer.model.parameters(), decay=0.5)
    own = []

    class Look(Callback):
        def on_epoch_end(self, trainer, row):
            own.append(trainer.model.state_dict())

    trainer.callbacks += [Look(), Averaging(ema)]
    history = trainer.fit(blobs(), blobs(seed=1), epochs=2, batch_size=16)

    twin = make(lr=0.1)
    twin_ema = optim.EMA(twin.model.parameters(), decay=0.5)
    update = type("Update", (Callback,), {"on_step_end": lambda self, trainer: twin_ema.update()})
    twin.callbacks.append(update())
    twin.fit(blobs(), epochs=2, batch_size=16)
    same_state(own[1], twin.model.state_dict())
    with twin_ema.averaged():
        same_state(twin.model.state_dict(), trainer.model.state_dict())
        assert twin.evaluate(blobs(seed=1))["loss"] == history["val_loss"][1]
    assert not np.array_equal(own[1]["0.weight"], trainer.model.state_dict()["0.weight"])


@pytest.mark.parametrize("reverse", [False, True])
def test_early_stopping_restores_the_average_that_was_best(reverse):
    averages = []

    class Look(Callback):
        def on_epoch_end(self, trainer, row):
            with trainer.validation_weights():
                averages.append(trainer.model.state_dict())

    model = nn.Linear(5, 3, rng=0)
    averaging = Averaging(optim.EMA(model.parameters(), decay=0.5))
    callbacks = [averaging, EarlyStopping(), Look()]
    trainer = make(Script(0.9, 0.5, 0.7), *callbacks[:: -1 if reverse else 1], model=model)
    trainer.fit(blobs(), blobs(), epochs=3)
    same_state(averages[1], model.state_dict())


def test_clipping_may_change_between_steps():
    """The first step moves the weights, the others hardly do."""

    weights = []

    class Clip(Callback):
        def on_step_end(self, trainer):
            weights.append(trainer.model.weight.data.copy())
            trainer.clip_norm = 1e-9

    model = nn.Linear(3, 2, rng=0)
    x, y = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    options = {"callbacks": [Clip()], "progress": False, "compiled": False}
    Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=1.0), **options).fit(
        (x, y), batch_size=1, epochs=1
    )
    first, second, third = weights
    np.testing.assert_allclose(second, first, atol=1e-7)
    np.testing.assert_allclose(third, first, atol=1e-7)

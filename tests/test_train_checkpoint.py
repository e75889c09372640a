import subprocess
import sys

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.data import ArrayDataset, Loader
from minigrad.io import load_metadata, load_state, save_state
from minigrad.train import Averaging, Callback, Checkpoint, EarlyStopping, LRSchedule, Trainer, TrainingError
from minigrad.train.tree import read_tree, write_tree

SECONDS = ("seconds", "val_seconds")


def blobs(samples=50, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, samples)
    return ArrayDataset((rng.standard_normal((samples, 5)) + y[:, None]).astype(np.float32), y)


class Stop(Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_step_end(self, trainer):
        if (trainer.epoch, trainer.step) == (self.epoch, 2):
            raise KeyboardInterrupt


def make(*callbacks, seed=0, optimizer=optim.Adam, schedule=None, average=False):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Linear(5, 7, rng=rng),
        nn.BatchNorm1d(7),
        nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Linear(7, 7, rng=rng), nn.Dropout(0.3, rng=rng))),
        nn.Linear(7, 3, rng=rng),
    )
    adam = optimizer(model.parameters(), lr=0.05)
    callbacks = [*callbacks, LRSchedule(schedule[0](adam), schedule[1])] if schedule else list(callbacks)
    if average:
        callbacks.append(Averaging(optim.EMA(model.parameters(), decay=0.8)))
    return Trainer(model, nn.CrossEntropyLoss(), adam, callbacks=callbacks, progress=False)


def fit(trainer, epochs=6, **options):
    return trainer.fit(blobs(), blobs(seed=1), **({"epochs": epochs, "batch_size": 16, "seed": 3} | options))


def same(one, other, path=""):
    """Require two trees of dicts, lists, arrays and values to be equal, bit for bit."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            if key not in SECONDS:
                same(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for i, (left, right) in enumerate(zip(one, other, strict=True)):
            same(left, right, f"{path}/{i}")
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, err_msg=path, strict=True)
    else:
        assert one == other, path


def everything(trainer):
    return {
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "dropout": trainer.model[3].body[1].step,
        "history": trainer.history.rows,
        "stopped": trainer.history.stopped,
    }


def plateau(sgd):
    return optim.ReduceLROnPlateau(sgd, patience=0, threshold=0.5, factor=0.7)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": optim.SGD},
        {"optimizer": optim.RMSprop, "schedule": (lambda o: optim.StepLR(o, 2, gamma=0.5), "epoch")},
        {"schedule": (lambda o: optim.OneCycleLR(o, max_lr=0.1, total_steps=24), "step")},
        {"optimizer": optim.Adagrad, "schedule": (plateau, "epoch")},
        {"average": True},
    ],
)
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(tmp_path, options):
    whole = make(Checkpoint(tmp_path / "whole"), EarlyStopping(patience=9), **options)
    fit(whole)

    broken = make(Checkpoint(tmp_path / "broken"), EarlyStopping(patience=9), Stop(4), **options)
    assert fit(broken).stopped == "interrupted"
    # Other initial weights and dropout seeds: nothing may depend on what the new process began with.
    resumed = make(Checkpoint(tmp_path / "broken"), EarlyStopping(patience=9), seed=99, **options)
    resumed.resume(tmp_path / "broken")
    fit(resumed)
    same(everything(whole), everything(resumed))
    for name in ("best.safetensors", "last.safetensors"):
        same(load_state(tmp_path / "whole" / name), load_state(tmp_path / "broken" / name))


def test_early_stopping_goes_on_waiting_after_a_resume(tmp_path):
    early = EarlyStopping("val_accuracy", patience=4, min_delta=2)
    whole = make(early)
    assert fit(whole, 9).stopped == "early"
    broken = make(Checkpoint(tmp_path), EarlyStopping("val_accuracy", patience=4, min_delta=2), Stop(4))
    fit(broken, 9)
    early = EarlyStopping("val_accuracy", patience=4, min_delta=2)
    resumed = make(early, Checkpoint(tmp_path), seed=99)
    resumed.resume(tmp_path)
    fit(resumed, 9)
    same(everything(whole), everything(resumed))
    assert (early.best_epoch, early.wait, len(resumed.history)) == (1, 4, 5)


@pytest.mark.parametrize("ended", ["early", None])
def test_resuming_a_finished_run_trains_no_further_and_holds_the_best_weights(tmp_path, ended):
    patience = 2 if ended else 9
    whole = make(Checkpoint(tmp_path), EarlyStopping("val_accuracy", patience, min_delta=2))
    assert fit(whole, 5).stopped == ended
    resumed = make(Checkpoint(tmp_path), EarlyStopping("val_accuracy", patience, min_delta=2), seed=99)
    resumed.resume(tmp_path)
    fit(resumed, 5)
    same(everything(whole), everything(resumed))


def test_resume_within_a_second_fit_ends_where_that_would_have_ended(tmp_path):
    trainer = make(Checkpoint(tmp_path), Stop(5))
    fit(trainer, 3)
    fit(trainer, 4)
    resumed = make(Checkpoint(tmp_path))
    resumed.resume(tmp_path)
    assert fit(resumed, 4)["epoch"] == [1, 2, 3, 4, 5, 6, 7]
    assert fit(resumed, 1)["epoch"] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_resume_continues_the_order_of_a_loader(tmp_path):
    whole, broken, resumed = make(), make(Checkpoint(tmp_path), Stop(3)), make(seed=9)
    for trainer in (whole, broken, resumed):
        if trainer is resumed:
            resumed.callbacks.append(Checkpoint(tmp_path))
            resumed.resume(tmp_path)
        trainer.fit(Loader(blobs(), 16, shuffle=True, seed=8), epochs=4)
    same(everything(whole), everything(resumed))


def test_other_batches_than_those_of_the_interrupted_run_are_refused(tmp_path):
    fit(make(Checkpoint(tmp_path), Stop(3)))
    for option in ({"seed": 4}, {"batch_size": 8}):
        resumed = make(Checkpoint(tmp_path))
        resumed.resume(tmp_path)
        name, value = next(iter(option.items()))
        with pytest.raises(TrainingError, match=rf"the interrupted run had {name}=\d+, got {value}"):
            fit(resumed, **option)
    fit(resumed)  # the right ones still do


@pytest.mark.parametrize("average", [False, True])
def test_best_is_a_state_file_of_the_best_epoch(tmp_path, average):
    trainer = make(Checkpoint(tmp_path), EarlyStopping(patience=99), average=average)
    history = fit(trainer)
    best = history.best("val_loss")
    same(load_state(tmp_path / "best.safetensors"), trainer.model.state_dict())
    metadata = load_metadata(tmp_path / "best.safetensors")
    assert metadata == {"epoch": str(best["epoch"]), "val_loss": str(best["val_loss"])}


def test_best_by_another_column_and_without_validation(tmp_path):
    make(Checkpoint(tmp_path / "a", "val_accuracy")).fit(blobs(), blobs(), epochs=1)
    assert set(load_metadata(tmp_path / "a" / "best.safetensors")) == {"epoch", "val_accuracy"}
    make(Checkpoint(tmp_path / "b")).fit(blobs(), epochs=1)
    assert set(load_metadata(tmp_path / "b" / "best.safetensors")) == {"epoch", "loss"}
    with pytest.raises(ValueError, match=r"Checkpoint: no column 'val_loss' .* epoch, loss, accuracy, lr, seconds"):
        make(Checkpoint(tmp_path / "c", "val_loss")).fit(blobs(), epochs=1)
    assert not (tmp_path / "c").exists()


def test_a_new_fit_finds_its_own_best(tmp_path):
    trainer = make(Checkpoint(tmp_path, "val_accuracy"))
    trainer.callbacks[0].best = 2.0
    fit(trainer, 1)
    assert (tmp_path / "best.safetensors").exists()


def test_kept_checkpoints_can_be_resumed_one_by_one(tmp_path):
    whole = make(Checkpoint(tmp_path, keep_every=2))
    fit(whole, 5)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["best.safetensors", "epoch-0002.safetensors", "epoch-0004.safetensors", "last.safetensors"]
    resumed = make(Checkpoint(tmp_path))
    resumed.resume(tmp_path / "epoch-0002.safetensors")
    assert len(resumed.history) == 2
    fit(resumed, 5)
    same(everything(whole), everything(resumed))
    with pytest.raises(ValueError, match="keep_every of at least 1 epoch, got 0"):
        Checkpoint(tmp_path, keep_every=0)


# ---------------------------------------------------------------------------------------------- what goes wrong


def test_an_unwritable_folder_is_found_before_training(tmp_path):
    (tmp_path / "file").touch()
    trainer = make(Checkpoint(tmp_path / "file" / "run"))
    before = trainer.model.state_dict()
    with pytest.raises(TrainingError, match=r"Checkpoint: cannot write into .*file/run: Not a directory"):
        fit(trainer)
    same(before, trainer.model.state_dict())


def test_a_failed_write_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    class FullDisk(Callback):
        def on_epoch_end(self, trainer, row):
            if trainer.epoch == 3:
                monkeypatch.setattr("os.fsync", self.fail)

        def fail(self, *arguments):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fit(make(Checkpoint(tmp_path), FullDisk()))
    monkeypatch.undo()
    resumed = make(Checkpoint(tmp_path))
    resumed.resume(tmp_path)
    assert len(resumed.history) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "last.safetensors"]


CRASH = """
import os, sys
import numpy as np
from minigrad import nn, optim
from minigrad.train import Callback, Checkpoint, Trainer

class Crash(Callback):
    def on_epoch_end(self, trainer, row):
        if trainer.epoch == 3:
            os.fsync = lambda descriptor: os._exit(7)

model = nn.Linear(5, 3, rng=0)
sgd = optim.SGD(model.parameters(), lr=0.1)
trainer = Trainer(model, nn.MSELoss(), sgd, callbacks=[Checkpoint(sys.argv[1]), Crash()], progress=False)
trainer.fit((np.ones((8, 5), np.float32), np.ones((8, 3), np.float32)), epochs=5)
"""


def test_a_crash_while_writing_leaves_the_previous_checkpoint(tmp_path):
    assert subprocess.run([sys.executable, "-c", CRASH, str(tmp_path)]).returncode == 7
    assert len(read_tree(tmp_path / "last.safetensors")["history"]) == 2
    load_state(tmp_path / "best.safetensors")


def test_resume_says_what_it_cannot_use(tmp_path):
    with pytest.raises(TrainingError, match=r"no checkpoint to resume from: .*last.safetensors is not there"):
        make().resume(tmp_path)
    save_state(tmp_path / "weights.safetensors", {"weight": np.ones(3)})
    with pytest.raises(TrainingError, match=r"weights.safetensors: not a training checkpoint"):
        make().resume(tmp_path / "weights.safetensors")
    fit(make(Checkpoint(tmp_path), EarlyStopping()), 1)
    with pytest.raises(TrainingError, match="holds the state of EarlyStopping 1; give the same callbacks"):
        make(Checkpoint(tmp_path)).resume(tmp_path)
    model = nn.Linear(5, 3)
    other = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()))
    other.callbacks += [Checkpoint(tmp_path), EarlyStopping()]
    with pytest.raises(ValueError, match=r"missing: weight[\s\S]*unexpected: 0.weight"):
        other.resume(tmp_path)


def test_damage_is_told_with_the_newest_checkpoint_that_is_whole(tmp_path):
    fit(make(Checkpoint(tmp_path, keep_every=2)), 5)

    def damage(name):
        content = bytearray((tmp_path / name).read_bytes())
        content[-3] ^= 4
        (tmp_path / name).write_bytes(content)

    for name, remedy in (
        ("last", r"newest whole checkpoint is .*epoch-0004.safetensors, of epoch 4: resume from that"),
        ("epoch-0004", r"newest whole checkpoint is .*epoch-0002.safetensors, of epoch 2: resume from that"),
        ("epoch-0002", r"but the best epoch's weights are: load_state\('.*best.safetensors'\)"),
        ("best", r"metadata' of the metadata\)$"),
    ):
        damage(f"{name}.safetensors")
        with pytest.raises(TrainingError, match=rf"last.safetensors: damaged: [\s\S]*{remedy}"):
            make().resume(tmp_path)
    (tmp_path / "last.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"last.safetensors is not there$"):
        make().resume(tmp_path)


@pytest.mark.parametrize("key", ["order", "model", "callbacks"])
def test_a_checkpoint_without_a_part_is_told(tmp_path, key):
    """As damage to an older file may leave it, which has no checksum."""
    fit(make(Checkpoint(tmp_path)), 1)
    state = read_tree(tmp_path / "last.safetensors")
    del state[key]
    write_tree(tmp_path / "last.safetensors", state)
    with pytest.raises(TrainingError, match=rf"not what a checkpoint holds: damaged .*KeyError\('{key}'\)"):
        make(Checkpoint(tmp_path)).resume(tmp_path)


def test_two_callbacks_of_a_kind_keep_their_own_state(tmp_path):
    def both():
        return EarlyStopping("val_loss", 9), EarlyStopping("val_accuracy", 9, mode="max")

    fit(make(Checkpoint(tmp_path), *both()), 3)
    resumed = make(Checkpoint(tmp_path), *both())
    resumed.resume(tmp_path)
    low, high = resumed.callbacks[1:3]
    assert low.best == resumed.history.best("val_loss")["val_loss"]
    assert high.best == resumed.history.best("val_accuracy")["val_accuracy"]

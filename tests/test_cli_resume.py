"""`minigrad train`, interrupted and resumed."""

import json

import pytest

from minigrad.train import EarlyStopping, History, Terminated
from tests.cli_toy import FILES, names, one_line, raise_in_epoch, same_model, toy_in_catalog, train, train_toy


@pytest.fixture(autouse=True)
def toy(tmp_path):
    with toy_in_catalog(tmp_path) as patch:
        yield patch


@pytest.mark.parametrize("epoch", [2, 4])
def test_a_resumed_run_ends_like_one_without_interruption(epoch, tmp_path, toy, capsys):
    options = ["--epochs", "5", "--dropout", "0.2", "--batch-norm", "--schedule", "cosine", "--ema", "0.9", "--augment"]
    whole = tmp_path / "whole"
    whole.mkdir()
    train_toy(whole, *options)
    with pytest.MonkeyPatch.context() as patch:
        raise_in_epoch(patch, epoch, KeyboardInterrupt())
        assert train(tmp_path, *options) == 130
    run = tmp_path / "run"
    assert names(run) == ["checkpoint", *FILES]
    assert json.loads((run / "metrics.json").read_text())["stopped"] == "interrupted"
    out, err = capsys.readouterr()
    assert out.endswith("The same command with --resume goes on with this run.\n")
    assert err == "minigrad train: interrupted\n"

    assert train(tmp_path, *options, "--resume") == 0
    assert names(run) == FILES
    assert same_model(run, whole / "run")
    for column in ("val_accuracy", "loss", "lr"):
        assert History.load(run / "history.json")[column] == History.load(whole / "run" / "history.json")[column]


def test_sigterm_ends_a_run_as_ctrl_c_does(tmp_path, toy, capsys):
    with pytest.MonkeyPatch.context() as patch:
        raise_in_epoch(patch, 2, Terminated())
        assert train(tmp_path, "--epochs", "3") == 143
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["stopped"] == "terminated"
    out, err = capsys.readouterr()
    assert out.endswith("The same command with --resume goes on with this run.\n")
    assert err == "minigrad train: terminated\n"
    assert train(tmp_path, "--epochs", "3", "--resume") == 0


def test_interrupted_before_there_is_anything_to_keep(tmp_path, toy, capsys):
    raise_in_epoch(toy, 1, KeyboardInterrupt())
    assert train(tmp_path) == 130
    assert names(tmp_path / "run") == []
    assert one_line(capsys.readouterr().err) == "minigrad train: interrupted\n"


def test_interrupted_before_the_last_epoch_was_looked_at(tmp_path, toy, capsys):
    """Ctrl-C comes when the second epoch is in the history already, but its weights are not kept yet."""
    choose = EarlyStopping.on_epoch_end

    def interrupted(self, trainer, row):
        if trainer.epoch == 2:
            raise KeyboardInterrupt
        choose(self, trainer, row)

    toy.setattr(EarlyStopping, "on_epoch_end", interrupted)
    assert train(tmp_path) == 130
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    first = History.load(tmp_path / "run" / "history.json").rows[0]
    assert metrics["best_epoch"] == 1
    assert metrics["validation"]["accuracy"] == pytest.approx(first["val_accuracy"])


def test_interrupted_outside_the_training(tmp_path, toy, capsys):
    def load(*arguments):
        raise KeyboardInterrupt

    toy.setattr("minigrad.cli.run_folder.load", load)
    assert train(tmp_path) == 130
    assert one_line(capsys.readouterr().err) == "minigrad train: interrupted\n"


def test_resume_wants_the_same_options(tmp_path, toy, capsys):
    with pytest.MonkeyPatch.context() as patch:
        raise_in_epoch(patch, 2, KeyboardInterrupt())
        assert train(tmp_path) == 130
    capsys.readouterr()
    assert train(tmp_path, "--resume", "--lr", "0.5") == 1
    assert "has lr=0.001 (now 0.5)" in one_line(capsys.readouterr().err)
    assert train(tmp_path, "--resume") == 0


def test_resume_without_an_interrupted_run(tmp_path, capsys):
    assert train(tmp_path, "--resume") == 1
    assert "--resume: there is no interrupted run in" in one_line(capsys.readouterr().err)


def test_a_new_run_forgets_an_interrupted_one(tmp_path, toy):
    with pytest.MonkeyPatch.context() as patch:
        raise_in_epoch(patch, 2, KeyboardInterrupt())
        assert train(tmp_path, "--seed", "1") == 130
    (tmp_path / "run" / "checkpoint" / "mine.txt").write_text("not of minigrad")
    assert train(tmp_path) == 0
    assert names(tmp_path / "run") == ["checkpoint", *FILES]
    assert names(tmp_path / "run" / "checkpoint") == ["mine.txt"]

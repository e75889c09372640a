"""`minigrad train`, in this process, on a small data set."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from minigrad import data
from minigrad.cli import main
from minigrad.cli.run_folder import MODELS, load_parts, load_run
from minigrad.cli.training import mean_and_deviation, model_arguments
from minigrad.engine import threads
from minigrad.io import load_state
from minigrad.kernels import compiling
from minigrad.train import Checkpoint, History, Trainer, steps
from tests.backend import IS_INTERPRETED, fewer, once
from tests.cli_toy import (
    FILES,
    QUICK,
    images,
    names,
    one_line,
    raise_in_epoch,
    same_model,
    toy_in_catalog,
    train,
    train_toy,
)
from tests.datasets import require


@pytest.fixture(autouse=True)
def toy(tmp_path):
    with toy_in_catalog(tmp_path) as patch:
        yield patch


# ------------------------------------------------------------------------------------------------- what it writes


def test_it_learns_and_writes_everything(tmp_path, capsys):
    assert train(tmp_path, "--epochs", "8", "--batch-norm", "--dropout", "0.2", "--label-smoothing", "0.1") == 0
    out, err = capsys.readouterr()
    run = tmp_path / "run"
    assert err == ""
    assert names(run) == FILES

    metrics = json.loads((run / "metrics.json").read_text())
    history = History.load(run / "history.json")
    best = history.best("val_accuracy")
    assert (metrics["epochs"], len(history), metrics["stopped"], metrics["best_epoch"]) == (8, 8, None, best["epoch"])
    assert metrics["validation"]["images"] == 12
    assert metrics["validation"]["accuracy"] == pytest.approx(best["val_accuracy"])
    assert metrics["validation"]["loss"] == pytest.approx(best["val_loss"], rel=1e-4)
    assert metrics["test"]["images"] == np.sum(metrics["test_confusion_matrix"]) == 30
    assert metrics["test"]["accuracy"] == np.trace(metrics["test_confusion_matrix"]) / 30 > 0.9
    assert list(metrics["test_accuracy_per_class"]) == ["left", "right", "dark"]
    assert metrics["seconds_per_epoch"] == pytest.approx(np.median(history["seconds"]))

    assert "toy: 108 images to train on, 12 to choose the model by, 30 to test it\nmlp 30-8-3: " in out
    assert f"validation accuracy  {metrics['validation']['accuracy']:.2%}" in out
    assert f"test accuracy        {metrics['test']['accuracy']:.2%}" in out
    assert f"seconds an epoch     {metrics['seconds_per_epoch']:.2f}" in out
    assert f"  left   {metrics['test_accuracy_per_class']['left']:6.1%}" in out
    assert out.endswith("model.safetensors, config.json, history.json, metrics.json, curves.png, confusion.png\n")


def test_pictures(tmp_path):
    with toy_in_catalog(tmp_path, pictures=True):
        run = train_toy(tmp_path)
    assert all((run / name).read_bytes().startswith(b"\x89PNG") for name in FILES if name.endswith("png"))


def test_config_says_what_made_the_run(tmp_path):
    config = json.loads((train_toy(tmp_path, "--ema", "0.5", "--seed", "3") / "config.json").read_text())
    assert config["model"] == {
        "name": "mlp",
        "in_features": 30,
        "classes": 3,
        "hidden": [8],
        "activation": "relu",
        "batch_norm": False,
        "dropout": 0.0,
    }
    assert (config["dataset"], config["shape"], config["classes"]) == ("toy", [1, 6, 5], ["left", "right", "dark"])
    assert {"seed": 3, "ema": 0.5, "lr": 1e-3, "optimizer": "adam", "epochs": 3}.items() <= config["options"].items()
    assert {"minigrad", "python", "numpy", "numba", "kernels"} <= config["versions"].keys()
    assert str(tmp_path) not in json.dumps(config)


def test_images_are_normalised_by_those_to_train_on(tmp_path):
    config, _ = load_run(str(train_toy(tmp_path, "--limit", "50")))
    x = load_parts(config.options, None).train.x / 255
    assert (config.mean, config.std) == (pytest.approx(x.mean()), pytest.approx(x.std()))
    config, _ = load_run(str(train_toy(tmp_path, "--no-normalize")))
    assert (config.mean, config.std) == (0.0, 1.0)


def test_images_of_one_shade():
    assert mean_and_deviation(np.full((3, 2), 51, np.uint8)) == (pytest.approx(0.2), 1.0)


def test_the_model_of_the_best_epoch_is_kept(tmp_path, toy):
    """Accuracies are made up: the second of four epochs is the best."""
    measured, kept = iter([0.1, 0.9, 0.2, 0.3]), []

    def validate(self, checks):
        kept.append(self.model.state_dict())
        return {"val_loss": 1.0, "val_accuracy": next(measured), "val_seconds": 0.0}

    toy.setattr(Trainer, "_validate", validate)
    state = load_state(train_toy(tmp_path, "--epochs", "4") / "model.safetensors")
    assert all(np.array_equal(state[name], kept[1][name]) for name in state)
    assert not np.array_equal(state["1.weight"], kept[3]["1.weight"])


def test_the_test_images_are_looked_at_once(tmp_path, toy):
    seen, gather, test_x = [], data.Loader.batch, images(30, 1)[0]

    def batch(self, index):
        seen.append(np.array_equal(self.data.x[:, 0], test_x))
        return gather(self, index)

    toy.setattr(data.Loader, "batch", batch)
    train_toy(tmp_path)
    assert seen.count(True) == 1
    assert seen[-1]


def test_the_seed_decides_on_everything(tmp_path):
    options = ("--dropout", "0.3", "--batch-norm")
    folders = [tmp_path / name for name in ("one", "same", "other")]
    for folder, seed in zip(folders, "001", strict=True):
        folder.mkdir()
        train_toy(folder, *options, "--seed", seed)
    one, same, other = (folder / "run" for folder in folders)
    assert same_model(one, same)
    assert not same_model(one, other)


def test_augmentation_is_the_data_sets_own_and_for_training_only(tmp_path, toy, capsys):
    seen = {}

    def fit(self, train, validation, epochs):
        seen.update(train=train.preparation.augment, validation=validation.preparation.augment)
        return learn(self, train, validation, epochs)

    learn = Trainer.fit
    toy.setattr(Trainer, "fit", fit)
    for option, wanted in (("--augment", data.CATALOG["toy"].augmentation), ("--no-augment", None)):
        config, _ = load_run(str(train_toy(tmp_path, option, "--epochs", "4")))
        assert seen == {"train": wanted, "validation": None}
        assert config.options["augment"] == (option == "--augment")
        assert config.loader(load_parts(config.options, None).test).preparation.augment is None
        assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]["accuracy"] > 0.8
    toy.setitem(data.CATALOG, "toy", replace(data.CATALOG["toy"], augmentation=None))
    assert train(tmp_path, "--augment") == 2
    assert "--augment: it is not known what the images of toy may go through" in one_line(capsys.readouterr().err)


# ---------------------------------------------------------------------------------------------------- the options


@pytest.mark.parametrize(
    "options",
    [
        "--optimizer sgd --momentum 0.9 --schedule one-cycle",
        "--optimizer sgd --schedule one-cycle",
        "--optimizer adamw --weight-decay 0.1 --schedule one-cycle --ema 0.9",
        "--optimizer rmsprop --momentum 0.5 --schedule step",
        "--optimizer adagrad --l1 0.001 --clip-norm 0.5",
        "--schedule cosine --activation gelu --hidden",
        "--schedule step --epochs 1 --validation 20 --batch-size 99",
        "--recipe best-mlp --hidden 8 --epochs 2 --batch-size 16",
    ],
)
def test_options_are_taken(options, tmp_path):
    metrics = json.loads((train_toy(tmp_path, *options.split()) / "metrics.json").read_text())
    assert 0 <= metrics["test"]["accuracy"] <= 1


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.1), ("adagrad", 0.01), ("adamw", 0.001)])
def test_each_optimizer_has_its_learning_rate(optimizer, rate, tmp_path):
    history = History.load(train_toy(tmp_path, "--optimizer", optimizer) / "history.json")
    assert history["lr"] == [rate] * 3


def test_schedules_end_where_they_should(tmp_path):
    last = {}
    for schedule in ("cosine", "one-cycle", "step"):
        run = train_toy(tmp_path, "--schedule", schedule, "--epochs", "4")
        last[schedule] = History.load(run / "history.json")["lr"]
    assert last["cosine"][-1] == pytest.approx(0, abs=1e-12)
    assert 0 < last["one-cycle"][-1] < 1e-6
    assert last["step"] == pytest.approx([1e-3, 1e-4, 1e-5, 1e-5])


def test_early_stopping(tmp_path):
    run = train_toy(tmp_path, "--early-stopping", "2", "--epochs", "50", "--lr", "0.05")
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["stopped"] == "early"
    assert metrics["epochs"] == metrics["best_epoch"] + 2 < 50
    assert names(run) == FILES


def test_limit_and_a_last_batch_of_one_image(tmp_path, capsys):
    """45 images, batches of 11: one is left over, which batch normalisation could not take."""
    assert train(tmp_path, "--limit", "50", "--batch-size", "11", "--batch-norm") == 0
    assert "toy: 45 images to train on, 5 to choose the model by, 12 to test it" in capsys.readouterr().out


def test_how_much_is_said(tmp_path, capsys):
    assert main(["train", "toy", "--epochs", "2", "--hidden", "4", "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.count("val_accuracy ") == 3  # two epochs, and which one was taken
    assert train(tmp_path) == 0
    assert "val_accuracy" not in capsys.readouterr().out
    train_toy(tmp_path)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("options", "times"), [((), 1), (("--quiet",), 0)])
def test_a_first_run_says_once_that_it_compiles(options, times, tmp_path, toy, capsys):
    def compile_something(self, trainer):
        compiling.tell("relu_forward")
        compiling.tell("relu_backward")

    toy.setattr(Checkpoint, "on_epoch_start", compile_something)
    for progress in ((), ("--no-progress",)):
        main(["train", "toy", "--hidden", "4", "--epochs", "2", *progress, *options, "--out", str(tmp_path / "run")])
        out, err = capsys.readouterr()
        assert (out.count(f"{compiling.SENTENCE}\n"), err) == (times, "")


def test_threads_that_cannot_be_understood(tmp_path, toy, capsys):
    run = train_toy(tmp_path)
    toy.setattr("minigrad.engine.threads._chosen", None)
    threads.default_threads.cache_clear()
    toy.setenv("MINIGRAD_NUM_THREADS", "two")
    for command in (["train", "toy", *QUICK], ["evaluate", str(run)]):
        assert main(command) == 1
        assert one_line(capsys.readouterr().err).endswith(
            "error: MINIGRAD_NUM_THREADS='two': want a whole number, at least 1 and at most 1024\n"
        )


@pytest.mark.parametrize("options", [[], ["--eager"]])
def test_eager_is_asked_for(options, tmp_path, toy):
    seen, make = [], steps.make_steps

    def look(trainer, last):
        seen.append(trainer.compiled)
        return make(trainer, last)

    toy.setattr("minigrad.train.trainer.make_steps", look)
    run = train_toy(tmp_path, *options)
    assert set(seen) == {not options}
    assert json.loads((run / "config.json").read_text())["options"]["eager"] == bool(options)


def test_the_default_folder(tmp_path, toy):
    toy.chdir(tmp_path)
    assert main(["train", "toy", *QUICK, "--quiet"]) == 0
    assert names(tmp_path / "runs" / "toy") == FILES


def test_data_from_a_folder(tmp_path, toy):
    toy.delenv("MINIGRAD_DATA")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    train_toy(tmp_path, "--data", str(tmp_path / "elsewhere"))


# ------------------------------------------------------------------------------------------------------- failures


def test_a_loss_that_is_not_finite(tmp_path, capsys):
    assert train(tmp_path, "--optimizer", "sgd", "--lr", "1e30", "--weight-decay", "1e30") == 1
    out, err = capsys.readouterr()
    assert "minigrad train: error: loss is " in one_line(err)
    assert "epoch 1, step " in err
    assert names(tmp_path / "run") == []
    assert "Traceback" not in out


def test_what_came_before_a_failure_is_kept(tmp_path, toy, capsys):
    from minigrad.train import NonFiniteError

    raise_in_epoch(toy, 3, NonFiniteError("loss is nan"))
    assert train(tmp_path) == 1
    assert one_line(capsys.readouterr().err) == "minigrad train: error: loss is nan\n"
    assert names(tmp_path / "run") == FILES
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["stopped"] == "error"


def test_a_failed_run_leaves_the_files_of_the_last_one(tmp_path, toy):
    run = train_toy(tmp_path)
    before = {name: (run / name).read_bytes() for name in FILES}
    raise_in_epoch(toy, 2, OSError(28, "No space left on device", "model"))
    assert train(tmp_path, "--seed", "1") == 1
    assert {name: (run / name).read_bytes() for name in FILES} == before


def test_a_folder_that_cannot_be_written_is_noticed_before_anything_else(tmp_path, toy, capsys):
    toy.setattr("minigrad.cli.run_folder.load", lambda *arguments: pytest.fail("the data were read first"))
    (tmp_path / "file").write_text("")
    assert main(["train", "toy", *QUICK, "--out", str(tmp_path / "file" / "run")]) == 1
    message = one_line(capsys.readouterr().err)
    assert message.startswith(f"minigrad train: error: --out: cannot write into {tmp_path / 'file' / 'run'}")


def test_data_that_are_not_found(tmp_path, toy, capsys):
    toy.setenv("MINIGRAD_DATA", str(tmp_path / "nowhere"))
    assert train(tmp_path) == 1
    err = capsys.readouterr().err
    assert err.startswith("minigrad train: error: toy was not found. Looked in:\n")
    assert "minigrad data fetch toy" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--limit", "121"], "--limit 121: toy has 120 training images"),
        (["--validation", "120"], "--validation 120: "),
        (["--limit", "2", "--validation", "0.1"], "--validation 0.1: "),
        (["--limit", "2", "--validation", "1", "--batch-norm"], "Sequential[2].BatchNorm1d: "),
    ],
)
def test_more_than_there_is(options, message, tmp_path, capsys):
    assert train(tmp_path, *options) == 1
    assert f"minigrad train: error: {message}" in one_line(capsys.readouterr().err)


def test_without_matplotlib(tmp_path, capsys):
    with toy_in_catalog(tmp_path, pictures=True) as patch:
        for name in ("matplotlib", "matplotlib.figure"):
            patch.setitem(sys.modules, name, None)
        assert train(tmp_path) == 0
    out, err = capsys.readouterr()
    assert out.endswith("metrics.json\nno pictures: plots need matplotlib: pip install minigrad[plot]\n")
    assert err == ""
    assert names(tmp_path / "run") == [name for name in FILES if not name.endswith("png")]


@once
def test_fashion_mnist(tmp_path, toy, capsys):
    toy.undo()
    require("fashion-mnist")
    options = ["--recipe", "reference", "--limit", str(fewer(2000)), "--epochs", "1", "--no-progress"]
    least = 0.4 if IS_INTERPRETED else 0.6  # three steps and 33 test images there: two standard deviations less
    assert main(["train", "fashion-mnist", *options, "--out", str(tmp_path / "run")]) == 0
    assert "mlp 784-512-256-10: 537,354 parameters" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]["accuracy"] > least


def test_a_convolutional_network(tmp_path, monkeypatch, capsys):
    """It trains, and what it has written is a model that can be read and used again."""
    monkeypatch.setattr("tests.cli_toy.SHAPE", (6, 6))
    with toy_in_catalog(tmp_path):
        options = "--filters", "2", "3", "--kernel-size", "2", "--hidden", "5", "--dropout", "0.1"
        run = train_toy(tmp_path, "--model", "cnn", *options)
        config, model = load_run(str(run))
        assert config.model == {
            "name": "cnn",
            "classes": 3,
            "in_channels": 1,
            "image_size": 6,
            "filters": [2, 3],
            "kernel_size": 2,
            "hidden": [5],
            "dropout": 0.1,
        }
        assert model[0].weight.shape == (2, 1, 2, 2)
        assert main(["evaluate", str(run)]) == 0
        assert "test" in capsys.readouterr().out


def test_a_convolutional_network_wants_square_images(tmp_path, toy, capsys):
    assert main(["train", "toy", *QUICK, "--model", "cnn", "--out", str(tmp_path / "run")]) == 1
    assert one_line(capsys.readouterr().err).endswith("--model cnn: want images as wide as high, got 6 x 5 pixels\n")


@pytest.mark.parametrize("name", ["resnet20", "resnet18"])
def test_residual_networks_take_images_of_any_form(name):
    arguments = model_arguments({"model": name}, (3, 6, 5), 4)
    model = MODELS[name](**arguments, rng=0).eval()
    assert model(np.ones((2, 3, 6, 5), np.float32)).shape == (2, 4)

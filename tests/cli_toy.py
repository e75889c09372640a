"""A small data set of the tests' own, in the catalog like the real ones, and calling the command line on it."""

import hashlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from minigrad import plots
from minigrad.cli import main
from minigrad.data import CATALOG, Augmentation, File, Source, write_idx
from minigrad.io import load_state
from minigrad.train import Checkpoint

CLASSES = ("left", "right", "dark")
SHAPE = (6, 5)  # of an image
FILES = ["config.json", "confusion.png", "curves.png", "history.json", "metrics.json", "model.safetensors"]
QUICK = ("--hidden", "8", "--epochs", "3", "--batch-size", "16", "--no-progress")
DRAW = {"curves": plots.curves, "confusion_matrix": plots.confusion_matrix}


def images(count, seed):
    """Return pictures that are bright on the left, on the right, or nowhere, and which of these they are."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count).astype(np.uint8)
    x = rng.integers(0, 60, (count, *SHAPE), np.uint8)
    x[y == 0, :, :2] += 180
    x[y == 1, :, 3:] += 180
    return x, y


def write_toy(folder):
    """Write the files of the data set and return its entry."""
    folder.mkdir(exist_ok=True)
    x, y = images(120, 0)
    test_x, test_y = images(30, 1)
    files = []
    for name, array in {"train-x": x, "train-y": y, "test-x": test_x, "test-y": test_y}.items():
        write_idx(folder / name, array)
        files.append(File(name, hashlib.sha256((folder / name).read_bytes()).hexdigest()))
    augmentation = Augmentation(crop=1, erasing=0.5)  # left stays left
    return Source("toy", CLASSES, (files[0], files[1]), (files[2], files[3]), mirrors=(), augmentation=augmentation)


def touch(*arguments, **options):
    """Leave an empty file where a picture would be drawn."""
    next(argument for argument in arguments if isinstance(argument, Path)).touch()


@contextmanager
def toy_in_catalog(folder, pictures=False):
    """Let the data set be known and found, and no picture be drawn (which takes longer than all the rest)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CATALOG, "toy", write_toy(folder / "data"))
        patch.setenv("MINIGRAD_DATA", str(folder / "data"))
        for name, draw in DRAW.items():
            patch.setattr(plots, name, draw if pictures else touch)
        yield patch


def train_toy(folder, *options):
    """Train on the data set, quickly, and return the run's folder."""
    out = folder / "run"
    assert main(["train", "toy", *QUICK, "--quiet", *options, "--out", str(out)]) == 0
    return out


def train(folder, *options):
    """Train on the data set, and return the exit code."""
    return main(["train", "toy", *QUICK, *options, "--out", str(folder / "run")])


def raise_in_epoch(patch, number, error):
    """Let a fit be hit by an exception when this epoch begins."""

    def begin(self, trainer):
        if trainer.epoch == number:
            raise error

    patch.setattr(Checkpoint, "on_epoch_start", begin)


def same_model(one, other):
    """Return whether two folders hold the same weights."""
    one, other = (load_state(folder / "model.safetensors") for folder in (one, other))
    assert one.keys() == other.keys()
    return all(np.array_equal(one[name], other[name]) for name in one)


def one_line(text):
    """Return the text of standard error, which must be one line."""
    assert text.count("\n") == 1, text
    assert text.endswith("\n")
    return text


def names(folder):
    return sorted(path.name for path in folder.iterdir())

"""A run's folder: what `minigrad train` writes there, and getting the model and its data back from it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any, Self

import numpy as np

from minigrad import models, nn
from minigrad.cli.errors import CommandError, require_packages
from minigrad.cli.parser import MOST_PIXELS
from minigrad.data import ArrayDataset, Loader, load, split
from minigrad.io import atomic_path, load_state

MODEL, CONFIG, HISTORY, METRICS = "model.safetensors", "config.json", "history.json", "metrics.json"
CURVES, CONFUSION = "curves.png", "confusion.png"
CHECKPOINT = "checkpoint"  # a folder, there while the run is not finished

MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": models.mlp,
    "cnn": models.cnn,
    "vgg": models.vgg,
    "resnet20": models.resnet20,
    "resnet18": models.resnet18,
    "resnet34": models.resnet34,
    "efficientnet_lite0": models.efficientnet_lite0,
}


LARGEST_LEVEL = 1e18  # of a mean or a deviation: float32 and int64 have it

# Of the options those that are read again, and what they have to be.
OPTIONS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "dataset": ("a name", lambda value: isinstance(value, str)),
    "seed": ("a whole number of at least 0", lambda value: _are([value], int) and value >= 0),
    "limit": ("null or a whole number above 0", lambda value: value is None or (_are([value], int) and value > 0)),
    "validation": ("a number above 0", lambda value: _are([value], (int, float)) and value > 0),
    "label_smoothing": ("from 0 to 1", lambda value: _are([value], (int, float)) and 0 <= value <= 1),
}


@dataclass(frozen=True)
class Config:
    """All that it takes to build the model of a run again, and to get at its data as it did: `config.json`.

    Arguments:
        dataset: name of the data set.
        classes: names of the classes.
        shape: of one sample.
        mean: of the training images, in units of full scale, subtracted from all images.
        std: their standard deviation, by which they are then divided.
        model: `name` of the model and its arguments, and those of the `head` that has been put on it, if one has.
        options: those of the command line, with their defaults.
        versions: of what made the run.
        size: height and width to which images are brought for the model, if it is not their own.
        channels: of these; grey images are repeated.
    """

    dataset: str
    classes: list[str]
    shape: list[int]
    mean: float | list[float]
    std: float | list[float]
    model: dict[str, Any]
    options: dict[str, Any]
    versions: dict[str, str]
    size: list[int] | None = None
    channels: int | None = None

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        try:
            content = json.loads(path.read_text("utf-8"))
            config = cls(**{field.name: content[field.name] for field in fields(cls) if field.name in content})
        except FileNotFoundError:
            raise CommandError(f"{path}: no such file; want a folder that `minigrad train` wrote") from None
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CommandError(f"{path}: not a configuration that `minigrad train` wrote ({error!r})") from None
        for what, is_so in config._wanted():
            if not is_so:
                raise CommandError(f"{path}: want {what}")
        return config

    def _wanted(self) -> Iterator[tuple[str, bool]]:
        """Yield what each field has to be, and whether it is: people edit these files."""
        yield "dataset to be a name", isinstance(self.dataset, str)
        yield "classes to be names", _are(self.classes, str) and len(self.classes) > 0
        yield "shape to be three whole numbers above 0", _are(self.shape, int) and len(self.shape) == 3
        yield "shape to be three whole numbers above 0", min(self.shape) > 0
        for name, value in (("mean", self.mean), ("std", self.std)):
            numbers = value if isinstance(value, list) else [value]
            is_so = _are(numbers, (int, float)) and len(numbers) in (1, self.channels or self.shape[0])
            yield f"{name} to be a number, or one for each channel", is_so
            yield f"{name} to be below {LARGEST_LEVEL:g}", bool(max(map(abs, numbers)) < LARGEST_LEVEL)
        yield "std to be above 0", bool(np.min(self.std) > 0)
        yield (
            f"size to be null or two whole numbers from 1 to {MOST_PIXELS}",
            self.size is None or (_are_sizes(self.size) and len(self.size) == 2),
        )
        yield (
            f"channels to be null or a whole number from 1 to {MOST_PIXELS}",
            self.channels is None or _are_sizes([self.channels]),
        )
        yield f"model to have a name, one of {', '.join(MODELS)}", isinstance(self.model, dict)
        known = f"model to have a name, one of {', '.join(MODELS)}, got {self.model.get('name')!r}"
        yield known, self.model.get("name") in [*MODELS]
        for name, (what, fits) in OPTIONS.items():
            yield f"options to have {name}, {what}", isinstance(self.options, dict) and name in self.options
            yield f"options to have {name}, {what}", fits(self.options[name])

    def build_model(self, rng: np.random.Generator | None = None) -> nn.Module:
        """Return the model with initial weights."""
        arguments = dict(self.model)
        head, make = arguments.pop("head", None), MODELS[arguments.pop("name")]
        model = make(**arguments, rng=rng)
        return models.replace_head(model, arguments["classes"], **head, rng=rng) if head else model

    def loss(self) -> nn.CrossEntropyLoss:
        """Return the loss."""
        return nn.CrossEntropyLoss(label_smoothing=self.options["label_smoothing"])

    def loader(self, data: ArrayDataset, batch_size: int = 1000, **settings: Any) -> Loader:
        """Return the data in batches, as the model wants them."""
        size = None if self.size is None else (self.size[0], self.size[1])
        mean, std, channels = self.mean, self.std, self.channels
        return Loader(data, batch_size, mean=mean, std=std, size=size, channels=channels, **settings)


@dataclass(frozen=True)
class Parts:
    """A data set in three parts."""

    train: ArrayDataset
    validation: ArrayDataset
    test: ArrayDataset


def _are_sizes(values: object) -> bool:
    return isinstance(values, list) and _are(values, int) and all(1 <= value <= MOST_PIXELS for value in values)


def _are(values: object, kinds: type | tuple[type, ...]) -> bool:
    """Return whether this is a list of such values. A number is finite, and true and false are none."""
    return isinstance(values, list) and all(
        isinstance(value, kinds)
        and not isinstance(value, bool)
        and not (isinstance(value, float) and not isfinite(value))
        for value in values
    )


def load_parts(options: Mapping[str, Any], folder: str | None) -> Parts:
    """Return the three parts of a data set. The same options give the same parts.

    Arguments:
        options: of `minigrad train`; of them dataset, seed, limit (so many of the training images for training and
            validation together, and as small a part of the others) and validation count.
        folder: where to look for the data first.
    """
    name, seed, limit, validation = (options[option] for option in ("dataset", "seed", "limit", "validation"))
    train, test = load(name, folder)
    if limit is not None:
        if limit > len(train):
            raise CommandError(f"--limit {limit}: {name} has {len(train)} training images")
        test = test.subset(np.arange(max(1, len(test) * limit // len(train))))
        train = train.subset(np.random.default_rng(seed).permutation(len(train))[:limit])
    try:
        return Parts(*split(train, validation, seed, stratify=True), test)
    except ValueError as error:
        raise CommandError(f"--validation {validation}: {error}") from None


def load_run(folder: str) -> tuple[Config, nn.Module]:
    """Return the configuration of a run and its trained model, in evaluation mode."""
    require_packages("safetensors")
    config = Config.load(Path(folder) / CONFIG)
    path = Path(folder) / MODEL
    state = load_state(path)
    try:
        model = config.build_model()
        model.load_state_dict(state)
    except MemoryError:
        raise
    except Exception as error:  # of constructors that get what somebody has written into the file
        raise CommandError(f"{path} is not the model that {CONFIG} describes: {error}") from None
    return config, model.eval()


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", "utf-8")

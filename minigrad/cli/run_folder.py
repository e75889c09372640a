"""A run's folder: what `minigrad train` writes there, and getting the model and its data back from it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from minigrad import models, nn
from minigrad.cli.errors import CommandError
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
            return cls(**{field.name: content[field.name] for field in fields(cls) if field.name in content})
        except FileNotFoundError:
            raise CommandError(f"{path}: no such file; want a folder that `minigrad train` wrote") from None
        except (ValueError, TypeError, KeyError) as error:
            raise CommandError(f"{path}: not a configuration that `minigrad train` wrote ({error!r})") from None

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
    config = Config.load(Path(folder) / CONFIG)
    path = Path(folder) / MODEL
    state = load_state(path)
    try:
        model = config.build_model()
        model.load_state_dict(state)
    except (ValueError, TypeError, KeyError) as error:
        raise CommandError(f"{path} is not the model that {CONFIG} describes: {error}") from None
    return config, model.eval()


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", "utf-8")

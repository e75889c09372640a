"""Recipes: settings of `minigrad train` that are known to do well, and the command that lists them."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minigrad.cli.parser import Commands, add_command, flag


@dataclass(frozen=True)
class Recipe:
    """Defaults for `minigrad train`, under the names of its options. Options on the command line come first."""

    what: str
    settings: Mapping[str, Any]


REFERENCE: dict[str, Any] = {
    "model": "mlp",
    "hidden": [512, 256],
    "batch_norm": True,
    "dropout": 0.2,
    "label_smoothing": 0.1,
    "optimizer": "adam",
    "lr": 1e-3,
    "weight_decay": 1e-4,
    "epochs": 20,
    "batch_size": 64,
}

CNN: dict[str, Any] = {
    "model": "cnn",
    "filters": [32, 64],
    "kernel_size": 3,
    "hidden": [512],
    "dropout": 0.4,
    "optimizer": "adam",
    "lr": 1e-3,
    "schedule": "cosine",
    "epochs": 20,
    "batch_size": 64,
}

ONE_CYCLE: dict[str, Any] = {
    "optimizer": "sgd",
    "momentum": 0.9,
    "schedule": "one-cycle",
    "label_smoothing": 0.1,
    "augment": True,
}

RECIPES = {
    "reference": Recipe(
        "The reference network: two hidden layers with batch normalisation and dropout, Adam at one learning rate.",
        REFERENCE,
    ),
    "reference-cosine": Recipe(
        "The reference network, with a learning rate that falls along a cosine.",
        REFERENCE | {"schedule": "cosine"},
    ),
    "cnn": Recipe(
        "Two convolutions, each with a pooling, and a hidden layer, with dropout before both fully connected layers; "
        "a learning rate that falls along a cosine.",
        CNN,
    ),
    "cnn-augmented": Recipe(
        "The same network and settings, and training images that are moved a little in each epoch.",
        CNN | {"augment": True},
    ),
    "vgg": Recipe(
        "Three pairs of convolutions with batch normalisation, 620,970 parameters: SGD in one cycle, augmented images.",
        ONE_CYCLE
        | {
            "model": "vgg",
            "filters": [32, 96, 192],
            "lr": 0.1,
            "weight_decay": 5e-4,
            "epochs": 35,
            "batch_size": 64,
        },
    ),
    "resnet20": Recipe(
        "ResNet20, 272,186 parameters: SGD in one cycle, augmented images.",
        ONE_CYCLE
        | {
            "model": "resnet20",
            "lr": 0.1,
            "weight_decay": 2e-4,
            "epochs": 170,
            "batch_size": 128,
            "validation": 0.05,
        },
    ),
    "best-mlp": Recipe(
        "The most accurate fully connected network found so far: AdamW in one cycle, averaged weights.",
        {
            "model": "mlp",
            "hidden": [1024, 512],
            "batch_norm": True,
            "dropout": 0.3,
            "label_smoothing": 0.1,
            "optimizer": "adamw",
            "lr": 2e-3,
            "weight_decay": 1e-2,
            "schedule": "one-cycle",
            "ema": 0.999,
            "epochs": 20,
            "batch_size": 128,
        },
    ),
}


def add(commands: Commands) -> None:
    """Add the command `recipes`."""
    add_command(commands, "recipes", run, "list the recipes of `minigrad train`")


def run(args: argparse.Namespace) -> int:
    """Print each recipe: its name, what it is, and its settings as options."""
    for name, recipe in RECIPES.items():
        print(f"{name}\n  {recipe.what}\n  {as_options(recipe.settings)}\n")
    print("Use one with: minigrad train DATASET --recipe NAME. Options that you give come before those of the recipe.")
    return 0


def as_options(settings: Mapping[str, Any]) -> str:
    """Return settings as they would be typed.

    >>> as_options({"hidden": [512, 256], "batch_norm": True, "lr": 0.001})
    '--hidden 512 256 --batch-norm --lr 0.001'
    """
    return " ".join(_as_option(flag(name), value) for name, value in settings.items())


def _as_option(option: str, value: Any) -> str:
    if isinstance(value, bool):
        return option if value else option.replace("--", "--no-", 1)
    values = value if isinstance(value, list) else [value]
    return " ".join([option, *map(str, values)])

"""What `minigrad finetune` begins with: a model with the weights of another, but for its head."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import models, nn
from minigrad.cli.errors import CommandError
from minigrad.cli.run_folder import CONFIG, MODEL, Config
from minigrad.cli.train import STRUCTURE
from minigrad.cli.training import Options, describe
from minigrad.data import ArrayDataset
from minigrad.io import load_torch
from minigrad.nn.parameter import Array
from minigrad.train.checkpoint import BEST

State = dict[str, Array]


@dataclass(frozen=True)
class Start:
    """Weights to begin with, and what is known of their model.

    Arguments:
        state: the weights, by name.
        model: arguments of the model.
        shape: (C, H, W) of the images that it takes.
        options: of the command, which it decides.
        form: mean and std of its images, arguments of a `Config`.
    """

    state: State
    model: dict[str, Any]
    shape: Sequence[int]
    options: Options = field(default_factory=dict)
    form: dict[str, Any] = field(default_factory=dict)


def pretrained_model(options: Options, data: ArrayDataset) -> tuple[Config, nn.Module]:
    """Return the configuration of a run, and its model: the weights of `options["weights"]` under a new head."""
    path, shape = Path(options["weights"]), data.x.shape[1:]
    start = of_run(path) if path.is_dir() else of_file(options["model"], options["weights"], shape)
    channels, *size = start.shape
    if options["image_size"]:
        size = [options["image_size"]] * 2
    head = {"hidden": options["head_hidden"], "dropout": options["head_dropout"]}
    config = describe(options | start.options, data)
    arguments = config.model | start.model | ({"head": head} if options["head_hidden"] else {})
    config = replace(config, model=arguments, **start.form, **fitting(shape, [channels, *size]))
    try:
        model = config.build_model(np.random.default_rng(options["seed"]))
        load_backbone(model, start.state)
        if options["freeze"]:
            models.freeze_backbone(model)
    except MemoryError:
        raise
    except Exception as error:  # of constructors that get what somebody has written into config.json
        raise CommandError(f"--weights {path}: {error}") from None
    return config, model


def of_run(folder: Path) -> Start:
    """Return what a run has made so far, or in the end."""
    config, best = Config.load(folder / CONFIG), folder / BEST
    lacking = [name for name in ("model", *STRUCTURE) if name not in config.options]
    if lacking:
        raise CommandError(f"{folder / CONFIG}: want options to have {', '.join(lacking)}")
    return Start(
        state=read_weights(best if best.is_file() else folder / MODEL),
        model={name: value for name, value in config.model.items() if name not in ("classes", "head")},
        shape=[config.channels or config.shape[0], *(config.size or config.shape[1:])],
        options={name: config.options[name] for name in ("model", *STRUCTURE)},
    )


def of_file(kind: str, weights: str, shape: Sequence[int]) -> Start:
    """Return weights of a model of this kind: a file, or a name in `PRETRAINED`, for images of this shape."""
    try:
        state = read_weights(models.weights_path(kind, weights))
    except models.WeightsError as error:
        raise CommandError(f"--weights: {error}") from None
    model, named = stem_of(kind, state), models.PRETRAINED.get(kind, {}).get(weights)
    channels = model.get("in_channels", shape[0])
    if named is None:
        return Start(state, model, [channels, *shape[1:]])
    form = {"mean": list(named.mean), "std": list(named.std)}
    return Start(state, model, [channels, named.size, named.size], form=form)


def read_weights(path: Path) -> State:
    """Return the arrays of a file by name; those of a training checkpoint of PyTorch lie one dict deeper."""
    state = load_torch(path)
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, np.ndarray) for value in state.values()):
        raise CommandError(f"--weights {path}: want the weights of a model, arrays by name")
    return state


def stem_of(kind: str, state: State) -> dict[str, Any]:
    """Return the arguments of a model of this kind that its first convolution tells; nothing where that is unknown.

    >>> stem_of("resnet18", {"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)})
    {'in_channels': 3, 'small_images': False}
    """
    weight = state.get("_conv_stem.weight" if kind == "efficientnet_lite0" else "conv1.weight", np.empty(0))
    if not kind.startswith(("resnet", "efficientnet")) or weight.ndim != 4:
        return {}
    stem = {"small_images": weight.shape[2] == 3} if kind in ("resnet18", "resnet34") else {}
    return {"in_channels": weight.shape[1], **stem}


def fitting(shape: Sequence[int], wanted: Sequence[int]) -> dict[str, Any]:
    """Return how images (C, H, W) are brought to the shape that is wanted, as arguments of a `Config`.

    >>> fitting([1, 28, 28], [3, 64, 64])
    {'size': [64, 64], 'channels': 3}
    """
    (channels, *size), (wanted_channels, *wanted_size) = shape, wanted
    if channels not in (1, wanted_channels):
        raise CommandError(f"--weights: of a model for images of {wanted_channels} channels, these have {channels}")
    return {
        "size": None if size == wanted_size else wanted_size,
        "channels": None if channels == wanted_channels else wanted_channels,
    }


def load_backbone(model: nn.Module, state: State) -> None:
    """Load all but the head.

    Raises:
        ValueError: listing every key that does not fit, or for a model that has nothing but a head.
    """
    head = f"{models.head_name(model)}."
    own = {name: array for name, array in model.state_dict().items() if name.startswith(head)}
    model.load_state_dict(own | {name: array for name, array in state.items() if not name.startswith(head)})

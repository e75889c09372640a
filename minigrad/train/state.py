"""The whole state of a training run as one tree, and the tree as one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.io import load_metadata, load_state, save_state
from minigrad.nn import Module
from minigrad.nn.parameter import Array
from minigrad.train.errors import TrainingError
from minigrad.train.history import History

if TYPE_CHECKING:
    from minigrad.train.trainer import Trainer

FORMAT = "minigrad checkpoint 1"


def random_layers(model: Module) -> dict[str, Any]:
    """Return the layers that draw a mask from (seed, step), by their dotted names."""
    return {name: module for name, module in model.named_modules() if {"seed", "step"} <= set(vars(module))}


def capture(trainer: Trainer) -> dict[str, Any]:
    """Return all that the rest of a fit depends on, as it is after an epoch."""
    return {
        "epochs_before_fit": trainer.epochs_before_fit,
        "order": {name: getattr(trainer.batches, name) for name in ("seed", "batch_size", "epoch")},
        "history": trainer.history.rows,
        "random": {
            name: {"seed": layer.seed, "step": layer.step} for name, layer in random_layers(trainer.model).items()
        },
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "callbacks": {name: state for name, callback in _named(trainer) if (state := callback.state_dict())},
    }


def restore(trainer: Trainer, state: Mapping[str, Any]) -> None:
    """Put the trainer into a captured state."""
    callbacks = dict(_named(trainer))
    missing = sorted(state["callbacks"].keys() - callbacks.keys())
    if missing:
        raise TrainingError(f"resume: the checkpoint holds the state of {', '.join(missing)}; give the same callbacks")
    layers = random_layers(trainer.model)
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    for name, random in state["random"].items():
        layers[name].seed, layers[name].step = random["seed"], random["step"]
    for name, callback_state in state["callbacks"].items():
        callbacks[name].load_state_dict(callback_state)
    trainer.history = History(state["history"])
    trainer.epochs_before_fit, trainer.resumed_order = state["epochs_before_fit"], state["order"]


def _named(trainer: Trainer) -> list[tuple[str, Any]]:
    """Return the callbacks with names that do not depend on the other kinds: `LRSchedule 1`."""
    counts: dict[str, int] = {}
    named = []
    for callback in trainer.callbacks:
        kind = type(callback).__name__
        counts[kind] = counts.get(kind, 0) + 1
        named.append((f"{kind} {counts[kind]}", callback))
    return named


def write_tree(path: Path, tree: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of arrays, numbers and texts: the arrays as tensors, the rest as JSON beside them.

    Both lie in one safetensors file (the JSON in its metadata), so that a crash cannot part them.
    """
    arrays: dict[str, Array] = {}
    rest = _without_arrays(tree, "", arrays)
    save_state(path, arrays, {"format": FORMAT, "tree": json.dumps(rest)})


def read_tree(path: Path) -> dict[str, Any]:
    """Read what `write_tree` wrote."""
    metadata = load_metadata(path)
    if metadata.get("format") != FORMAT:
        raise TrainingError(f"{path}: not a training checkpoint of minigrad (of weights alone: load_state)")
    tree: dict[str, Any] = _with_arrays(json.loads(metadata["tree"]), load_state(path))
    return tree


def _without_arrays(value: Any, path: str, arrays: dict[str, Array]) -> Any:
    """Move the arrays below `value` to `arrays` and return JSON that says where they were."""
    match value:
        case np.ndarray():
            arrays[path] = value
            return {"$array": path}
        case np.generic():
            return value.item()
        case Mapping():
            items = {
                key: _without_arrays(item, f"{path}.{key}" if path else key, arrays) for key, item in value.items()
            }
            # JSON would turn the integer keys of an optimizer's state into texts.
            return items if all(isinstance(key, str) for key in items) else {"$items": list(items.items())}
        case list() | tuple():
            return [_without_arrays(item, f"{path}.{i}", arrays) for i, item in enumerate(value)]
    return value


def _with_arrays(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Undo `_without_arrays`."""
    match value:
        case {"$array": str(path)}:
            return arrays[path]
        case {"$items": list(items)}:
            return {key: _with_arrays(item, arrays) for key, item in items}
        case dict():
            return {key: _with_arrays(item, arrays) for key, item in value.items()}
        case list():
            return [_with_arrays(item, arrays) for item in value]
    return value

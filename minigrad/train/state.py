"""The whole state of a training run as one tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minigrad.engine.trial import random_layers
from minigrad.train.errors import TrainingError
from minigrad.train.history import History
from minigrad.train.origin import restore_settings, settings

if TYPE_CHECKING:
    from minigrad.train.trainer import Trainer


def capture(trainer: Trainer) -> dict[str, Any]:
    """Return all that the rest of a fit depends on, as it is after an epoch."""
    return {
        "epochs_before_fit": trainer.epochs_before_fit,
        "order": {name: getattr(trainer.batches, name) for name in ("seed", "batch_size", "epoch")},
        "settings": {"starts": trainer.settings_at_starts, "now": settings(trainer)},
        "data": trainer.fingerprints,
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
    if "settings" in state:  # not in files of older versions
        trainer.settings_at_starts = state["settings"]["starts"]
        restore_settings(trainer, **state["settings"])
    layers = random_layers(trainer.model)
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    for name, random in state["random"].items():
        layers[name].seed, layers[name].step = random["seed"], random["step"]
    for name, callback_state in state["callbacks"].items():
        callbacks[name].load_state_dict(callback_state)
    trainer.history = History(state["history"])
    trainer.epochs_before_fit, trainer.resumed_order = state["epochs_before_fit"], state["order"]
    trainer.fingerprints = state.get("data", {})


def _named(trainer: Trainer) -> list[tuple[str, Any]]:
    """Return the callbacks with names that do not depend on the other kinds: `LRSchedule 1`."""
    counts: dict[str, int] = {}
    named = []
    for callback in trainer.callbacks:
        kind = type(callback).__name__
        counts[kind] = counts.get(kind, 0) + 1
        named.append((f"{kind} {counts[kind]}", callback))
    return named

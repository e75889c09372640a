"""What a resumed run must have in common with the interrupted one: the options of its parts, and its data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad.data import ArrayDataset, Loader
from minigrad.train.errors import TrainingError

if TYPE_CHECKING:
    from minigrad.train.trainer import Trainer

Settings = dict[str, Any]
SAMPLED = 64  # samples whose values are looked at
COUNTERS = ("seed", "step")  # of masks: a checkpoint has them by themselves


class Option(NamedTuple):
    """An attribute that the result of a training depends on, and whose it is."""

    owner: Any
    name: str

    @property
    def value(self) -> Any:
        """What it is now."""
        return getattr(self.owner, self.name)


def options(trainer: Trainer) -> dict[str, Option]:
    """Return the options of the model's layers, its loss and the clipping, and what is frozen, by their names."""
    found = {"clip_norm": Option(trainer, "clip_norm")}
    for name, parameter in trainer.model.named_parameters():
        found[f"model.{name}.requires_grad"] = Option(parameter, "requires_grad")
    for path, module in trainer.model.named_modules():
        for name, value in _public(module):
            if name not in COUNTERS and _is_plain(value):
                found[".".join(filter(None, ("model", path, name)))] = Option(module, name)
    for name, value in _public(trainer.loss):
        if _is_plain(value) or isinstance(value, np.ndarray):
            found[f"loss.{name}"] = Option(trainer.loss, name)
    return found


def settings(trainer: Trainer) -> Settings:
    """Return the values of all options."""
    return {name: option.value for name, option in options(trainer).items()}


def note_start(trainer: Trainer) -> None:
    """Note the settings with which a fit begins, if they are others than those of the last one."""
    now, starts = settings(trainer), trainer.settings_at_starts
    last = starts[-1] if starts else {}
    if now.keys() != last.keys() or not all(_same(value, last[name]) for name, value in now.items()):
        starts.append(now)


def restore_settings(trainer: Trainer, starts: Sequence[Settings], now: Settings) -> None:
    """Give all options the values of a checkpoint.

    Arguments:
        trainer: made anew for the resumed run.
        starts: the values when the fits of the interrupted run began.
        now: those when the checkpoint was written: callbacks may have changed some.

    Raises:
        TrainingError: for an option that has none of these values: this is another run. Nothing has been changed then.
    """
    own = options(trainer)
    known = {name: [start[name] for start in (*starts, now) if name in start] for name in own}
    problems = [
        f"{name} was {_shown(known[name])}, is {option.value!r}"
        for name, option in own.items()
        if known[name] and not any(_same(option.value, value) for value in known[name])
    ]
    if problems:
        raise TrainingError("resume: this is not the interrupted run:\n  " + "\n  ".join(problems))
    for name, option in own.items():
        if name in now and not _same(option.value, now[name]):
            setattr(option.owner, option.name, now[name])


def fingerprint(batches: Loader | None) -> dict[str, str] | None:
    """Return what identifies data: their form, a hash of some of their values, and what a Loader does to them."""
    if batches is None:
        return None
    data = batches.data
    treatment = {name: str(getattr(batches, name)) for name in ("shuffle", "drop_last", "preparation")}
    if type(data) is not ArrayDataset:  # its items may be drawn at random
        return {"kind": type(data).__name__, "length": str(len(data))} | treatment
    places = np.unique(np.linspace(0, len(data) - 1, SAMPLED).astype(np.int64))
    arrays = {"x": data.x, "y": data.y}
    forms = {name: f"{array.dtype} {array.shape}" for name, array in arrays.items()}
    hashes = {name: hashlib.sha256(array[places].tobytes()).hexdigest()[:16] for name, array in arrays.items()}
    return forms | treatment | {f"values of {name}": text for name, text in hashes.items()}


def require_same_data(what: str, before: Mapping[str, str] | None, now: Mapping[str, str] | None) -> None:
    """Raise TrainingError where data are not those that they were, and say what differs."""
    if (before is None) != (now is None):
        raise TrainingError(f"fit after resume: the interrupted run had {'no' if before is None else 'some'} {what}")
    for name in dict.fromkeys([*(before or {}), *(now or {})]):
        was, got = (before or {}).get(name), (now or {}).get(name)
        if was != got:
            values = "" if name.startswith("values") else f": {was}, got {got}"
            raise TrainingError(
                f"fit after resume: the {what} are not those of the interrupted run; they differ in {name}{values}"
            )


def _public(part: Any) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in vars(part).items() if not name.startswith("_"))


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str, np.generic))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is not None and b is not None and np.array_equal(a, b, equal_nan=True)
    return bool(a == b) or (a != a and b != b)


def _shown(values: Sequence[Any]) -> str:
    return " or ".join(dict.fromkeys(map(repr, values)))

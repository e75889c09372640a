"""What every schedule has to do: PyTorch's learning rates and momenta, and a state that goes on."""

import json
import warnings
from typing import Any

import numpy as np

from tests.cases.case import At
from tests.cases.schedule import ScheduleCase
from tests.checks.errors import Check, Errors, assert_within

# PyTorch multiplies its way from step to step, 50 of them: a few hundred roundings of 2^-53, and a factor like
# (1 + cos a) / (1 + cos b) has lost digits near the bottom of a cosine. What should be 0 is its rounding.
BOUND, FLOOR = 1e-12, 1e-3


def lrs(optimizer: Any) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def momenta(optimizer: Any) -> list[float]:
    """Return the momentum of each group, where there is one: β₁ of Adam."""
    groups = optimizer.param_groups
    return [group["betas"][0] if "betas" in group else group["momentum"] for group in groups]


def shown(schedule: Any) -> tuple[Any, ...]:
    """Return all that can be seen of a schedule."""
    return lrs(schedule.optimizer), momenta(schedule.optimizer), schedule.get_last_lr(), schedule.last_epoch


def step_torch(schedule: Any, *metric: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no optimizer stepped
        schedule.step(*metric)


def compared(ours: Any, theirs: Any) -> Errors:
    """Return the largest relative differences, which must be within rounding."""
    pairs = {
        "lr": (lrs(ours.optimizer), lrs(theirs.optimizer)),
        "last lr": (ours.get_last_lr(), theirs.get_last_lr()),
        "momentum": (momenta(ours.optimizer), momenta(theirs.optimizer)),
    }
    errors = {
        name: float(np.max(np.abs(np.subtract(got, want)) / np.maximum(FLOOR, np.abs(want))))
        for name, (got, want) in pairs.items()
    }
    return assert_within(errors, BOUND)


def largest(errors: list[Errors]) -> Errors:
    return {name: max(error[name] for error in errors) for name in errors[0]}


def torch_parity(case: ScheduleCase, at: At) -> Errors:
    """The learning rates and momenta of PyTorch, before each of 50 steps."""
    ours, theirs = case.make(), case.twin()
    errors = []
    for metric in case.metrics(at):
        errors.append(compared(ours, theirs))
        ours.step(*metric)
        step_torch(theirs, *metric)
        if metric:
            assert ours.best == theirs.best
    return largest(errors)


def resume(case: ScheduleCase, at: At) -> None:
    """After every step, the state that was saved, as JSON, has a fresh schedule do the next step exactly so."""
    ours, resumed = case.make(), case.make()
    for metric in case.metrics(at):
        assert shown(resumed) == shown(ours)
        ours.step(*metric)
        resumed.step(*metric)
        assert shown(resumed) == shown(ours)
        state = json.loads(json.dumps(ours.state_dict()))
        resumed = case.make()
        resumed.load_state_dict(state)


def resume_with_optimizer(case: ScheduleCase, at: At) -> None:
    """States of optimizer and schedule go on exactly, whichever is loaded first, with a rate that was set by hand."""
    ours, metrics = case.make(), case.metrics(at)
    for metric in metrics[:5]:
        ours.step(*metric)
    ours.optimizer.param_groups[0]["lr"] *= 0.5
    of_optimizer, of_schedule = ours.optimizer.state_dict(), ours.state_dict()
    optimizer = case.optimizer()
    optimizer.load_state_dict(of_optimizer)
    first = case.make(optimizer)
    first.load_state_dict(of_schedule)
    last = case.make()
    last.load_state_dict(of_schedule)
    last.optimizer.load_state_dict(of_optimizer)
    for metric in metrics[5:]:
        assert shown(first) == shown(last) == shown(ours)
        for schedule in (first, last, ours):
            schedule.step(*metric)


def torchs_state(case: ScheduleCase, at: At) -> Errors:
    """PyTorch's state, loaded after ten steps, goes on as PyTorch does."""
    ours, theirs, metrics = case.make(), case.twin(), case.metrics(at)
    for metric in metrics[:10]:
        step_torch(theirs, *metric)
    ours.load_state_dict(theirs.state_dict())
    errors = []
    for metric in metrics[10:]:
        errors.append(compared(ours, theirs))
        ours.step(*metric)
        step_torch(theirs, *metric)
    return largest(errors)


def last_epoch(case: ScheduleCase, at: At) -> None:
    """A schedule that is made after `last_epoch` is where one is that has taken all steps."""
    if case.cls == "ReduceLROnPlateau":  # has no such argument: its steps depend on the metrics
        return
    ours = case.make()
    for _ in range(11):
        ours.step()
    assert shown(case.make(last_epoch=10)) == shown(ours)


CHECKS: dict[str, Check] = {
    "torch parity": torch_parity,
    "resume": resume,
    "resume with optimizer": resume_with_optimizer,
    "torch's state": torchs_state,
    "last epoch": last_epoch,
}

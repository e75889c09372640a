"""Learning-rate schedules: functions of the number of steps, times what others do to the learning rate."""

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from minigrad.numbers import is_real, is_whole
from minigrad.optim.optimizer import Optimizer
from minigrad.showing import ShownAsCall


class LRScheduler(ShownAsCall, ABC):
    """Sets the learning rate of every group to `_lr(step, base_lr)`, at once and after each `step()`.

    Alone, it depends on the count of steps only. Where somebody else has changed `param_groups[i]["lr"]`, by another
    schedule or by hand, their change is kept as a factor: two schedules over one optimizer multiply.
    Call `step()` after `optimizer.step()`: once an epoch, or once a batch.

    Arguments:
        optimizer: the optimizer whose learning rates are set; those that it has now are the base ones.
        last_epoch: the step to continue after; -1 begins.
    """

    last_epoch: int

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        require_optimizer(self, optimizer)
        self.optimizer = optimizer
        # As in PyTorch, a second schedule over one optimizer has the same base as the first.
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch + 1
        self._apply(self.base_lrs if last_epoch == -1 else self.get_last_lr())

    @abstractmethod
    def _lr(self, step: int, base_lr: float) -> float:
        """Return the learning rate after `step` steps."""

    def _lrs(self, step: int) -> list[float]:
        """Return the learning rates of the groups after `step` steps, if nobody else changes them."""
        return [self._lr(step, base_lr) for base_lr in self.base_lrs]

    def _apply(self, before: Sequence[float]) -> None:
        """Set the learning rates, where this schedule had set those `before`; from 0 nothing can be told."""
        lrs = zip(self._lrs(self.last_epoch), self.get_last_lr(), before, strict=False)
        set_lrs(self, self.optimizer, [new * (lr / old) if old else new for new, lr, old in lrs])

    def step(self) -> None:
        """Count one step and set the learning rates."""
        before = self._lrs(self.last_epoch)
        self.last_epoch += 1
        self._apply(before)

    def get_last_lr(self) -> list[float]:
        """Return the learning rates of the groups."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the count, the base learning rates and the current ones."""
        return {
            "last_epoch": self.last_epoch,
            "base_lrs": list(self.base_lrs),
            "_last_lr": self.get_last_lr(),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict()` gave (or PyTorch's), and set the learning rates so.

        Raises:
            ValueError: for what is missing, or is not as `state_dict()` has it. Nothing has been changed then.
        """
        self._check_state(state_dict, "last_epoch", "_last_lr")
        self._load(state_dict)
        self._apply(self.get_last_lr())
        set_lrs(self, self.optimizer, state_dict["_last_lr"])

    def _check_state(self, state_dict: Mapping[str, Any], *keys: str) -> None:
        """Raise for a state that cannot be loaded."""
        require_state(self, state_dict, len(self.optimizer.param_groups), *keys)
        step = int(state_dict["last_epoch"])
        for lr in state_dict.get("base_lrs", self.base_lrs):
            self._lr(step, lr)

    def _load(self, state_dict: Mapping[str, Any]) -> None:
        # PyTorch's SequentialLR keeps no base learning rates: its schedules have their own.
        self.last_epoch = int(state_dict["last_epoch"])
        self.base_lrs = list(state_dict.get("base_lrs", self.base_lrs))


class StepLR(LRScheduler):
    """lr = base · gamma^⌊t / step_size⌋: times gamma every step_size steps.

    Arguments:
        optimizer: the optimizer whose learning rates are set.
        step_size: steps between two changes.
        gamma: the factor.
        last_epoch: the step to continue after; -1 begins.
    """

    step_size: int
    gamma: float

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        require(self, step_size >= 1, "step_size >= 1", step_size)
        require(self, gamma >= 0, "gamma >= 0", gamma)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _lr(self, step: int, base_lr: float) -> float:
        return base_lr * self.gamma ** (step // self.step_size)


class MultiStepLR(LRScheduler):
    """lr = base · gamma^(number of milestones that t has reached).

    Arguments:
        optimizer: the optimizer whose learning rates are set.
        milestones: the steps at which to change; one that comes twice counts twice.
        gamma: the factor.
        last_epoch: the step to continue after; -1 begins.
    """

    milestones: list[int]
    gamma: float

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        require(self, gamma >= 0, "gamma >= 0", gamma)
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _lr(self, step: int, base_lr: float) -> float:
        return base_lr * self.gamma ** bisect_right(self.milestones, step)


class ExponentialLR(LRScheduler):
    """lr = base · gamma^t.

    Arguments:
        optimizer: the optimizer whose learning rates are set.
        gamma: the factor of each step.
        last_epoch: the step to continue after; -1 begins.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        require(self, gamma >= 0, "gamma >= 0", gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _lr(self, step: int, base_lr: float) -> float:
        return base_lr * self.gamma**step


class LinearLR(LRScheduler):
    """lr = base · (a factor that goes from start_factor to end_factor in total_iters steps, and stays): a warm-up.

    Arguments:
        optimizer: the optimizer whose learning rates are set.
        start_factor: the factor at first, in (0, 1].
        end_factor: the factor in the end, in [0, 1].
        total_iters: steps from one to the other.
        last_epoch: the step to continue after; -1 begins.
    """

    start_factor: float
    end_factor: float
    total_iters: int

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        require(self, 0 < start_factor <= 1, "start_factor in (0, 1]", start_factor)
        require(self, 0 <= end_factor <= 1, "end_factor in [0, 1]", end_factor)
        require(self, total_iters >= 1, "total_iters >= 1", total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _lr(self, step: int, base_lr: float) -> float:
        done = min(step, self.total_iters) / self.total_iters
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * done)


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (base - eta_min) · (1 + cos(π t / T_max)) / 2. After T_max it rises again.

    Arguments:
        optimizer: the optimizer whose learning rates are set.
        T_max: steps down to eta_min.
        eta_min: the lowest learning rate.
        last_epoch: the step to continue after; -1 begins.
    """

    T_max: int
    eta_min: float

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        require(self, T_max >= 1, "T_max >= 1", T_max)
        require(self, eta_min >= 0, "eta_min >= 0", eta_min)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _lr(self, step: int, base_lr: float) -> float:
        return self.eta_min + (base_lr - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2


class SequentialLR(LRScheduler):
    """One schedule after another; each begins with its own step 0 at its milestone.

    Arguments:
        optimizer: the optimizer whose learning rates are set.
        schedulers: schedules over this optimizer.
        milestones: the steps at which the second, third, ... of them begin.
        last_epoch: the step to continue after; -1 begins.
    """

    schedulers: list[LRScheduler]
    milestones: list[int]

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        for scheduler in schedulers:
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"SequentialLR: want schedules of steps, got {type(scheduler).__name__}")
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: {type(scheduler).__name__} is over another optimizer")
        require(self, len(schedulers) >= 1, "at least one schedule", schedulers)
        require(self, len(milestones) == len(schedulers) - 1, f"{len(schedulers) - 1} milestones", milestones)
        require(self, list(milestones) == sorted(milestones), "milestones in order", milestones)
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        set_lrs(self, optimizer, [group["initial_lr"] for group in optimizer.param_groups])  # undo what they set
        super().__init__(optimizer, last_epoch)

    def _at(self, step: int) -> tuple[LRScheduler, int]:
        i = bisect_right(self.milestones, step)
        return self.schedulers[i], step - [0, *self.milestones][i]

    def _lr(self, step: int, base_lr: float) -> float:
        scheduler, own_step = self._at(step)
        return scheduler._lr(own_step, base_lr)

    def _lrs(self, step: int) -> list[float]:
        # Of the schedule itself, not by its `_lr`: it knows its base learning rates.
        scheduler, own_step = self._at(step)
        return scheduler._lrs(own_step)

    def _apply(self, before: Sequence[float]) -> None:
        # By the schedule itself: it may set momentum too.
        scheduler, own_step = self._at(self.last_epoch)
        scheduler.last_epoch = own_step
        scheduler._apply(before)

    def state_dict(self) -> dict[str, Any]:
        """Return the count, the learning rates, and the states of the schedules."""
        return super().state_dict() | {"_schedulers": [schedule.state_dict() for schedule in self.schedulers]}

    def _check_state(self, state_dict: Mapping[str, Any], *keys: str) -> None:
        states: Any = state_dict.get("_schedulers") if isinstance(state_dict, Mapping) else None
        want = f"the states of {len(self.schedulers)} schedules as _schedulers"
        require(self, isinstance(states, (list, tuple)) and len(states) == len(self.schedulers), want, states)
        super()._check_state(state_dict, *keys)
        for scheduler, state in zip(self.schedulers, states, strict=True):
            scheduler._check_state(state, "last_epoch")

    def _load(self, state_dict: Mapping[str, Any]) -> None:
        super()._load(state_dict)
        for scheduler, state in zip(self.schedulers, state_dict["_schedulers"], strict=True):
            scheduler._load(state)


def require(schedule: object, fits: bool, want: str, got: object) -> None:
    """Raise where an argument does not fit."""
    if not fits:
        raise ValueError(f"{type(schedule).__name__}: want {want}, got {got}")


def require_state(schedule: object, state: Mapping[str, Any], groups: int, *keys: str) -> None:
    """Raise for a state without these keys, whose counts are no whole numbers, or whose rates are not one a group."""
    require(schedule, isinstance(state, Mapping) and set(keys) <= set(state), f"a state with {', '.join(keys)}", state)
    for name in ("last_epoch", "num_bad_epochs", "cooldown_counter"):
        count = state.get(name, 0)
        least = -1 if name == "last_epoch" else 0  # PyTorch's of a part of a SequentialLR that has not begun
        require(schedule, is_whole(count) and bool(count >= least), f"{name} of at least {least}", count)
    for name in ("base_lrs", "_last_lr"):
        lrs = state.get(name, [0.0] * groups)
        fits = isinstance(lrs, (list, tuple)) and all(map(is_real, lrs))
        require(schedule, fits, f"a list of numbers as {name}", lrs)
        require(schedule, len(lrs) == groups, f"the {len(lrs)} groups that it was made for", groups)


def require_optimizer(schedule: object, optimizer: object) -> None:
    """Raise for something that is not an optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(schedule).__name__}: want an optimizer, got {type(optimizer).__name__}")


def for_groups(schedule: object, optimizer: Optimizer, name: str, value: float | Sequence[float]) -> list[float]:
    """Return one value for each group, from one for all or from a list of them."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, Sequence) else [value] * groups
    require(schedule, len(values) == groups, f"{groups} values of {name}, one for each group", len(values))
    return values


def set_lrs(schedule: object, optimizer: Optimizer, lrs: Sequence[float]) -> None:
    """Write the learning rates into the optimizer's groups."""
    groups = optimizer.param_groups
    require(schedule, len(groups) == len(lrs), f"the {len(lrs)} groups that it was made for", len(groups))
    for group, lr in zip(groups, lrs, strict=True):
        group["lr"] = lr

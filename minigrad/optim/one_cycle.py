"""OneCycleLR: up, down, and down to nothing; momentum the other way."""

import math
from collections.abc import Sequence
from typing import Literal

from minigrad.optim.optimizer import Optimizer
from minigrad.optim.schedule import LRScheduler, for_groups, require, require_optimizer


class OneCycleLR(LRScheduler):
    """One cycle (Smith and Topin, 2018): lr from max_lr / div_factor up to max_lr, then down to almost nothing.

    With T = total_steps, lr rises until step pct_start · T - 1 and falls until step T - 1; with three_phase it is
    back at its initial value at step 2 · pct_start · T - 2 already. Momentum (β₁ of Adam) goes the other way. Call
    `step()` after each batch.

    Arguments:
        optimizer: the optimizer whose learning rates are set.
        max_lr: the highest learning rate, for all groups or a list for each.
        total_steps: T. Or instead:
        epochs, steps_per_epoch: whose product is T.
        pct_start: the part of the steps that go up, in [0, 1].
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether momentum is set too.
        base_momentum: the lowest momentum, for all groups or a list for each.
        max_momentum: the highest momentum, in the same way.
        div_factor: max_lr over the initial learning rate.
        final_div_factor: the initial learning rate over the last one.
        three_phase: whether to go down by the way that led up, and then further.
        last_epoch: the step to continue after; -1 begins.

    Raises:
        ValueError: for an argument out of its range, momentum where the optimizer has none, and a step beyond T.
    """

    total_steps: int
    div_factor: float
    final_div_factor: float
    three_phase: bool
    max_momentums: list[float]
    base_momentums: list[float]

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        require_optimizer(self, optimizer)
        if total_steps is None and epochs is not None and steps_per_epoch is not None:
            total_steps = epochs * steps_per_epoch
        if not isinstance(total_steps, int) or total_steps < 1:
            raise ValueError(
                "OneCycleLR: want a positive number total_steps, or epochs and steps_per_epoch; "
                f"got {total_steps}, {epochs} and {steps_per_epoch}"
            )
        require(self, 0 <= pct_start <= 1, "pct_start in [0, 1]", pct_start)
        require(self, anneal_strategy in ("cos", "linear"), "anneal_strategy 'cos' or 'linear'", anneal_strategy)
        require(self, div_factor > 0 and final_div_factor > 0, "factors > 0", (div_factor, final_div_factor))
        has_momentum = {"momentum", "betas"} & set(optimizer.defaults)
        require(self, bool(has_momentum) or not cycle_momentum, "an optimizer with momentum", type(optimizer).__name__)
        self.total_steps, self.anneal_strategy = total_steps, anneal_strategy
        self.div_factor, self.final_div_factor, self.three_phase = div_factor, final_div_factor, three_phase
        self.cycle_momentum = cycle_momentum
        self.max_momentums = for_groups(self, optimizer, "max_momentum", max_momentum)
        self.base_momentums = for_groups(self, optimizer, "base_momentum", base_momentum)
        rise = pct_start * total_steps
        self._ends = [rise - 1, 2 * rise - 2, total_steps - 1] if three_phase else [rise - 1, total_steps - 1]
        lrs = for_groups(self, optimizer, "max_lr", max_lr)
        for group, lr in zip(optimizer.param_groups, lrs, strict=True):
            group["initial_lr"] = group["lr"] = lr / div_factor
        super().__init__(optimizer, last_epoch)

    def _lr(self, step: int, base_lr: float) -> float:
        top, last = base_lr * self.div_factor, base_lr / self.final_div_factor
        return self._between(step, [base_lr, top, base_lr, last] if self.three_phase else [base_lr, top, last])

    def _momentum(self, step: int, low: float, high: float) -> float:
        return self._between(step, [high, low, high, high])

    def _between(self, step: int, levels: list[float]) -> float:
        """Return the value at `step` on the way through the levels, each reached at the end of a phase."""
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: want at most {self.total_steps} steps, got step {step}")
        last = len(self._ends) - 1
        phase = next((i for i, end in enumerate(self._ends) if step <= end), last)
        start, end = [0.0, *self._ends][phase : phase + 2]
        # Beyond the last phase (step T comes after the last update), PyTorch's linear way goes below zero.
        done = min((step - start) / (end - start), 1.0) if end > start else 1.0
        if self.anneal_strategy == "cos":
            done = (1 - math.cos(math.pi * done)) / 2
        return levels[phase] + (levels[phase + 1] - levels[phase]) * done

    def _apply(self, before: Sequence[float]) -> None:
        super()._apply(before)
        if not self.cycle_momentum:
            return
        bounds = zip(self.base_momentums, self.max_momentums, strict=True)
        for group, (low, high) in zip(self.optimizer.param_groups, bounds, strict=True):
            momentum = self._momentum(self.last_epoch, low, high)
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum

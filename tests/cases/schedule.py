"""Cases of the schedules: every class with several options, and what Hypothesis draws for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from minigrad import optim
from minigrad.nn.parameter import Parameter
from tests.cases.case import At
from tests.cases.drawn import numbers

STEPS = 50


@dataclass(frozen=True)
class ScheduleCase:
    """One schedule with one set of options, over an optimizer of two groups."""

    cls: str
    options: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple["ScheduleCase", ...] = ()  # what a SequentialLR is made of
    metric: str = ""  # what the metric does that ReduceLROnPlateau watches
    rule: str = "SGD"
    lrs: tuple[float, float] = (0.1, 0.003)

    @property
    def name(self) -> str:
        return f"{self._what} over {self.rule}"

    @property
    def _what(self) -> str:
        options = [f"{key}={value}" for key, value in self.options.items()]
        parts = [part._what for part in self.parts]
        return " ".join(filter(None, [self.cls, *options, *parts, self.metric]))

    def optimizer(self) -> optim.Optimizer:
        """Return a new optimizer."""
        groups = [{"params": [Parameter(1.0)], "lr": lr} for lr in self.lrs]
        return getattr(optim, self.rule)(groups)

    def make(self, optimizer: optim.Optimizer | None = None, **options: Any) -> Any:
        """Return the schedule, over a new optimizer if none is given."""
        return self._built(optim, optimizer or self.optimizer(), **options)

    def twin(self, optimizer: torch.optim.Optimizer | None = None) -> Any:
        """Return PyTorch's schedule, over a new optimizer of PyTorch's if none is given."""
        groups = [{"params": [torch.zeros(1)], "lr": lr} for lr in self.lrs]
        return self._built(torch.optim.lr_scheduler, optimizer or getattr(torch.optim, self.rule)(groups))

    def _built(self, library: Any, optimizer: Any, **options: Any) -> Any:
        if self.parts:
            # The last one first: a OneCycleLR sets what the others begin with.
            options["schedulers"] = [part._built(library, optimizer) for part in reversed(self.parts)][::-1]
        return getattr(library, self.cls)(optimizer, **self.options, **options)

    def metrics(self, at: At) -> list[tuple[float, ...]]:
        """Return the arguments of each step."""
        if not self.metric:
            return [()] * STEPS
        t, noise = np.arange(STEPS), at.rng(0).standard_normal(STEPS)
        values = {
            "falls": np.exp(-t / 10) + 0.01 * noise,
            "rises": 1 - np.exp(-t / 10),
            "is noise": noise,
            "is NaN at times": np.where(t % 3, noise, np.nan),
        }
        return [(float(value),) for value in values[self.metric]]


METRICS = ("falls", "rises", "is noise", "is NaN at times")
PLATEAUS: list[dict[str, Any]] = [
    {},
    {"patience": 2},
    {"patience": 0, "factor": 0.5, "threshold": 0.05, "cooldown": 3},
    {"patience": 1, "mode": "max", "threshold": 0.01, "min_lr": 1e-3},
    {"patience": 1, "mode": "max", "threshold": 0.1, "threshold_mode": "abs", "min_lr": [1e-3, 1e-4]},
    {"patience": 1, "threshold": 0.1, "threshold_mode": "abs", "factor": 0.7, "eps": 1e-3},
]
WARM = ScheduleCase("LinearLR", {"start_factor": 0.1, "total_iters": 6})
FLAT = ScheduleCase("StepLR", {"step_size": 3})
FALL = ScheduleCase("ExponentialLR", {"gamma": 0.9})
COSINE = ScheduleCase("CosineAnnealingLR", {"T_max": 20, "eta_min": 1e-3})
CYCLE = ScheduleCase("OneCycleLR", {"max_lr": 0.5, "total_steps": 40})

# Each over SGD and over Adam, whose momentum is called otherwise.
SCHEDULES = [
    replace(case, rule=rule)
    for case in [
        ScheduleCase("StepLR", {"step_size": 1}),
        ScheduleCase("StepLR", {"step_size": 7, "gamma": 0.5}),
        ScheduleCase("MultiStepLR", {"milestones": [3, 10, 10, 31]}),
        ScheduleCase("MultiStepLR", {"milestones": [20, 5], "gamma": 0.3}),
        ScheduleCase("ExponentialLR", {"gamma": 0.9}),
        ScheduleCase("ExponentialLR", {"gamma": 1.0}),
        ScheduleCase("LinearLR", {}),
        ScheduleCase("LinearLR", {"start_factor": 0.05, "end_factor": 0.7, "total_iters": 33}),
        ScheduleCase("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 60}),
        ScheduleCase("CosineAnnealingLR", {"T_max": 50}),
        ScheduleCase("CosineAnnealingLR", {"T_max": 13, "eta_min": 0.001}),
        ScheduleCase("CosineAnnealingLR", {"T_max": 7}),
        ScheduleCase("OneCycleLR", {"max_lr": 0.2, "total_steps": 50}),
        ScheduleCase(
            "OneCycleLR", {"max_lr": [0.2, 0.5], "epochs": 11, "steps_per_epoch": 5, "anneal_strategy": "linear"}
        ),
        ScheduleCase("OneCycleLR", {"max_lr": 0.2, "total_steps": 51, "three_phase": True, "pct_start": 0.4}),
        ScheduleCase(
            "OneCycleLR", {"max_lr": 0.2, "total_steps": 50, "three_phase": True, "anneal_strategy": "linear"}
        ),
        ScheduleCase(
            "OneCycleLR", {"max_lr": 1, "total_steps": 60, "div_factor": 10, "final_div_factor": 5, "pct_start": 0.0}
        ),
        ScheduleCase(
            "OneCycleLR", {"max_lr": 1, "total_steps": 60, "base_momentum": [0.5, 0.6], "max_momentum": [0.7, 0.99]}
        ),
        ScheduleCase("OneCycleLR", {"max_lr": 1, "total_steps": 60, "cycle_momentum": False, "pct_start": 1.0}),
        ScheduleCase("SequentialLR", {"milestones": [5, 12]}, (WARM, FLAT, COSINE)),
        ScheduleCase("SequentialLR", {"milestones": [10]}, (FALL, CYCLE)),
        ScheduleCase("SequentialLR", {"milestones": [5]}, (FLAT, WARM)),
        *(ScheduleCase("ReduceLROnPlateau", options, metric=metric) for options in PLATEAUS for metric in METRICS),
    ]
    for rule in ("SGD", "Adam")
]

# ---------------------------------------------------------------------------------------------------------- drawing

Drawn = st.SearchStrategy[dict[str, Any]]


def options(*needed: str, **strategies: st.SearchStrategy[Any]) -> Drawn:
    """Draw all options that are needed, and some of the others."""
    optional = {name: drawn for name, drawn in strategies.items() if name not in needed}
    return st.fixed_dictionaries({name: strategies[name] for name in needed}, optional=optional)


def each(values: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    """One value for all groups, or one for each."""
    return values | st.lists(values, min_size=2, max_size=2)


# The last step is not reached: PyTorch's linear way goes below zero there.
TOTAL = st.integers(STEPS + 1, 80).map(lambda steps: {"total_steps": steps}) | st.tuples(
    st.integers(8, 12), st.integers(8, 12)
).map(lambda sizes: dict(zip(("epochs", "steps_per_epoch"), sizes, strict=True)))


@st.composite
def one_cycle(draw: Any) -> dict[str, Any]:
    total, three_phase = draw(TOTAL), draw(st.booleans())
    # Three phases follow each other up to a half. Where the first has one step, PyTorch divides by its length, 0.
    steps = total.get("total_steps") or total["epochs"] * total["steps_per_epoch"]
    start = draw(numbers(0, 0.5 if three_phase else 1).filter(lambda start: abs(start * steps - 1) > 1e-9))
    rest = options(
        "max_lr",
        max_lr=each(numbers(0.01, 1)),
        anneal_strategy=st.sampled_from(["cos", "linear"]),
        cycle_momentum=st.booleans(),
        base_momentum=each(numbers(0, 0.9)),
        max_momentum=each(numbers(0.5, 0.99)),
        div_factor=numbers(1, 30),
        final_div_factor=numbers(1, 1e4),
    )
    return {**total, **draw(rest), "pct_start": start, "three_phase": three_phase}


FACTOR = numbers(0, 1.2)
OPTIONS: dict[str, Drawn] = {
    "StepLR": options("step_size", step_size=st.integers(1, 20), gamma=FACTOR),
    "MultiStepLR": options("milestones", milestones=st.lists(st.integers(0, STEPS), max_size=5), gamma=FACTOR),
    "ExponentialLR": options("gamma", gamma=FACTOR),
    "LinearLR": options(start_factor=numbers(0.01, 1), end_factor=numbers(0, 1), total_iters=st.integers(1, 60)),
    # On its way up again PyTorch multiplies the rounding of eta_min by (2 T_max / π)²: it must not be far above lr.
    "CosineAnnealingLR": options("T_max", T_max=st.integers(1, 60), eta_min=numbers(0, 0.01)),
    "OneCycleLR": one_cycle(),
    "ReduceLROnPlateau": options(
        mode=st.sampled_from(["min", "max"]),
        factor=numbers(0, 0.9),
        patience=st.integers(0, 5),
        threshold=numbers(0, 0.5),
        threshold_mode=st.sampled_from(["rel", "abs"]),
        cooldown=st.integers(0, 4),
        min_lr=each(numbers(0, 0.01)),
        eps=st.sampled_from([0.0, 1e-8, 1e-3]),
    ),
}
FIRST = ("StepLR", "MultiStepLR", "ExponentialLR", "LinearLR", "CosineAnnealingLR")
RULES = st.sampled_from(["SGD", "Adam", "AdamW", "RMSprop"])
RATES = st.tuples(numbers(0.001, 1), numbers(0.001, 1))


def part(*classes: str) -> st.SearchStrategy[ScheduleCase]:
    return st.sampled_from(classes).flatmap(lambda cls: st.builds(ScheduleCase, st.just(cls), OPTIONS[cls]))


@st.composite
def sequential(draw: Any) -> ScheduleCase:
    parts = [*draw(st.lists(part(*FIRST), max_size=3)), draw(part(*FIRST, "OneCycleLR"))]
    milestones = st.lists(st.integers(1, STEPS - 5), min_size=len(parts) - 1, max_size=len(parts) - 1, unique=True)
    starts = {"milestones": sorted(draw(milestones))}
    return ScheduleCase("SequentialLR", starts, tuple(parts), rule=draw(RULES), lrs=draw(RATES))


DRAWN: dict[str, st.SearchStrategy[ScheduleCase]] = {
    cls: st.builds(ScheduleCase, st.just(cls), drawn, rule=RULES, lrs=RATES) for cls, drawn in OPTIONS.items()
} | {
    "ReduceLROnPlateau": st.builds(
        ScheduleCase,
        st.just("ReduceLROnPlateau"),
        OPTIONS["ReduceLROnPlateau"],
        metric=st.sampled_from(METRICS),
        rule=RULES,
        lrs=RATES,
    ),
    "SequentialLR": sequential(),
}

"""Combinations, edges and refusals of the schedules. The battery is in test_battery.py."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import optim
from minigrad.nn.parameter import Parameter
from tests.cases.schedule import SCHEDULES, STEPS, ScheduleCase
from tests.checks.schedule import lrs, momenta, step_torch

SIMPLE = [case for case in SCHEDULES if case.rule == "SGD" and not case.parts]


def two_groups(rule="SGD"):
    return ScheduleCase("", rule=rule).optimizer()


def test_sequences_may_be_nested():
    case = next(case for case in SCHEDULES if case.cls == "SequentialLR")
    warm, flat, cosine = case.parts
    inner = ScheduleCase("SequentialLR", {"milestones": case.options["milestones"][:1]}, (warm, flat))
    nested = replace(case, options={"milestones": case.options["milestones"][1:]}, parts=(inner, cosine)).make()
    plain = case.make()
    for i in range(STEPS):
        assert lrs(nested.optimizer) == lrs(plain.optimizer) == [plain._lr(i, lr) for lr in case.lrs]
        nested.step()
        plain.step()


OVER_ONE = [
    ScheduleCase("StepLR", {"step_size": 7, "gamma": 0.5}),
    ScheduleCase("MultiStepLR", {"milestones": [3, 10, 10, 31]}),
    ScheduleCase("ExponentialLR", {"gamma": 0.9}),
    ScheduleCase("LinearLR", {"start_factor": 0.2, "total_iters": 15}),
    ScheduleCase("CosineAnnealingLR", {"T_max": 13}),
    ScheduleCase("ReduceLROnPlateau", {"patience": 3, "eps": 0}),
]


@pytest.mark.parametrize("pair", list(permutations(OVER_ONE, 2)), ids=lambda pair: "-".join(case.cls for case in pair))
def test_two_schedules_multiply_as_in_torch(pair):
    first, second = pair
    ours, theirs = [first.make()], [first.twin()]
    ours.append(second.make(ours[0].optimizer))
    theirs.append(second.twin(theirs[0].optimizer))
    for _ in range(40):
        # PyTorch multiplies its way from step to step: what should be 0 is its rounding, hence the absolute part.
        np.testing.assert_allclose(lrs(ours[0].optimizer), lrs(theirs[0].optimizer), rtol=1e-12, atol=1e-16)
        for case, schedule, twin in zip(pair, ours, theirs, strict=True):
            metric = [1.0] * (case.cls == "ReduceLROnPlateau")
            schedule.step(*metric)
            step_torch(twin, *metric)


def test_a_schedule_keeps_what_was_changed_by_hand():
    sgd = optim.SGD([Parameter(1.0)], lr=1.0)
    schedule = optim.SequentialLR(
        sgd, [optim.LinearLR(sgd, start_factor=0.5, total_iters=2), optim.StepLR(sgd, 2, gamma=0.5)], [2]
    )
    schedule.step()
    assert schedule.get_last_lr() == [0.75]
    sgd.param_groups[0]["lr"] *= 4
    rates = []
    for _ in range(5):
        schedule.step()
        rates += schedule.get_last_lr()
    assert rates == [4, 4, 2, 2, 1]


def test_the_next_step_takes_the_learning_rate():
    w = Parameter([8.0])
    sgd = optim.SGD([w], lr=1.0)
    w.grad += 1
    schedule = optim.StepLR(sgd, step_size=1, gamma=0.5)
    sgd.step()
    schedule.step()
    sgd.step()
    assert w.data == 6.5
    sgd.param_groups[0]["lr"] = 2
    sgd.step()
    assert w.data == 4.5


def test_a_phase_of_no_length_is_at_its_end():
    """PyTorch divides by zero here: one warm-up step of ten."""
    cycle = optim.OneCycleLR(two_groups(), max_lr=0.5, total_steps=10, pct_start=0.1)
    assert cycle.get_last_lr() == [0.5, 0.5]


@pytest.mark.parametrize("case", [case for case in SIMPLE if not case.metric], ids=lambda case: case.name)
@given(base=st.floats(0, 1e3), n=st.integers(0, STEPS))
def test_learning_rates_lie_between_zero_and_the_highest(case, base, n):
    schedule, options = case.make(), case.options
    highest = base * options.get("div_factor", 25) if case.cls == "OneCycleLR" else max(base, options.get("eta_min", 0))
    assert 0 <= schedule._lr(n, base) <= highest * (1 + 1e-12)


@given(low=st.floats(0, 1), high=st.floats(0, 1), n=st.integers(0, 50), three_phase=st.booleans())
def test_momentum_stays_between_its_bounds(low, high, n, three_phase):
    low, high = sorted([low, high])
    cycle = optim.OneCycleLR(
        two_groups(), 0.1, total_steps=51, base_momentum=low, max_momentum=high, three_phase=three_phase
    )
    for _ in range(n):
        cycle.step()
    assert all(low - 1e-12 <= momentum <= high + 1e-12 for momentum in momenta(cycle.optimizer))


SGD = two_groups()
ADAGRAD = two_groups("Adagrad")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("StepLR", (SGD, 0), "want step_size >= 1, got 0"),
        ("StepLR", (SGD, 3, -0.1), "want gamma >= 0, got -0.1"),
        ("MultiStepLR", (SGD, [1], -1), "want gamma >= 0, got -1"),
        ("ExponentialLR", (SGD, -0.5), "want gamma >= 0, got -0.5"),
        ("LinearLR", (SGD, 0), r"want start_factor in \(0, 1\], got 0"),
        ("LinearLR", (SGD, 0.1, 2), r"want end_factor in \[0, 1\], got 2"),
        ("LinearLR", (SGD, 0.1, 1, 0), "want total_iters >= 1, got 0"),
        ("CosineAnnealingLR", (SGD, 0), "want T_max >= 1, got 0"),
        ("CosineAnnealingLR", (SGD, 5, -1), "want eta_min >= 0, got -1"),
        ("OneCycleLR", (SGD, 0.1), "want a positive number total_steps, or epochs .*got None, None and None"),
        ("OneCycleLR", (SGD, 0.1, 0), "got 0, None and None"),
        ("OneCycleLR", (SGD, 0.1, 2.5), "got 2.5, None and None"),
        ("OneCycleLR", (SGD, 0.1, None, 5), "got None, 5 and None"),
        ("OneCycleLR", (SGD, [0.1], 10), "want 2 values of max_lr, one for each group, got 1"),
        ("OneCycleLR", (SGD, 0.1, 10, None, None, 1.5), r"want pct_start in \[0, 1\], got 1.5"),
        ("OneCycleLR", (SGD, 0.1, 10, None, None, 0.3, "log"), "want anneal_strategy 'cos' or 'linear', got log"),
        ("OneCycleLR", (SGD, 0.1, 10, None, None, 0.3, "cos", False, 0, 0, 0), r"want factors > 0, got \(0"),
        ("OneCycleLR", (ADAGRAD, 0.1, 10), "want an optimizer with momentum, got Adagrad"),
        ("ReduceLROnPlateau", (SGD, "least"), "want mode 'min' or 'max', got least"),
        ("ReduceLROnPlateau", (SGD, "min", 1.0), r"want factor in \[0, 1\), got 1.0"),
        ("ReduceLROnPlateau", (SGD, "min", 0.1, 1, 0.1, "no"), "want threshold_mode 'rel' or 'abs', got no"),
        ("ReduceLROnPlateau", (SGD, "min", 0.1, 1, 0.1, "abs", 0, [1, 2, 3]), "want 2 values of min_lr, .*got 3"),
        ("SequentialLR", (SGD, [], []), r"want at least one schedule, got \[\]"),
        ("SequentialLR", (SGD, [optim.StepLR(SGD, 1)], [1]), r"want 0 milestones, got \[1\]"),
        ("SequentialLR", (SGD, [optim.StepLR(ADAGRAD, 1)], []), "StepLR is over another optimizer"),
        ("SequentialLR", (SGD, [optim.StepLR(SGD, 1)] * 3, [5, 2]), r"want milestones in order, got \[5, 2\]"),
    ],
)
def test_bad_arguments(name, arguments, message):
    with pytest.raises(ValueError, match=f"^{name}: .*{message}"):
        getattr(optim, name)(*arguments)


@pytest.mark.parametrize("case", SIMPLE, ids=lambda case: case.name)
def test_wants_an_optimizer(case):
    with pytest.raises(TypeError, match=f"^{case.cls}: want an optimizer, got list"):
        getattr(optim, case.cls)([], **case.options)


def test_sequential_wants_schedules_of_steps():
    with pytest.raises(TypeError, match="SequentialLR: want schedules of steps, got ReduceLROnPlateau"):
        optim.SequentialLR(SGD, [optim.ReduceLROnPlateau(SGD)], [])


@pytest.mark.parametrize("anneal_strategy", ["cos", "linear"])
def test_one_cycle_ends(anneal_strategy):
    cycle = optim.OneCycleLR(two_groups(), max_lr=0.5, total_steps=3, anneal_strategy=anneal_strategy)
    for _ in range(3):
        cycle.step()
    np.testing.assert_allclose(cycle.get_last_lr(), 0.5 / 25 / 1e4)  # PyTorch's linear one is negative here
    with pytest.raises(ValueError, match="OneCycleLR: want at most 3 steps, got step 4"):
        cycle.step()


def test_a_group_that_came_later_is_named():
    optimizer = two_groups()
    schedule = optim.StepLR(optimizer, 3)
    optimizer.add_param_group({"params": [Parameter(1.0)]})
    with pytest.raises(ValueError, match="StepLR: want the 2 groups that it was made for, got 3"):
        schedule.step()

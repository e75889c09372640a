"""Every schedule against PyTorch's, over 50 steps, two groups, and several sets of options."""

import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad import optim
from minigrad.nn.parameter import Parameter

LRS = [0.1, 0.003]
STEPS = 50

CASES = [
    ("StepLR", {"step_size": 1}),
    ("StepLR", {"step_size": 7, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [3, 10, 10, 31]}),
    ("MultiStepLR", {"milestones": [20, 5], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("ExponentialLR", {"gamma": 1.0}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.05, "end_factor": 0.7, "total_iters": 33}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 60}),
    ("CosineAnnealingLR", {"T_max": 50}),
    ("CosineAnnealingLR", {"T_max": 13, "eta_min": 0.001}),
    ("CosineAnnealingLR", {"T_max": 7}),
    ("OneCycleLR", {"max_lr": 0.2, "total_steps": 50}),
    ("OneCycleLR", {"max_lr": [0.2, 0.5], "epochs": 11, "steps_per_epoch": 5, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.2, "total_steps": 51, "three_phase": True, "pct_start": 0.4}),
    ("OneCycleLR", {"max_lr": 0.2, "total_steps": 50, "three_phase": True, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 1, "total_steps": 60, "div_factor": 10, "final_div_factor": 5, "pct_start": 0.0}),
    ("OneCycleLR", {"max_lr": 1, "total_steps": 60, "base_momentum": [0.5, 0.6], "max_momentum": [0.7, 0.99]}),
    ("OneCycleLR", {"max_lr": 1, "total_steps": 60, "cycle_momentum": False, "pct_start": 1.0}),
]
cases = pytest.mark.parametrize(("name", "options"), CASES)


def optimizers(rule="SGD", lrs=LRS):
    ours = getattr(optim, rule)([{"params": [Parameter(1.0)], "lr": lr} for lr in lrs])
    theirs = getattr(torch.optim, rule)([{"params": [torch.zeros(1)], "lr": lr} for lr in lrs])
    return ours, theirs


def schedules(name, options, rule="SGD"):
    ours, theirs = optimizers(rule)
    scheduler = getattr(torch.optim.lr_scheduler, name)
    return getattr(optim, name)(ours, **options), scheduler(theirs, **options)


def lrs(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


def momenta(optimizer):
    return [group["betas"][0] if "betas" in group else group["momentum"] for group in optimizer.param_groups]


def step(ours, theirs, *metric):
    ours.step(*metric)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no optimizer stepped
        theirs.step(*metric)


def assert_same(ours, theirs):
    # PyTorch multiplies its way from step to step: what should be 0 is its rounding, hence the absolute part.
    np.testing.assert_allclose(lrs(ours.optimizer), lrs(theirs.optimizer), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ours.get_last_lr(), theirs.get_last_lr(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(momenta(ours.optimizer), momenta(theirs.optimizer), rtol=1e-12)


@cases
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_equals_torch(name, options, rule):
    ours, theirs = schedules(name, options, rule)
    for _ in range(STEPS):
        assert_same(ours, theirs)
        step(ours, theirs)


@cases
def test_state_goes_on_identically(name, options):
    ours, _ = schedules(name, options)
    twin, _ = schedules(name, options)
    for _ in range(STEPS // 3):
        ours.step()
    state = json.loads(json.dumps(ours.state_dict()))
    twin.load_state_dict(state)
    for _ in range(STEPS // 3):
        assert (lrs(ours.optimizer), ours.last_epoch) == (lrs(twin.optimizer), twin.last_epoch)
        assert momenta(ours.optimizer) == momenta(twin.optimizer)
        ours.step()
        twin.step()


@cases
def test_torchs_state_goes_on_identically(name, options):
    source, theirs = schedules(name, options)
    ours, _ = schedules(name, options)
    for _ in range(10):
        step(source, theirs)
    ours.load_state_dict(theirs.state_dict())
    for _ in range(10):
        assert_same(ours, theirs)
        step(ours, theirs)


@cases
def test_last_epoch_continues(name, options):
    ours, _ = schedules(name, options)
    for _ in range(11):
        ours.step()
    resumed = getattr(optim, name)(optimizers()[0], **options, last_epoch=10)
    assert (resumed.last_epoch, resumed.get_last_lr()) == (11, ours.get_last_lr())


@pytest.mark.parametrize("optimizer_first", [True, False])
@cases
def test_a_whole_run_resumes_in_any_order_of_loading(name, options, optimizer_first):
    ours, _ = schedules(name, options)
    for _ in range(5):
        ours.step()
    ours.optimizer.param_groups[0]["lr"] *= 0.5  # by hand: also kept
    saved = {"optimizer": ours.optimizer.state_dict(), "schedule": ours.state_dict()}
    optimizer = optimizers()[0]
    if optimizer_first:
        optimizer.load_state_dict(saved["optimizer"])
    resumed = getattr(optim, name)(optimizer, **options)
    resumed.load_state_dict(saved["schedule"])
    if not optimizer_first:
        optimizer.load_state_dict(saved["optimizer"])
    for _ in range(5):
        assert (lrs(optimizer), momenta(optimizer)) == (lrs(ours.optimizer), momenta(ours.optimizer))
        ours.step()
        resumed.step()


def sequential(module, schedules, optimizer, nested):
    warm = schedules.LinearLR(optimizer, start_factor=0.1, total_iters=6)
    flat = schedules.StepLR(optimizer, step_size=3)
    cosine = schedules.CosineAnnealingLR(optimizer, T_max=20, eta_min=1e-3)
    if not nested:
        return schedules.SequentialLR(optimizer, [warm, flat, cosine], milestones=[5, 12])
    inner = schedules.SequentialLR(optimizer, [warm, flat], milestones=[5])
    return schedules.SequentialLR(optimizer, [inner, cosine], milestones=[12])


def test_sequential_equals_torch():
    ours, theirs = optimizers()
    ours = sequential(optim, optim, ours, nested=False)
    nested = sequential(optim, optim, optimizers()[0], nested=True)
    theirs = sequential(torch.optim, torch.optim.lr_scheduler, theirs, nested=False)
    resumed = sequential(optim, optim, optimizers()[0], nested=False)
    for i in range(STEPS):
        assert_same(ours, theirs)
        assert lrs(nested.optimizer) == lrs(ours.optimizer)
        resumed.load_state_dict(ours.state_dict())
        assert lrs(resumed.optimizer) == lrs(ours.optimizer)
        assert resumed.get_last_lr() == [ours._lr(i, lr) for lr in LRS]
        step(ours, theirs)
        nested.step()
        resumed.step()
        assert lrs(resumed.optimizer) == lrs(ours.optimizer)


def test_sequential_cycles_momentum():
    ours, theirs = optimizers()

    def make(schedules, optimizer):
        cycle = schedules.OneCycleLR(optimizer, max_lr=0.5, total_steps=40)
        decay = schedules.ExponentialLR(optimizer, gamma=0.9)
        return schedules.SequentialLR(optimizer, [decay, cycle], milestones=[10])

    ours, theirs = make(optim, ours), make(torch.optim.lr_scheduler, theirs)
    for _ in range(STEPS - 1):
        assert_same(ours, theirs)
        step(ours, theirs)


PLATEAUS = [
    {},
    {"patience": 2},
    {"patience": 0, "factor": 0.5, "threshold": 0.05, "cooldown": 3},
    {"patience": 1, "mode": "max", "threshold": 0.01, "min_lr": 1e-3},
    {"patience": 1, "mode": "max", "threshold": 0.1, "threshold_mode": "abs", "min_lr": [1e-3, 1e-4]},
    {"patience": 1, "threshold": 0.1, "threshold_mode": "abs", "factor": 0.7, "eps": 1e-3},
]


@pytest.mark.parametrize("options", PLATEAUS)
@pytest.mark.parametrize("shape", ["falling", "rising", "noise", "nan"])
def test_plateau_equals_torch(options, shape):
    ours, theirs = schedules("ReduceLROnPlateau", options)
    resumed, _ = schedules("ReduceLROnPlateau", options)
    t, noise = np.arange(STEPS), np.random.default_rng(0).standard_normal(STEPS)
    metrics = {
        "falling": np.exp(-t / 10) + 0.01 * noise,
        "rising": 1 - np.exp(-t / 10),
        "noise": noise,
        "nan": np.where(t % 3, noise, np.nan),
    }[shape]
    for metric in metrics:
        step(ours, theirs, metric)
        resumed.step(metric)
        assert_same(ours, theirs)
        assert lrs(resumed.optimizer) == lrs(ours.optimizer)
        state = json.loads(json.dumps(ours.state_dict()))
        resumed, _ = schedules("ReduceLROnPlateau", options)
        resumed.load_state_dict(state)
        assert ours.best == theirs.best


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
    cycle = optim.OneCycleLR(optimizers()[0], max_lr=0.5, total_steps=10, pct_start=0.1)
    assert cycle.get_last_lr() == [0.5, 0.5]


@cases
@given(base=st.floats(0, 1e3), n=st.integers(0, STEPS))
@settings(deadline=None, max_examples=30)
def test_learning_rates_lie_between_zero_and_the_highest(name, options, base, n):
    schedule, _ = schedules(name, options)
    highest = base * options.get("div_factor", 25) if name == "OneCycleLR" else max(base, options.get("eta_min", 0))
    assert 0 <= schedule._lr(n, base) <= highest * (1 + 1e-12)


@given(low=st.floats(0, 1), high=st.floats(0, 1), n=st.integers(0, 50), three_phase=st.booleans())
@settings(deadline=None)
def test_momentum_stays_between_its_bounds(low, high, n, three_phase):
    low, high = sorted([low, high])
    cycle = optim.OneCycleLR(
        optimizers()[0], 0.1, total_steps=51, base_momentum=low, max_momentum=high, three_phase=three_phase
    )
    for _ in range(n):
        cycle.step()
    assert all(low - 1e-12 <= momentum <= high + 1e-12 for momentum in momenta(cycle.optimizer))


SGD = optimizers()[0]
ADAGRAD = optimizers("Adagrad")[0]


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


@pytest.mark.parametrize(("name", "options"), [*CASES, ("ReduceLROnPlateau", {})])
def test_wants_an_optimizer(name, options):
    with pytest.raises(TypeError, match=f"^{name}: want an optimizer, got list"):
        getattr(optim, name)([], **options)


def test_sequential_wants_schedules_of_steps():
    with pytest.raises(TypeError, match="SequentialLR: want schedules of steps, got ReduceLROnPlateau"):
        optim.SequentialLR(SGD, [optim.ReduceLROnPlateau(SGD)], [])


@pytest.mark.parametrize("anneal_strategy", ["cos", "linear"])
def test_one_cycle_ends(anneal_strategy):
    cycle = optim.OneCycleLR(optimizers()[0], max_lr=0.5, total_steps=3, anneal_strategy=anneal_strategy)
    for _ in range(3):
        cycle.step()
    np.testing.assert_allclose(cycle.get_last_lr(), 0.5 / 25 / 1e4)  # PyTorch's linear one is negative here
    with pytest.raises(ValueError, match="OneCycleLR: want at most 3 steps, got step 4"):
        cycle.step()


def test_a_group_that_came_later_is_named():
    optimizer = optimizers()[0]
    schedule = optim.StepLR(optimizer, 3)
    optimizer.add_param_group({"params": [Parameter(1.0)]})
    with pytest.raises(ValueError, match="StepLR: want the 2 groups that it was made for, got 3"):
        schedule.step()

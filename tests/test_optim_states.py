"""States of optimizers, schedules and averages that cannot be loaded: told as such, and nothing has changed then."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import nn, optim

State = dict[str, Any]
DATES = np.array(["2020-01-01"] * 2, "M8[D]")


def adam() -> optim.Adam:
    model = nn.Linear(3, 2, rng=0)
    optimizer = optim.Adam(model.parameters())
    for parameter in model.parameters():
        parameter.grad[...] = 1
    optimizer.step()
    return optimizer


def entry(**values: Any) -> Callable[[State], Any]:
    return lambda state: state["state"][1].update(values)


def option(**values: Any) -> Callable[[State], Any]:
    return lambda state: state["param_groups"][0].update(values)


OF_OPTIMIZERS: list[tuple[Callable[[State], Any], str]] = [
    (entry(exp_avg=np.array(["a", "b"])), r"parameter 1: exp_avg cannot be loaded: want numbers, got <U1 \(2,\)"),
    (entry(exp_avg=DATES), "exp_avg cannot be loaded: want numbers, got datetime64"),
    (entry(exp_avg=np.array([None, 1.0], object)), "exp_avg cannot be loaded: want numbers"),
    (entry(exp_avg=np.array([1j, 1])), "want float32, got complex128"),
    (entry(exp_avg=np.array([1e300, 1])), r"want float32, got float64 with values that it has not, such as 1e\+300"),
    (entry(step=np.nan), "step cannot be loaded: want int64"),
    (entry(step=1.5), "step cannot be loaded: want int64"),
    (entry(step="1"), "step cannot be loaded: want numbers"),
    (entry(step=np.ones(2)), r"step is \(2,\), want \(\)"),
    (entry(step=-3), "step is -3, want at least 0"),
    (option(lr="0.1"), "want lr >= 0 and finite, got 0.1"),
    (option(lr=None), "want lr >= 0 and finite, got None"),
    (option(betas="ab"), r"want betas in \[0, 1\), got ab"),
    (option(betas=None), r"want betas in \[0, 1\), got None"),
    (option(amsgrad="no"), "want amsgrad to be True or False, got 'no'"),
    (option(params="ab"), r"state of parameters \[0, 1\], which are in no group; those are \['a', 'b'\]"),
    (lambda state: state["param_groups"][0].pop("params"), "want param_groups to be a list of dicts, each with"),
    (lambda state: state.update(param_groups=[1]), "want param_groups to be a list of dicts"),
    (lambda state: state.update(state=[1]), "want state to be a dict of dicts"),
    (lambda state: state["state"].update({0: None}), "want state to be a dict of dicts"),
    (lambda state: state["state"].update({7: {"step": 1}}), r"state of parameters \[7\], which are in no group"),
    # As it comes out of JSON: without the error it would be an empty state.
    (
        lambda state: state.update(state={"0": state["state"][0], "1": state["state"][1]}),
        r"parameters \['0', '1'\], which",
    ),
    (lambda state: state.clear(), "want the keys 'state' and 'param_groups', got "),
]


@pytest.mark.parametrize(("damage", "message"), OF_OPTIMIZERS)
def test_an_optimizer(damage: Callable[[State], Any], message: str) -> None:
    optimizer = adam()
    before = optimizer.state_dict()
    state = copy.deepcopy(before)
    damage(state)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)


def test_what_is_no_state_at_all() -> None:
    with pytest.raises(ValueError, match="want the keys 'state' and 'param_groups', got list"):
        adam().load_state_dict([1])


@pytest.mark.parametrize("option", ["lr", "betas"])
def test_options_of_other_types_are_refused_from_the_beginning(option: str) -> None:
    with pytest.raises(ValueError, match=f"Adam: want {option} "):
        optim.Adam(nn.Linear(3, 2).parameters(), **{option: "0.1"})


def over(make: Callable[[optim.Optimizer], Any]) -> Callable[[], Any]:
    return lambda: make(optim.SGD(nn.Linear(3, 2, rng=0).parameters(), lr=0.1, momentum=0.9))


SCHEDULES = {
    "StepLR": over(lambda optimizer: optim.StepLR(optimizer, 3)),
    "OneCycleLR": over(lambda optimizer: optim.OneCycleLR(optimizer, 0.1, 10)),
    "ReduceLROnPlateau": over(optim.ReduceLROnPlateau),
    "SequentialLR": over(
        lambda optimizer: optim.SequentialLR(optimizer, [optim.StepLR(optimizer, 3), optim.StepLR(optimizer, 2)], [4])
    ),
}
OF_SCHEDULES: list[tuple[str, Any, str]] = [
    *[(name, {"last_epoch": None}, "want last_epoch of at least -1, got None") for name in SCHEDULES],
    *[(name, {"last_epoch": 2.5}, "want last_epoch of at least -1, got 2.5") for name in SCHEDULES],
    *[(name, {"last_epoch": np.nan}, "want last_epoch of at least -1, got nan") for name in SCHEDULES],
    *[(name, {"_last_lr": ["a"]}, r"want a list of numbers as _last_lr, got \['a'\]") for name in SCHEDULES],
    *[(name, {"last_epoch": 5, "_last_lr": [0.1, 0.2]}, "want the 2 groups that it was") for name in SCHEDULES],
    ("StepLR", {"last_epoch": 5, "base_lrs": [0.1, 0.2]}, "want the 2 groups that it was"),
    ("StepLR", {"base_lrs": "a"}, "want a list of numbers as base_lrs, got a"),
    ("OneCycleLR", {"last_epoch": 99}, "want at most 10 steps, got step 99"),
    ("ReduceLROnPlateau", {"best": "a"}, "want a number as best, got a"),
    ("ReduceLROnPlateau", {"num_bad_epochs": -1}, "want num_bad_epochs of at least 0, got -1"),
    ("SequentialLR", {"_schedulers": [{"last_epoch": 3}]}, "want the states of 2 schedules as _schedulers"),
    ("SequentialLR", {"_schedulers": [{"last_epoch": 3}, {}]}, "StepLR: want a state with last_epoch, got {}"),
]


@pytest.mark.parametrize(("name", "changes", "message"), OF_SCHEDULES)
def test_a_schedule(name: str, changes: State, message: str) -> None:
    schedule = SCHEDULES[name]()
    before, groups = copy.deepcopy(schedule.state_dict()), copy.deepcopy(schedule.optimizer.state_dict())
    with pytest.raises(ValueError, match=message):
        schedule.load_state_dict(before | changes)
    assert schedule.state_dict() == before
    assert schedule.optimizer.state_dict() == groups


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("state", [{}, [1]])
def test_a_schedule_without_its_keys(name: str, state: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name}: want .*, got "):
        SCHEDULES[name]().load_state_dict(state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decay": 5}, r"want decay in \[0, 1\] and updates of at least 0, got 5 and 0"),
        ({"decay": "a"}, "got 'a' and 0"),
        ({"updates": 1.5}, r"got 0\.999 and 1\.5"),
        ({"averages": [np.zeros((2, 3)), DATES]}, r"EMA\.load_state_dict: want numbers, got datetime64"),
        ({"averages": [np.zeros((2, 3)), np.array([1j, 1])]}, "want float32, got complex128"),
        ({"averages": [np.zeros((2, 3)), np.array([1e300, 1])]}, "want float32, got float64 with values"),
        ({"averages": None}, "EMA.load_state_dict: 'NoneType' object is not iterable"),
    ],
)
def test_averages(changes: State, message: str) -> None:
    ema = optim.EMA(nn.Linear(3, 2, rng=0).parameters())
    before = ema.state_dict()
    with pytest.raises(ValueError, match=message):
        ema.load_state_dict(before | {"updates": 0} | changes)
    np.testing.assert_equal(ema.state_dict(), before)
    with pytest.raises(ValueError, match=r"EMA\.load_state_dict: want the keys decay, warmup, updates, averages"):
        ema.load_state_dict({})

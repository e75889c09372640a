"""Groups, penalties and single behaviours of the optimizers. The battery is in test_battery.py."""

import numpy as np
import pytest
import torch

from minigrad import optim
from minigrad.nn.parameter import Parameter
from tests.optim_twins import (
    NAMES,
    STEPS,
    assert_same,
    gradient,
    make,
    make_torch,
    parameters,
    run,
    run_torch,
    stateful,
    tensors,
)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_torchs(name):
    ours = make(name, [Parameter(1.0)]).defaults
    theirs = make_torch(name, [torch.zeros(1)]).defaults
    assert ours.pop("l1") == 0
    assert ours == {key: theirs[key] for key in ours}


@stateful
def test_groups_have_options_of_their_own(name, options):
    ours, theirs = parameters(), tensors()

    def groups(p):
        return [
            {"params": p[:1], "lr": 0.01, "weight_decay": 0.3},
            {"params": p[1:3]},
            {"params": p[3:], "maximize": True},
        ]

    optimizer, twin = make(name, groups(ours), **options), make_torch(name, groups(theirs), **options)
    run(optimizer, ours, range(10))
    run_torch(twin, theirs, range(10))
    for groups in (optimizer.param_groups, twin.param_groups):
        groups[1]["lr"] = 0.002
        groups[2]["weight_decay"] = 0.1
    run(optimizer, ours, range(10, 20))
    run_torch(twin, theirs, range(10, 20))
    assert_same(ours, theirs)


def test_a_group_added_later():
    ours, theirs = parameters(), tensors()
    optimizer, twin = optim.Adam(ours[:2], lr=0.1), torch.optim.Adam(theirs[:2], lr=0.1)
    run(optimizer, ours[:2], range(5))
    run_torch(twin, theirs[:2], range(5))
    optimizer.add_param_group({"params": ours[2:], "lr": 0.03})
    twin.add_param_group({"params": theirs[2:], "lr": 0.03})
    run(optimizer, ours, range(5, 15))
    run_torch(twin, theirs, range(5, 15))
    assert_same(ours, theirs)


@stateful
def test_one_group_of_two_dtypes(name, options):
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(n).astype(dtype) for n, dtype in [(3, "f8"), (5, "f4"), (7, "f8")]]
    ours, theirs = [Parameter(v) for v in values], [torch.tensor(v, requires_grad=True) for v in values]
    optimizer = make(name, ours, **options)
    run(optimizer, ours)
    run_torch(make_torch(name, theirs, **options), theirs)
    assert_same([ours[0], ours[2]], [theirs[0], theirs[2]])
    assert_same([ours[1]], [theirs[1]], rtol=3e-6, atol=3e-6)
    saved = optimizer.state_dict()["state"]
    for number, p in enumerate(ours):
        for value in (v for key, v in saved[number].items() if key != "step"):
            assert (value.shape, value.dtype) == (p.shape, p.dtype)


def test_a_momentum_that_is_switched_on_later_begins_with_the_gradient():
    ours, theirs = parameters(), tensors()
    optimizer, twin = optim.SGD(ours, lr=0.1), torch.optim.SGD(theirs, lr=0.1)
    run(optimizer, ours, range(3))
    run_torch(twin, theirs, range(3))
    for groups in (optimizer.param_groups, twin.param_groups):
        groups[0].update(momentum=0.9, dampening=0.5)
    run(optimizer, ours, range(3, 9))
    run_torch(twin, theirs, range(3, 9))
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_nan_in_a_gradient_is_not_lost(name):
    w = Parameter([1.0, 2.0, 3.0])
    optimizer = make(name, [w])
    w.grad[1] = np.nan
    with np.errstate(invalid="ignore"):
        optimizer.step()
    assert np.isnan(w.data).tolist() == [False, True, False]


def test_groups_of_adagrad_begin_with_sums_of_their_own():
    """PyTorch takes the constructor's for all groups."""
    ours, twins = parameters(), parameters()
    grouped = optim.Adagrad(
        [{"params": ours[:2]}, {"params": ours[2:], "initial_accumulator_value": 3.0}], initial_accumulator_value=0.5
    )
    alone = [
        optim.Adagrad(twins[:2], initial_accumulator_value=0.5),
        optim.Adagrad(twins[2:], initial_accumulator_value=3.0),
    ]
    for step in range(STEPS):
        for i, (p, twin) in enumerate(zip(ours, twins, strict=True)):
            p.grad[...] = twin.grad[...] = gradient(p.data, i, step)
        for optimizer in (grouped, *alone):
            optimizer.step()
    assert_same(ours, twins, rtol=0, atol=0)

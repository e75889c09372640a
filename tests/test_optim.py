"""Every optimizer with every option against PyTorch, step by step; and its kernels against their reference."""

import numpy as np
import pytest
import torch

from minigrad import optim
from minigrad.kernels.jit import optim as jit
from minigrad.kernels.reference import optim as reference
from minigrad.nn.parameter import Parameter
from tests.optim_twins import (
    NAMES,
    STATEFUL,
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

CASES = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.2}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.01, "momentum": 0.8, "maximize": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 1, "momentum": 0}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.7, 0.95), "eps": 0.01, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "betas": (0.5, 0.6)}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "maximize": True, "weight_decay": 0.3}),
    ("Adam", {"lr": 0.05, "betas": (0.0, 0.0), "eps": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.5}),
    ("AdamW", {"lr": 0.05, "amsgrad": True, "maximize": True, "betas": (0.5, 0.6)}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.05, "alpha": 0.8, "eps": 0.01, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.05, "centered": True, "eps": 0.1}),
    ("RMSprop", {"lr": 0.05, "momentum": 0.7, "maximize": True}),
    ("RMSprop", {"lr": 0.05, "momentum": 0.7, "centered": True, "eps": 0.1, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 0.1, "maximize": True}),
]
cases = pytest.mark.parametrize(("name", "options"), CASES)


# ------------------------------------------------------------------------------------------------ the arithmetic


@cases
def test_equals_torch_in_float64(name, options):
    ours, theirs = parameters(), tensors()
    run(make(name, ours, **options), ours)
    run_torch(make_torch(name, theirs, **options), theirs)
    assert_same(ours, theirs)


@cases
def test_equals_torch_in_float32(name, options):
    """Twenty steps of rounding: 20 units in the last place of the largest weights."""
    ours, theirs = parameters("float32"), tensors("float32")
    run(make(name, ours, **options), ours)
    run_torch(make_torch(name, theirs, **options), theirs)
    assert_same(ours, theirs, rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_torchs(name):
    ours = make(name, [Parameter(1.0)]).defaults
    theirs = make_torch(name, [torch.zeros(1)]).defaults
    assert ours.pop("l1") == 0
    assert ours == {key: theirs[key] for key in ours}


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(("name", "options"), [(n, o) for n, o in STATEFUL if n != "AdamW"])
def test_l1_is_added_to_the_gradient(name, options, maximize):
    ours, theirs = parameters(), tensors()
    ours[1].data[:3] = 0
    theirs[1].data[:3] = 0
    optimizer = make(name, ours, **options, maximize=maximize, l1=0.3, weight_decay=0.1)
    twin = make_torch(name, theirs, **options, maximize=maximize, weight_decay=0.1)
    for step in range(STEPS):
        run(optimizer, ours, [step])
        for i, p in enumerate(theirs):
            penalty = 0.3 * torch.sign(p.detach())
            p.grad = torch.tensor(gradient(p.detach().numpy(), i, step)) + (-penalty if maximize else penalty)
        twin.step()
    assert_same(ours, theirs)


def test_l1_of_adamw_is_decoupled():
    ours, theirs = parameters(), tensors()
    optimizer = optim.AdamW(ours, lr=0.05, l1=0.3, weight_decay=0.1)
    twin = torch.optim.AdamW(theirs, lr=0.05, weight_decay=0.1)
    for step in range(STEPS):
        signs = [torch.sign(p.detach()) for p in theirs]
        run(optimizer, ours, [step])
        run_torch(twin, theirs, [step])
        for p, sign in zip(theirs, signs, strict=True):
            p.data -= 0.05 * 0.3 * sign
    assert_same(ours, theirs)


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


@pytest.mark.parametrize("name", NAMES)
def test_step_only_reads_gradients(name):
    ours = parameters()
    optimizer = make(name, ours, weight_decay=0.1, l1=0.1)
    for i, p in enumerate(ours):
        p.grad += gradient(p.data, i, 0)
    before = [p.grad.copy() for p in ours]
    optimizer.step()
    for p, grad in zip(ours, before, strict=True):
        np.testing.assert_array_equal(p.grad, grad)


# ---------------------------------------------------------------------------------------------------- the kernels


def flat(dtype, count):
    """A gradient, weights, and state: a second moment in [1, 2), and others in [0, 1)."""
    rng = np.random.default_rng(0)
    state = [rng.uniform(0, 1, 67) + (i == 0) for i in range(count - 2)]
    return [array.astype(dtype) for array in [*rng.standard_normal((2, 67)), *state]]


# Name, number of arrays, which of them are left out, scalars.
KERNELS = [
    ("sgd_update", 3, (), (0.1, 0.9, 0.2, 0.1, 0.05, False, True, False)),
    ("sgd_update", 3, (), (0.1, 0.9, 0.2, 0.1, 0.05, False, False, True)),
    ("sgd_update", 3, (), (0.1, 0.9, 0.0, 0.1, 0.05, True, False, False)),
    ("sgd_update", 3, (2,), (0.1, 0.0, 0.0, 0.1, 0.05, False, False, True)),
    ("adam_update", 5, (), (0.1, 0.9, 0.99, 1e-3, 0.1, 0.05, 3, False, True)),
    ("adam_update", 5, (), (0.1, 0.9, 0.99, 1e-3, 0.1, 0.05, 3, True, False)),
    ("adam_update", 5, (4,), (0.1, 0.9, 0.99, 1e-3, 0.1, 0.05, 1, False, False)),
    ("rmsprop_update", 5, (3, 4), (0.1, 0.9, 1e-3, 0.1, 0.0, 0.05, False)),
    ("rmsprop_update", 5, (4,), (0.1, 0.9, 1e-3, 0.1, 0.0, 0.05, True)),
    ("rmsprop_update", 5, (3,), (0.1, 0.9, 1e-3, 0.1, 0.8, 0.05, False)),
    ("adagrad_update", 3, (), (0.1, 0.2, 1e-3, 0.1, 0.05, 4, True)),
    ("ema_update", 2, (), (0.9,)),
]


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize(("name", "count", "unused", "scalars"), KERNELS)
def test_kernel_equals_its_reference(name, count, unused, scalars, dtype, rtol):
    got, want = flat(dtype, count), flat(dtype, count)
    for i in unused:
        got[i], want[i] = np.empty(0, dtype), np.empty(0, dtype)
    got[1][::7] = want[1][::7] = 0  # where sign(w) is 0
    getattr(jit, name)(*got, *scalars)
    getattr(reference, name)(*want, *scalars)
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def test_every_kernel_has_a_reference():
    def kernels(module):
        return {name for name in vars(module) if name.endswith("_update")}

    assert kernels(jit) == kernels(reference) == {name for name, *_ in KERNELS}

"""Gradient clipping and weight averaging: single behaviours. The battery is in test_battery.py."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from minigrad import optim
from minigrad.nn.parameter import Parameter
from tests.optim_twins import parameters, run, tensors

NORMS = [1, 2, 2.0, 3.5, 0.5, float("inf"), "inf"]


def with_gradients(dtype, scale=1.0):
    ours, theirs = parameters(dtype), tensors(dtype)
    rng = np.random.default_rng(1)
    for p, t in zip(ours, theirs, strict=True):
        p.grad += scale * rng.standard_normal(p.shape)
        t.grad = torch.tensor(p.grad.copy())
    return ours, theirs


def assert_same_gradients(ours, theirs, rtol):
    for p, t in zip(ours, theirs, strict=True):
        assert p.grad.dtype == t.grad.numpy().dtype
        np.testing.assert_allclose(p.grad, t.grad.numpy(), rtol=rtol)


# -------------------------------------------------------------------------------------------------------- clipping


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("max_norm", [0, 0.1, 1.0, 1e6])
@pytest.mark.parametrize("moved", [False, True])
def test_clipping_by_norm_equals_torch(dtype, rtol, norm_type, max_norm, moved):
    ours, theirs = with_gradients(dtype)
    if moved:
        optim.SGD(ours)
    norm = optim.clip_grad_norm_(iter(ours), max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, float(norm_type))
    assert type(norm) is float
    np.testing.assert_allclose(norm, expected.item(), rtol=rtol)
    assert_same_gradients(ours, theirs, rtol)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("norm_type", [2.0, "inf"])
def test_a_norm_that_is_not_finite(bad, norm_type):
    ours, theirs = with_gradients("float64")
    ours[1].grad[2] = bad
    theirs[1].grad[2] = bad
    before = [p.grad.copy() for p in ours]
    with pytest.raises(RuntimeError, match=f"clip_grad_norm_: the norm of the gradients is {bad}"):
        optim.clip_grad_norm_(ours, 1.0, norm_type, error_if_nonfinite=True)
    for p, grad in zip(ours, before, strict=True):
        np.testing.assert_array_equal(p.grad, grad)
    optim.clip_grad_norm_(ours, 1.0, norm_type)
    torch.nn.utils.clip_grad_norm_(theirs, 1.0, float(norm_type))
    assert_same_gradients(ours, theirs, 0)


def test_clipping_one_or_no_parameter():
    w = Parameter([3.0, 4.0])
    w.grad += w.data
    assert optim.clip_grad_norm_(w, 10.0) == 5.0
    assert w.grad.tolist() == [3.0, 4.0]
    assert optim.clip_grad_norm_([], 1.0) == 0.0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_clipping_by_value_equals_torch(dtype):
    ours, theirs = with_gradients(dtype)
    ours[0].grad[0, 0] = theirs[0].grad[0, 0] = np.nan
    optim.clip_grad_value_(ours, 0.3)
    torch.nn.utils.clip_grad_value_(theirs, 0.3)
    assert_same_gradients(ours, theirs, 0)


def test_bad_bounds():
    with pytest.raises(ValueError, match="clip_grad_norm_: want max_norm >= 0, got -1"):
        optim.clip_grad_norm_([], -1)
    with pytest.raises(ValueError, match="clip_grad_value_: want clip_value >= 0, got nan"):
        optim.clip_grad_value_([], np.nan)


@given(
    gradients=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5), min_size=1, max_size=4),
    max_norm=st.just(0.0) | st.floats(1e-6, 1e3),
    norm_type=st.sampled_from([1.0, 2.0, 3.0, float("inf")]),
)
def test_a_clipped_norm_never_exceeds_the_bound_and_keeps_its_direction(gradients, max_norm, norm_type):
    ours = [Parameter(np.zeros(len(values))) for values in gradients]
    for p, values in zip(ours, gradients, strict=True):
        p.grad += values
    before = np.concatenate([p.grad for p in ours])
    norm = optim.clip_grad_norm_(ours, max_norm, norm_type)
    after = np.concatenate([p.grad for p in ours])
    assert np.linalg.norm(after, norm_type) <= max_norm * (1 + 1e-12)
    np.testing.assert_allclose(norm, np.linalg.norm(before, norm_type), rtol=1e-12)
    np.testing.assert_allclose(after * norm, before * np.linalg.norm(after, norm_type), rtol=1e-9, atol=1e-200)


@given(values=st.lists(st.floats(allow_nan=False), min_size=1), bound=st.floats(0, 1e9))
def test_a_clipped_value_never_exceeds_the_bound(values, bound):
    w = Parameter(np.zeros(len(values)))
    w.grad[...] = values
    optim.clip_grad_value_(w, bound)
    assert (np.abs(w.grad) <= bound).all()
    inside = np.abs(values) <= bound
    assert (w.grad[inside] == np.array(values)[inside]).all()


# ------------------------------------------------------------------------------------------------------- averaging


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("optimizer_first", [True, False])
def test_average_equals_torch(dtype, rtol, decay, optimizer_first):
    ours = parameters(dtype)
    module = torch.nn.Module()
    module.weights = torch.nn.ParameterList(tensors(dtype))
    twin = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay))
    twin.update_parameters(module)  # PyTorch takes the weights at the first update, we when made
    if optimizer_first:
        optimizer, ema = optim.Adam(ours, lr=0.1), optim.EMA(ours, decay)
    else:
        ema, optimizer = optim.EMA(iter(ours), decay), optim.Adam(ours, lr=0.1)
    for step in range(10):
        run(optimizer, ours, [step])
        for p, t in zip(ours, module.weights, strict=True):
            t.data.copy_(torch.tensor(p.data))
        ema.update()
        twin.update_parameters(module)
    for average, t in zip(ema.averages, twin.module.weights, strict=True):
        assert average.dtype == dtype
        np.testing.assert_allclose(average, t.detach().numpy(), rtol=rtol, atol=rtol)


def test_averaged_values_come_and_go_within_flat_memory():
    ours, twins = parameters(), parameters()
    optimizer, twin = optim.Adam(ours, lr=0.1), optim.Adam(twins, lr=0.1)
    ema = optim.EMA(ours, 0.5)
    for step in range(4):
        run(optimizer, ours, [step])
        run(twin, twins, [step])
        ema.update()
        views = [p.data for p in ours]
        with ema.averaged():
            for p, average, view in zip(ours, ema.averages, views, strict=True):
                np.testing.assert_array_equal(p.data, average)
                assert p.data is view
                assert p.data is not average
        for p, other in zip(ours, twins, strict=True):
            np.testing.assert_array_equal(p.data, other.data)


def test_own_values_come_back_after_an_error():
    w = Parameter([1.0, 2.0])
    ema = optim.EMA([w], 0.5)
    w.data += 2
    ema.update()

    def fail():
        assert w.data.tolist() == [2.0, 3.0]
        raise KeyError

    with pytest.raises(KeyError), ema.averaged():
        fail()
    assert w.data.tolist() == [3.0, 4.0]


def test_copy_to_is_for_good():
    ours = parameters()
    optimizer = optim.SGD(ours, lr=0.1)
    ema = optim.EMA(ours, 0.5)
    run(optimizer, ours, range(3))
    ema.update()
    (block,) = optimizer._blocks[0]
    ema.copy_to()
    flat = np.concatenate([average.ravel() for average in ema.averages])
    np.testing.assert_array_equal(block.data, flat)
    assert all(np.shares_memory(parameter.data, block.data) for parameter in ours)
    run(optimizer, ours, range(1))
    assert not np.array_equal(ours[0].data, ema.averages[0])


def test_state_goes_on_identically():
    ours, optimizer_of = parameters(), optim.SGD
    optimizer, ema = optimizer_of(ours, lr=0.1), optim.EMA(ours, 0.8)
    run(optimizer, ours, range(3))
    ema.update()
    state = ema.state_dict()
    other = optim.EMA(ours)
    run(optimizer, ours, range(3, 6))
    ema.update()  # the state is a copy
    other.load_state_dict(state)
    other.update()
    assert other.decay == 0.8
    for a, b in zip(other.averages, ema.averages, strict=True):
        np.testing.assert_array_equal(a, b)


def test_bad_arguments():
    with pytest.raises(ValueError, match="EMA: want at least one parameter, got none"):
        optim.EMA([])
    for decay in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=rf"EMA: want decay in \[0, 1\], got {decay}"):
            optim.EMA([Parameter(1.0)], decay)
    ema = optim.EMA([Parameter([1.0, 2.0])])
    with pytest.raises(ValueError, match=r"want averages of shapes \[\(2,\)\], got \[\(2,\), \(1,\)\]"):
        ema.load_state_dict(ema.state_dict() | {"averages": [np.zeros(2), np.zeros(1)]})


@given(
    values=st.lists(st.floats(-1e6, 1e6, width=32, allow_subnormal=False), min_size=1, max_size=10),
    decay=st.floats(0, 1),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_an_average_stays_between_the_least_and_the_greatest_weight(values, decay, dtype):
    w = Parameter(np.array(values[0], dtype))
    ema = optim.EMA([w], decay)
    for value in values:
        w.data[...] = value
        ema.update()
    slack = 4 * len(values) * np.finfo(dtype).eps * np.abs(values).max()
    assert min(values) - slack <= ema.averages[0] <= max(values) + slack


def test_ema_warmup_forgets_the_first_weights() -> None:
    w = Parameter([100.0])
    plain, warm = optim.EMA([w]), optim.EMA([w], warmup=True)
    w.data[0] = 1.0
    for update in range(1, 31):
        plain.update(), warm.update()
        if update == 1:
            assert warm.averages[0][0] == pytest.approx(1 + 99 * 2 / 11)
    assert warm.averages[0][0] == pytest.approx(1, abs=0.01)
    assert plain.averages[0][0] > 90
    other = optim.EMA([w])
    other.load_state_dict(warm.state_dict())
    other.update(), warm.update()
    assert other.averages[0] == warm.averages[0]

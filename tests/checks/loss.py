"""The battery of the losses. Each raises AssertionError, and returns the errors that it measured."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from minigrad.gradcheck import gradcheck
from tests.cases.case import At, LossCase, laid_out
from tests.checks.errors import (
    FLOAT64_BOUND,
    Check,
    Errors,
    assert_within,
    float32_bounds,
    relative_errors,
    share_of_bounds,
)


def derivative(case: LossCase, at: At) -> Errors:
    """The backward pass agrees with finite differences."""
    x, target = case.draw(at)
    return {"differences": gradcheck(case.make(), x, target, seed=at.seed)}


def derivative_in_float32(case: LossCase, at: At) -> None:
    """The backward pass in float32 does so too: for inputs that are not made to lose digits."""
    if at.dtype == np.float32:
        gradcheck(case.make(), *case.draw(at), dtype=np.float32, seed=at.seed)


def derivative_with_sample_weights(case: LossCase, at: At) -> Errors | None:
    """The same where samples have weights."""
    if not case.has_samples:
        return None
    x, target = case.draw(at)
    weights = at.rng(20).uniform(0.5, 2, len(x))
    return {"differences": gradcheck(case.make(), x, target, weights, seed=at.seed)}


def torch_parity(case: LossCase, at: At) -> Errors:
    """Value and dx are PyTorch's."""
    x, target = case.draw(at)
    value, pullback = case.make().vjp(laid_out(x, at.layout), target)
    dvalue = at.cotangent(np.asarray(value, at.dtype))
    dx = pullback(dvalue)
    assert dx.dtype == at.dtype, f"dx is {dx.dtype}"
    assert dx.flags.c_contiguous, "dx is not contiguous"

    def theirs(dtype: Any, x: np.ndarray, dvalue: np.ndarray) -> dict[str, np.ndarray]:
        tensor = torch.from_numpy(x.astype(dtype)).requires_grad_()
        goal = torch.from_numpy(np.array(target, dtype if target.dtype.kind == "f" else np.int64))
        expected = case.torch_twin().to(tensor.dtype)(tensor, goal)
        expected.backward(torch.from_numpy(dvalue.astype(dtype)))
        assert tensor.grad is not None
        return {"value": expected.detach().numpy(), "dx": tensor.grad.numpy()}

    errors = relative_errors({"value": np.asarray(value), "dx": dx}, theirs(np.float64, x, dvalue))
    if at.dtype == np.float64:
        return assert_within(errors, FLOAT64_BOUND)
    return share_of_bounds(errors, float32_bounds(theirs, at.rng(50), x, dvalue))


def memory_contract(case: LossCase, at: At) -> None:
    """Neither input nor target nor cotangent is written to, dx is fresh, and a second pullback gives the same."""
    x, target = case.draw(at)
    before = {"input": x.copy(), "target": target.copy()}
    value, pullback = case.make().vjp(x, target)
    dvalue = at.cotangent(np.asarray(value, at.dtype))
    given = {"input": x, "target": target, "cotangent": dvalue}
    before["cotangent"] = dvalue.copy()
    dx = pullback(dvalue)
    first = dx.copy()
    np.testing.assert_array_equal(pullback(dvalue), first, "a second pullback differs")
    for name, array in given.items():
        np.testing.assert_array_equal(array, before[name], f"the {name} was written to")
        assert not np.shares_memory(dx, array), f"dx is the {name}"


def pullbacks_in_any_order(case: LossCase, at: At) -> None:
    """Two forwards of one loss: pullbacks in either order, and `backward` last in, first out, as by a loss for each."""
    pairs = [case.draw(at), case.draw(replace(at, seed=at.seed + 1, values=()))]
    value, pullback = case.make().vjp(*pairs[0])
    dvalue = at.cotangent(np.asarray(value, at.dtype))
    expected = [pullback(dvalue), case.make().vjp(*pairs[1])[1](dvalue)]
    for order in ((0, 1), (1, 0)):
        loss = case.make()
        pullbacks = [loss.vjp(*pair)[1] for pair in pairs]
        for i in order:
            np.testing.assert_array_equal(pullbacks[i](dvalue), expected[i])
    loss = case.make()
    for pair in pairs:
        loss(*pair)
    for dx in reversed(expected):
        np.testing.assert_array_equal(loss.backward(dvalue), dx)


def any_memory_layout(case: LossCase, at: At) -> None:
    """The memory under input and target changes not a bit."""
    x, target = case.draw(at)
    value, pullback = case.make().vjp(laid_out(x, at.layout), laid_out(target, at.layout))
    expected, expected_pullback = case.make().vjp(x, target)
    np.testing.assert_array_equal(value, expected)
    dvalue = at.cotangent(np.asarray(value, at.dtype))
    np.testing.assert_array_equal(pullback(laid_out(dvalue, at.layout)), expected_pullback(dvalue))


def weight_is_repetition(case: LossCase, at: At) -> None:
    """A sample of weight 2 counts as two samples."""
    if not case.has_samples or case.make().reduction == "none":
        return
    x, target = case.draw(at)
    counts = at.rng(21).integers(1, 4, len(x))
    weighted = case.make()(x, target, counts)
    repeated = case.make()(np.repeat(x, counts, axis=0), np.repeat(target, counts, axis=0))
    bound = 64 * x.size * float(np.finfo(at.dtype).eps)  # the sums have another order
    assert_within(relative_errors({"value": np.asarray(weighted)}, {"value": np.asarray(repeated)}), bound)


def nan_stays(case: LossCase, at: At) -> None:
    """A diverged model's output has a loss that says so."""
    x, target = case.draw(at)
    assert np.isnan(case.make()(np.full_like(x, np.nan), target)).any(), "the NaN is gone"


FIXED_CHECKS: dict[str, Check] = {"derivative in float32": derivative_in_float32}
CHECKS: dict[str, Check] = {
    "derivative": derivative,
    "derivative with sample weights": derivative_with_sample_weights,
    "torch parity": torch_parity,
    "memory contract": memory_contract,
    "pullbacks in any order": pullbacks_in_any_order,
    "any memory layout": any_memory_layout,
    "a weight is repetition": weight_is_repetition,
    "NaN stays": nan_stays,
}

"""What every optimizer has to do: PyTorch's arithmetic, and a state that goes on."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from minigrad import optim
from minigrad.nn.parameter import Parameter
from tests.cases.case import At
from tests.cases.optimizer import OptimizerCase
from tests.checks.errors import Check, Errors, assert_within
from tests.optim_twins import STEPS, gradient, parameters, run, run_torch, tensors, to_numpy

# In units of 1 + |w|: on its way a weight may be a few times as large as it is in the end. Each step rounds the weight
# (or as PyTorch's AdamW, the factor 1 - lr λ of it), and a change that is a tenth of it by the last of some ten
# operations: together about 2^-24 in either library, so that 20 steps make 40 * 2^-24 = 2.4e-6. In float64 the same
# count gives 4e-15; a step that divides by the root of small squares magnifies it, and 1e-12 has room for that.
BOUND = {np.float32: 3e-6, np.float64: 1e-12}
HALF, REST = range(STEPS // 2), range(STEPS // 2, STEPS)


def ours_of(case: OptimizerCase, at: At, values: int = 0) -> tuple[optim.Optimizer, list[Parameter]]:
    params = parameters(at.dtype, at.seed + values, case.shapes)
    return case.make(params), params


def theirs_of(case: OptimizerCase, at: At) -> tuple[torch.optim.Optimizer, list[torch.Tensor]]:
    params = tensors(at.dtype, at.seed, case.shapes)
    return case.twin(params), params


def compared(params: Iterable[Parameter], twins: Iterable[torch.Tensor], at: At) -> Errors:
    """Return the largest difference of weights, which must be within rounding."""
    errors = []
    for p, twin in zip(params, twins, strict=True):
        expected = twin.detach().numpy()
        assert p.data.dtype == p.grad.dtype == at.dtype
        assert p.data.shape == p.grad.shape == expected.shape
        errors.append(float(np.max(np.abs(p.data - expected) / (1 + np.abs(expected)))))
    return assert_within({"weights": float(np.max(errors))}, BOUND[at.dtype])


def torch_parity(case: OptimizerCase, at: At) -> Errors:
    """Twenty steps as in PyTorch, in each group with its options."""
    case = replace(case, l1=0.0)
    (optimizer, params), (twin, twins) = ours_of(case, at), theirs_of(case, at)
    run(optimizer, params, seed=at.seed)
    run_torch(twin, twins, seed=at.seed)
    return compared(params, twins, at)


def l1_penalty(case: OptimizerCase, at: At) -> Errors:
    """l1 sign(w) is added to the gradient, or where penalties are decoupled, lr l1 sign(w) is taken off the weight.

    In float64 only: a weight that comes within rounding of 0 has no sign, and in float32 that happens.
    """
    at = replace(at, dtype=np.float64)
    (optimizer, params), (twin, twins) = ours_of(case, at), theirs_of(case, at)
    for p, t in zip(params, twins, strict=True):
        p.data.flat[:2] = 0
        t.data.view(-1)[:2] = 0
    penalize(twin, case.l1)
    run(optimizer, params, seed=at.seed)
    run_torch(twin, twins, seed=at.seed)
    return compared(params, twins, at)


def penalize(twin: torch.optim.Optimizer, l1: float) -> None:
    """Have PyTorch's optimizer step with an L1 penalty."""
    signs: dict[torch.Tensor, torch.Tensor] = {}

    def before(*_: Any) -> None:
        for group in twin.param_groups:
            for t in group["params"]:
                signs[t] = torch.sign(t.detach())
                if not group.get("decoupled_weight_decay"):
                    t.grad += (-l1 if group["maximize"] else l1) * signs[t]

    def after(*_: Any) -> None:
        for group in twin.param_groups:
            for t in group["params"] if group.get("decoupled_weight_decay") else ():
                t.data -= group["lr"] * l1 * signs[t]

    twin.register_step_pre_hook(before)
    twin.register_step_post_hook(after)


def zero_gradients(case: OptimizerCase, at: At) -> Errors:
    """A parameter that takes no part has gradients of 0: as in PyTorch, and where nothing decays it stays as it is.

    In float64 only: normalised steps along nothing but a decaying weight swing about 0, and magnify what was rounded.
    """
    at = replace(at, dtype=np.float64)
    (optimizer, params), (twin, twins) = ours_of(replace(case, l1=0.0), at), theirs_of(case, at)
    before = params[0].data.copy()
    for step in range(STEPS):
        for i, (p, t) in enumerate(zip(params, twins, strict=True)):
            p.grad[...] = gradient(p.data, i, step, at.seed) if i else 0
            t.grad = torch.tensor(p.grad)
        optimizer.step()
        twin.step()
    assert optimizer.param_groups[0]["weight_decay"] or np.array_equal(params[0].data, before)
    return compared(params, twins, at)


def resume(case: OptimizerCase, at: At) -> None:
    """A fresh optimizer over equal weights, with the state that was saved, goes on bit for bit."""
    optimizer, params = ours_of(case, at)
    run(optimizer, params, HALF, at.seed)
    state, weights = optimizer.state_dict(), [p.data.copy() for p in params]
    run(optimizer, params, REST, at.seed)  # the state is a copy
    other, others = ours_of(case, at, values=1)
    for p, weight in zip(others, weights, strict=True):
        p.data[...] = weight
    other.load_state_dict(state)
    run(other, others, REST, at.seed)
    for p, q in zip(params, others, strict=True):
        np.testing.assert_array_equal(p.data, q.data, strict=True)


def torchs_state(case: OptimizerCase, at: At) -> Errors:
    """PyTorch's weights and state, loaded in the middle, go on as PyTorch does."""
    (optimizer, params), (twin, twins) = ours_of(replace(case, l1=0.0), at, values=1), theirs_of(case, at)
    run_torch(twin, twins, HALF, at.seed)
    for p, t in zip(params, twins, strict=True):
        p.data[...] = t.detach().numpy()
    optimizer.load_state_dict(to_numpy(twin.state_dict()))
    run(optimizer, params, REST, at.seed)
    run_torch(twin, twins, REST, at.seed)
    return compared(params, twins, at)


def gradients_are_only_read(case: OptimizerCase, at: At) -> None:
    """A step changes no gradient: clearing them is for the caller to do."""
    optimizer, params = ours_of(case, at)
    for step in range(2):
        run(optimizer, params, [step], at.seed)
        before = [p.grad.copy() for p in params]
        assert all(np.any(grad) for grad in before)
        optimizer.step()
        for p, grad in zip(params, before, strict=True):
            np.testing.assert_array_equal(p.grad, grad, strict=True)


CHECKS: dict[str, Check] = {
    "torch parity": torch_parity,
    "l1 penalty": l1_penalty,
    "zero gradients": zero_gradients,
    "resume": resume,
    "torch's state": torchs_state,
    "gradients are only read": gradients_are_only_read,
}

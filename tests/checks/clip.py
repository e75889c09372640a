"""What gradient clipping has to do: PyTorch's arithmetic."""

import numpy as np
import torch

from tests.cases.case import At
from tests.cases.clip import ClipCase
from tests.checks.errors import Check, Errors, assert_within
from tests.optim_twins import parameters, tensors


def torch_parity(case: ClipCase, at: At) -> Errors:
    """The gradients that PyTorch leaves, the norm that it returns, and nothing done to the weights."""
    ours, theirs = (make(at.dtype, at.seed, case.shapes) for make in (parameters, tensors))
    weights = [p.data.copy() for p in ours]
    for i, (p, t) in enumerate(zip(ours, theirs, strict=True)):
        p.grad += at.rng(i).standard_normal(p.shape)
        t.grad = torch.tensor(p.grad)
    norm, expected = case(ours), case.twin(theirs)
    errors = [0.0 if norm is None else abs(norm / expected.item() - 1)]
    for p, t, weight in zip(ours, theirs, weights, strict=True):
        grad = t.grad.numpy()
        assert p.grad.dtype == grad.dtype
        errors.append(float(np.max(np.abs(p.grad - grad) / np.where(grad, np.abs(grad), 1))))
        np.testing.assert_array_equal(p.data, weight, strict=True)
    # A norm is the root of a sum of powers: a rounding for each term, and ten for powers, root and factor, in each
    # library. The root of 1/2 is a square, which doubles them.
    roundings = 2 * (sum(p.size for p in ours) + 20)
    return assert_within({"gradients": max(errors)}, roundings * float(np.finfo(at.dtype).eps) / 2)


CHECKS: dict[str, Check] = {"torch parity": torch_parity}

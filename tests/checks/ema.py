"""What weight averaging has to do: PyTorch's arithmetic, and a state that goes on."""

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from minigrad import optim
from minigrad.nn.parameter import Parameter
from tests.cases.case import At
from tests.cases.ema import EMACase
from tests.checks.errors import Check, Errors, assert_within
from tests.optim_twins import STEPS, parameters

# Averages and weights are 4 at most, and an update rounds three times, in each of two libraries: over 20 updates
# 20 * 2 * 3 * 4 = 480 units.
BOUND = {np.float32: 480 * 2.0**-24, np.float64: 480 * 2.0**-53}


def move(params: list[Parameter], at: At, step: int) -> None:
    for i, p in enumerate(params):
        p.data[...] = np.clip(np.random.default_rng((at.seed, step, i)).standard_normal(p.shape), -4, 4)


def torch_parity(case: EMACase, at: At) -> Errors:
    """The averages of PyTorch, after every update."""
    params, errors = parameters(at.dtype, at.seed, case.shapes), [0.0]
    ema, module = case.make(iter(params)), torch.nn.Module()
    module.weights = torch.nn.ParameterList(torch.tensor(p.data) for p in params)
    twin = AveragedModel(module)
    twin.update_parameters(module)  # PyTorch takes the weights at the first update, minigrad when made
    for step in range(STEPS):
        move(params, at, step)
        weights = [p.data.copy() for p in params]
        ema.update()
        for p, weight, t in zip(params, weights, module.weights, strict=True):
            np.testing.assert_array_equal(p.data, weight, strict=True)
            t.data.copy_(torch.from_numpy(weight))
        twin.multi_avg_fn = get_ema_multi_avg_fn(case.decay_of(step + 1))
        twin.update_parameters(module)
        for average, t in zip(ema.averages, twin.module.weights, strict=True):
            assert average.dtype == at.dtype
            errors.append(float(np.max(np.abs(average - t.detach().numpy()))))
    return assert_within({"averages": max(errors)}, BOUND[at.dtype])


def resume(case: EMACase, at: At) -> None:
    """A fresh average with the state that was saved goes on bit for bit."""
    params = parameters(at.dtype, at.seed, case.shapes)
    ema = case.make(params)
    advance(ema, params, at, range(STEPS // 2))
    state = ema.state_dict()
    advance(ema, params, at, range(STEPS // 2, STEPS))  # the state is a copy
    other = optim.EMA(params)
    other.load_state_dict(state)
    advance(other, params, at, range(STEPS // 2, STEPS))
    for mine, theirs in zip(ema.averages, other.averages, strict=True):
        np.testing.assert_array_equal(mine, theirs, strict=True)


def advance(ema: optim.EMA, params: list[Parameter], at: At, steps: range) -> None:
    for step in steps:
        move(params, at, step)
        ema.update()


CHECKS: dict[str, Check] = {"torch parity": torch_parity, "resume": resume}

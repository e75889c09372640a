"""A compiled training goes on as an eager one does, whatever happens between its steps."""

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim
from minigrad.engine import EagerStep, TrainingStep
from tests.backend import needs_engine
from tests.engine_runs import results_of, shared_by
from tests.engine_twins import adam, network, samples, twins

pytestmark = needs_engine


@pytest.fixture(autouse=True, params=[False, True], ids=["small work is not shared", "all is shared"])
def _shared(request: pytest.FixtureRequest) -> Iterator[None]:
    with shared_by(2) if request.param else nullcontext():
        yield


# ------------------------------------------------------------------------------------------------- which weights


def test_everything() -> None:
    twins(network()).train(20)


def test_tied_weights() -> None:
    """One parameter in two layers, and one layer in two places: their gradients add up."""
    layer = nn.Sequential(nn.Linear(7, 7, rng=0), nn.BatchNorm1d(7), nn.LayerNorm(7), nn.PReLU(7))
    first, second = nn.Linear(3, 7, rng=1), nn.Linear(7, 7, rng=2)
    second.weight = layer[0].weight
    model = nn.Sequential(first, layer, nn.Tanh(), second, layer, nn.Linear(7, 5, rng=3)).to(np.float64)
    assert second.weight is layer[0].weight
    twins(model).train(5)


@pytest.mark.parametrize("frozen", [[0], [0, 1], [0, 1, 4, 5], [7], [1, 4, 6]])
def test_frozen_weights(frozen: list[int]) -> None:
    """What the optimizer does not know stays; the backward ends where nothing before is trained."""

    def some(model: nn.Module) -> optim.Optimizer:
        kept = [p for i, layer in enumerate(model) if i not in frozen for p in layer.parameters()]
        return optim.Adam(kept, lr=0.01)

    both = twins(network(), some)
    before = both.compiled.model.state_dict()
    both.train()
    after = both.compiled.model.state_dict()
    for i in frozen:
        for name, _ in both.compiled.model[i].named_parameters():
            np.testing.assert_array_equal(after[f"{i}.{name}"], before[f"{i}.{name}"], strict=True)


def test_a_parameter_that_the_model_does_not_use() -> None:
    def more(model: nn.Module) -> optim.Optimizer:
        return optim.SGD([*model.parameters(), nn.Parameter(np.ones(3))], lr=0.1, momentum=0.9, weight_decay=0.5)

    both = twins(network(), more)
    both.train()
    assert np.all(both.compiled.optimizer.param_groups[0]["params"][-1].data < 0.9)


def test_gradients_that_were_there_before_do_not_count() -> None:
    def more(model: nn.Module) -> optim.Optimizer:
        return optim.SGD([*model.parameters(), nn.Parameter(np.ones(3))], lr=0.1)

    both = twins(network(), more)
    for _ in range(2):
        both.do(lambda step: [parameter.grad.fill(9) for parameter in step.trained])
        both.train()


@pytest.mark.parametrize("clip_norm", [1e-3, 0.5, 1e6])
def test_clipping(clip_norm: float) -> None:
    both = twins(network(), lambda model: optim.SGD(model.parameters(), lr=0.5), clip_norm=clip_norm)
    both.train(5)
    unclipped = twins(network(), lambda model: optim.SGD(model.parameters(), lr=0.5))
    unclipped.train(5)
    others = unclipped.eager.parameters
    same = [np.array_equal(p.data, q.data) for p, q in zip(both.eager.parameters, others, strict=True)]
    assert all(same) == (clip_norm == 1e6)


def test_clipping_with_frozen_weights() -> None:
    """Their gradients are no part of the norm."""

    def head(model: nn.Module) -> optim.Optimizer:
        return optim.SGD(model[7].parameters(), lr=0.5)

    twins(network(), head, clip_norm=0.1).train()


# --------------------------------------------------------------------------------------------- what comes between


def set_option(step: TrainingStep, **options: Any) -> None:
    step.optimizer.param_groups[0].update(options)


ADAM_CHANGES = [{"lr": 0.1}, {"betas": (0.5, 0.6)}, {"weight_decay": 0.3}, {"maximize": True}, {"amsgrad": True}]
SGD_CHANGES = [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.5, "dampening": 0.5}, {"l1": 0.1}]


@pytest.mark.parametrize("change", ADAM_CHANGES, ids=str)
def test_adam_is_changed(change: dict[str, Any]) -> None:
    both = twins(network())
    both.train()
    both.do(lambda step: set_option(step, **change))
    both.train()


@pytest.mark.parametrize("change", SGD_CHANGES, ids=str)
def test_sgd_is_changed(change: dict[str, Any]) -> None:
    both = twins(network(), lambda model: optim.SGD(model.parameters(), lr=0.01))
    both.train()
    both.do(lambda step: set_option(step, **change))
    both.train()
    both.do(lambda step: set_option(step, momentum=0.0, nesterov=False, dampening=0.0))
    both.train()
    both.do(lambda step: set_option(step, **change))
    both.train()


def test_rmsprop_becomes_centered() -> None:
    both = twins(network(), lambda model: optim.RMSprop(model.parameters(), lr=0.01, eps=0.1))
    for change in ({"centered": True}, {"momentum": 0.5}, {"centered": False}):
        both.train()
        both.do(lambda step, change=change: set_option(step, **change))
    both.train()


def test_a_group_is_added() -> None:
    def tail(model: nn.Module) -> optim.Optimizer:
        return optim.Adam([p for layer in list(model)[5:] for p in layer.parameters()])

    both = twins(network(), tail)
    both.train()
    both.do(lambda step: step.optimizer.add_param_group({"params": list(step.model[0].parameters()), "lr": 0.1}))
    both.train()
    assert [block.step for blocks in both.compiled.optimizer._blocks for block in blocks] == [6, 3]


def test_batches_of_many_sizes() -> None:
    both = twins(network())
    for count in (8, 3, 8, 2, 17, 3):
        both.train(2, count)


def test_batch_of_one() -> None:
    model = nn.Sequential(nn.Linear(3, 7, rng=0), nn.LayerNorm(7), nn.Linear(7, 5, rng=1)).to(np.float64)
    twins(model).train(count=1)


def test_another_precision() -> None:
    """There and back: weights, running statistics and the optimizer's state."""
    both = twins(network())
    both.train()
    both.do(lambda step: step.model.to(np.float32))
    for _ in range(3):
        x, y = samples(seed=both.count)
        both.step(x.astype(np.float32), y)
    both.do(lambda step: step.model.to(np.float64))
    both.losses[0][:], both.losses[1][:] = [], []
    with pytest.raises(AssertionError):
        both.train(1)  # float32's roundings stay: far above those of float64
    ours, theirs = (results_of(step, []) for step in (both.compiled, both.eager))
    assert all(array.dtype != np.float32 for array in ours.values())
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=0, atol=1e-4, err_msg=name)


def test_modes_of_layers() -> None:
    """Frozen normalisations, a mask less, all in evaluation, and back."""
    both = twins(network())
    both.train()
    for choose in (lambda m: m[1], lambda m: m[3], lambda m: m[4].body[1], lambda m: m):
        both.do(lambda step, choose=choose: choose(step.model).eval())
        both.train()
    both.do(lambda step: step.model.train())
    both.train()


def test_states_are_loaded() -> None:
    """Of the model, of the optimizer, and of an optimizer that has not stepped."""
    both, fresh = twins(network()), network()
    new = adam(fresh).state_dict()
    both.train()
    saved = copy.deepcopy((both.eager.model.state_dict(), both.eager.optimizer.state_dict()))
    both.train()
    both.do(lambda step: step.model.load_state_dict(saved[0]))
    both.train()
    both.do(lambda step: step.optimizer.load_state_dict(saved[1]))
    both.train()
    both.do(lambda step: step.optimizer.load_state_dict(new))
    both.train()


def test_momentum_is_loaded() -> None:
    """SGD's first step is another one: it is known by the state."""
    both = twins(network(), lambda model: optim.SGD(model.parameters(), lr=0.01, momentum=0.9, dampening=0.5))
    new = both.eager.optimizer.state_dict()
    both.train()
    old = both.eager.optimizer.state_dict()
    both.train()
    for state in (old, new, old):
        both.do(lambda step, state=state: step.optimizer.load_state_dict(state))
        both.train()


@pytest.mark.parametrize("make", [EagerStep, minigrad.compile], ids=["eager", "compiled"])
def test_two_steps_over_one_state_take_turns(make: Callable[..., TrainingStep]) -> None:
    both = twins(network())
    first = both.compiled
    second = make(first.model, first.loss, first.optimizer)
    for _ in range(3):
        both.train(2)
        both.compiled = second
        both.train(2)
        both.compiled = first


def test_weights_lie_elsewhere() -> None:
    """A second optimizer takes them into its memory; somebody gives a parameter another array."""
    both = twins(network())
    both.train()
    kept = []
    both.do(lambda step: kept.append(optim.SGD(step.model.parameters())))
    both.train()
    both.do(lambda step: setattr(step.model[0].weight, "data", step.model[0].weight.data * 2))
    both.train()
    both.do(lambda step: setattr(step.model[1], "running_mean", step.model[1].running_mean + 1))
    both.train()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda parts: pickle.loads(pickle.dumps(parts))])
def test_copies_go_on_alone(duplicate: Callable[[Any], Any]) -> None:
    both = twins(network())
    both.train()
    step = both.compiled
    model, optimizer = duplicate((step.model, step.optimizer))
    before = results_of(step, both.losses[1])
    continued = minigrad.compile(model, step.loss, optimizer)
    continued(*samples())
    for name, array in results_of(step, both.losses[1]).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    both.train()
    model, optimizer = duplicate((step.model, step.optimizer))
    both.compiled = minigrad.compile(model, step.loss, optimizer)
    both.train()


def test_evaluation_sees_what_was_trained() -> None:
    both = twins(network())
    x, _ = samples(20)
    forward = both.compiled.model.compiled(batch_size=6)
    for _ in range(3):
        both.train()
        both.do(lambda step: step.model.eval())
        expected = both.compiled.model(x)
        np.testing.assert_allclose(both.eager.model(x), expected, rtol=1e-11, atol=1e-13)
        both.do(lambda step: step.model.train())
        np.testing.assert_allclose(forward(x), expected, rtol=1e-12, atol=1e-14)
        assert both.compiled.model[3].training
    both.do(lambda step: step.model.zero_grad())
    both.train()


def test_not_a_number() -> None:
    """It goes through as it does eagerly: to the loss and to the weights."""
    x, y = samples()
    x[0, 0] = np.nan
    both = twins(network())
    values = [step(x, y) for step in (both.eager, both.compiled)]
    assert np.isnan(values).all()
    for p, q in zip(both.eager.parameters, both.compiled.parameters, strict=True):
        np.testing.assert_array_equal(np.isnan(p.data), np.isnan(q.data))

"""Frozen parameters in compiled steps: no instruction goes back into them, and nothing of theirs changes."""

import numpy as np
import pytest

import minigrad
from minigrad import models, nn, optim
from tests.backend import needs_engine
from tests.engine_runs import programs_of
from tests.engine_twins import network, samples, twins

pytestmark = needs_engine


def resnet() -> models.ResNet:
    return models.ResNet((1, 1), (4, 8), 5, in_channels=3, small_images=True, rng=0)


def kernels_of(model: nn.Module, make: type[optim.Optimizer] = optim.Adam) -> list[str]:
    """Return the kernels of a step, in order."""
    step = minigrad.compile(model, nn.CrossEntropyLoss(), make(model.parameters()))
    x, y = samples(shape=(3, 6, 6))
    step(x.astype(np.float32), y)
    (program,) = programs_of(step)
    return [instruction.kernel for instruction in program.instructions]


def test_a_frozen_backbone_costs_no_backward() -> None:
    """Behind the loss there is the head's weight and bias, and the update; BatchNorm takes no statistics."""
    kernels = kernels_of(models.freeze_backbone(resnet()))
    head = kernels.index("linear_forward") + 1
    loss = kernels.index("cross_entropy_backward") + 1
    assert kernels[loss:] == ["count", "linear_backward_weight", "column_sums", "adam_update"]
    assert not any("backward" in kernel for kernel in kernels[:head])
    assert not {"channel_moments", "channel_statistics", "batch_norm_track", "count"} & set(kernels[:head])
    assert "channel_moments" in kernels_of(resnet())


def test_the_backward_ends_at_the_first_trained_layer() -> None:
    """Of a block behind frozen ones the first convolution of each branch has no dx."""
    model = resnet()
    for part in (model.conv1, model.bn1, model.layer1):
        part.requires_grad_(False)
    kernels = kernels_of(model)
    assert sum(kernel in ("conv_backward_weight", "winograd_backward_weight") for kernel in kernels) == 3
    forward = ("conv_forward", "winograd_forward", "winograd_of_few")
    assert sum(kernel in forward for kernel in kernels) == 6 + 1  # a dx is a forward turned around


@pytest.mark.parametrize("frozen", [[0], [0, 1], [0, 1, 4, 5], [7], [1, 4, 6]])
def test_frozen_weights(frozen: list[int]) -> None:
    """They stay as they are, bit for bit. Eager and compiled agree, also when all is trained again."""
    both = twins(network(), clip_norm=0.5)
    both.train(2)
    both.do(lambda step: [step.model[i].requires_grad_(False) for i in frozen])
    names = [name for name in both.compiled.model.state_dict() if int(name[0]) in frozen]
    numbers = [i for i, p in enumerate(both.compiled.model.parameters()) if not p.requires_grad]
    before = [(step.model.state_dict(), step.optimizer.state_dict()["state"]) for step in (both.eager, both.compiled)]
    both.train(2)
    for step, (model, optimizer) in zip((both.eager, both.compiled), before, strict=True):
        after = step.model.state_dict()
        for name in names:
            np.testing.assert_array_equal(after[name], model[name], err_msg=name)
        state = step.optimizer.state_dict()["state"]
        for number in numbers:
            np.testing.assert_equal(state[number], optimizer[number])
    both.do(lambda step: step.model.requires_grad_())
    both.train(2)


def test_nothing_is_trained() -> None:
    both = twins(network(), clip_norm=0.5)
    both.do(lambda step: step.model.requires_grad_(False))
    before = both.compiled.model.state_dict()
    both.train(2)
    for name, array in both.compiled.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_running_statistics_of_instances() -> None:
    layer = nn.InstanceNorm2d(3, affine=True, track_running_stats=True).requires_grad_(False)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 5, rng=0)).to(np.float64)
    both = twins(model)
    for number in range(2):
        both.step(*samples(seed=number, shape=(3, 2, 2)))
    for step in (both.eager, both.compiled):
        np.testing.assert_array_equal(step.model[0].running_mean, 0)


def test_groups_of_learning_rates_and_a_schedule() -> None:
    def layered(model: nn.Module) -> optim.Optimizer:
        return optim.Adam(models.layer_groups(model, lr=0.02, decay=0.5))

    both = twins(network(), layered)
    rates = [group["lr"] for group in both.compiled.optimizer.param_groups]
    assert rates == [0.02 * 0.5**k for k in range(6)]
    schedules = [optim.CosineAnnealingLR(step.optimizer, 4) for step in (both.eager, both.compiled)]
    for _ in range(3):
        both.train(1)
        for schedule in schedules:
            schedule.step()
    x, y = samples(24)
    optimizers = both.eager.optimizer, both.compiled.optimizer
    losses = [
        step.epoch(x, y, schedule=schedule)
        for step, schedule in zip((both.eager, both.compiled), schedules, strict=True)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-9)
    assert [group["lr"] for group in optimizers[0].param_groups] == [
        group["lr"] for group in optimizers[1].param_groups
    ]
    both.train(1)

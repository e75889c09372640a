"""A loss that is not finite leaves everything as it was before its batch."""

import numpy as np
import pytest

from minigrad import data, nn, optim
from minigrad.train import LRSchedule, NonFiniteError, Trainer
from tests.backend import needs_engine

SIZE, BAD = 8, 4  # samples in a batch, and the number of the batch with a NaN
X = np.random.default_rng(0).standard_normal((64, 1, 5, 5)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 64)


def network():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=0),
        nn.BatchNorm2d(4),
        nn.InstanceNorm2d(4, track_running_stats=True),
        nn.Dropout2d(0.3, rng=1),
        nn.Flatten(),
        (shared := nn.Dropout(0.5, rng=2)),
        nn.Linear(36, 6, rng=3),
        nn.BatchNorm1d(6, momentum=None),
        shared,
        nn.Linear(6, 3, rng=4),
    )


def trained(x, y, *, compiled, schedule=True, size=SIZE, single=False):
    """A Trainer after one epoch over these samples, or as far as it came."""
    model = network()
    adam = optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    cycle = optim.OneCycleLR(adam, 0.1, 100)
    callbacks = [LRSchedule(cycle, every="step")] if schedule else []
    if single:
        callbacks.append(LRSchedule(optim.ExponentialLR(adam, 0.9), every="step"))
    run = Trainer(model, nn.CrossEntropyLoss(), adam, callbacks=callbacks, progress=False, compiled=compiled)
    try:
        run.fit(data.Loader((x, y), size), epochs=1)
        is_whole = True
    except NonFiniteError:
        is_whole = False
    return run, cycle, is_whole


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_engine), False])
@pytest.mark.parametrize("single", [False, True], ids=["many steps a call", "one by one"])
@pytest.mark.parametrize("bad", [1, BAD])
def test_all_is_as_before_the_batch_that_failed(compiled, single, bad):
    x = X.copy()
    x[SIZE * bad + 3, 0, 2, 2] = np.nan
    run, cycle, is_whole = trained(x, Y, compiled=compiled, single=single)
    assert not is_whole
    want, want_cycle, is_whole = trained(X[: SIZE * bad], Y[: SIZE * bad], compiled=compiled, single=single)
    assert is_whole
    for name, array in want.model.state_dict().items():
        np.testing.assert_array_equal(run.model.state_dict()[name], array, name)
    for layer, other in zip(run.model.modules(), want.model.modules(), strict=True):
        assert getattr(layer, "step", 0) == getattr(other, "step", 0)
        assert layer.training == other.training
    ours, theirs = run.optimizer.state_dict(), want.optimizer.state_dict()
    assert ours["param_groups"] == theirs["param_groups"]
    for number, state in theirs["state"].items():
        for name, value in state.items():
            np.testing.assert_array_equal(ours["state"][number][name], value, name)
    assert cycle.state_dict() == want_cycle.state_dict()


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_engine), False])
def test_it_predicts_as_before_and_can_be_trained_further(compiled):
    x = X.copy()
    x[-1] = np.inf
    with np.errstate(invalid="ignore"):
        run, _, _ = trained(x, Y, compiled=compiled, schedule=False)
    assert np.isfinite(run.predict(X)).all()
    assert np.isfinite(run.fit((X, Y), epochs=1)["loss"]).all()

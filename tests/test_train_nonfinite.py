import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.data import ArrayDataset
from minigrad.train import Callback, EarlyStopping, NonFiniteError, StopOnNaN, Trainer
from minigrad.train.stopping import find_non_finite


def blobs(samples=64):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, samples)
    return ArrayDataset((rng.standard_normal((samples, 5)) + y[:, None]).astype(np.float32), y)


def make(model, *callbacks, loss=None, **options):
    sgd = optim.SGD(model.parameters(), lr=0.1)
    loss = loss or nn.CrossEntropyLoss()
    return Trainer(model, loss, sgd, callbacks=callbacks, **({"progress": False} | options))


class Explode(nn.Module):
    """y = x / 0 from some call on, in training."""

    def __init__(self, call):
        super().__init__()
        self._call, self._calls = call, 0

    def _forward(self, x):
        self._calls += self.training
        return (x / np.float32(0) if self._calls > self._call else x), None

    def _backward(self, saved, dy):
        return dy


def mlp(*middle):
    return nn.Sequential(nn.Linear(5, 7, rng=0), nn.BatchNorm1d(7), *middle, nn.Linear(7, 3, rng=1))


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("callbacks", [[], [StopOnNaN()]])
def test_the_first_layer_is_named_with_epoch_and_step(callbacks):
    model = mlp(nn.Residual(nn.Sequential(nn.ReLU(), Explode(call=6))))
    trainer = make(model, *callbacks)
    message = (
        r"^loss is nan in epoch 2, step 3: "
        r"the output of Sequential\[2\].body\[1\].Explode is the first that is not finite$"
    )
    with pytest.raises(NonFiniteError, match=message):
        trainer.fit(blobs(), epochs=5, batch_size=16)
    assert (len(trainer.history), trainer.history.stopped) == (1, "error")
    assert len(model._saved) == 0
    assert all(np.isfinite(parameter.data).all() for parameter in model.parameters())


def test_nan_in_the_input_is_counted():
    data = blobs()
    data.x[[3, 40], 2] = np.nan
    with pytest.raises(NonFiniteError, match="epoch 1, step 1: the input of 2 of 64 samples hold NaN or infinity"):
        make(mlp()).fit(data, epochs=1)


def test_nan_in_the_targets_is_counted():
    x, y = blobs().x, np.zeros((64, 3), np.float32)
    y[5, 1] = np.inf
    with pytest.raises(NonFiniteError, match=r"loss is inf .* the targets of 1 of 64 samples"):
        make(mlp(), loss=nn.MSELoss()).fit((x, y), epochs=1)


def test_a_parameter_that_an_update_spoilt_is_named():
    class Spoil(Callback):
        def on_step_end(self, trainer):
            if trainer.step == 2:
                trainer.model[2].weight.data[0, 0] = np.inf

    message = r"epoch 1, step 3: after the last update parameter 2.weight is not finite \(lower the learning rate"
    with pytest.raises(NonFiniteError, match=message):
        make(mlp(), Spoil()).fit(blobs(), epochs=1, batch_size=16)


def test_a_run_that_diverges_is_stopped():
    model = nn.Sequential(nn.Linear(5, 7, rng=0), nn.Linear(7, 1, rng=1))
    sgd = optim.SGD(model.parameters(), lr=1e6)
    data = (blobs().x, np.ones((64, 1), np.float32))
    with pytest.raises(NonFiniteError, match="epoch 1, step"):
        Trainer(model, nn.MSELoss(), sgd, progress=False).fit(data, epochs=1, batch_size=4)


def test_a_loss_that_overflows_behind_a_finite_output():
    model = nn.Linear(5, 1, rng=0)
    data = (blobs().x, np.full((64, 1), 1e30, np.float32))
    with pytest.raises(NonFiniteError, match="the model's output is finite"):
        make(model, loss=nn.MSELoss()).fit(data, epochs=1)


def test_the_best_weights_are_kept():
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, trainer, row):
            kept.append(trainer.model.state_dict())

    model = mlp(Explode(call=9))
    trainer = make(model, EarlyStopping("loss"), Keep())
    with pytest.raises(NonFiniteError):
        trainer.fit(blobs(), epochs=5, batch_size=16)
    assert len(kept) == 2
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, kept[1][name])


class Spy(nn.Identity):
    """Keeps what comes by."""

    def __init__(self):
        super().__init__()
        self._seen = []

    def _forward(self, x):
        self._seen.append(x.copy())
        return x, None


def test_the_search_is_the_next_forward_and_leaves_no_trace():
    spy, x = Spy(), blobs().x
    model = nn.Sequential(
        nn.Dropout(0.5, rng=0), nn.Linear(5, 5, rng=0), nn.BatchNorm1d(5), nn.Dropout(0.5, rng=1), spy
    )
    model(x)
    before, steps = model.state_dict(), [model[0].step, model[3].step]
    assert find_non_finite(model, x, np.zeros(64)) == "the model's output is finite"
    assert [model[0].step, model[3].step] == steps
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    model(x)
    _, searched, following = spy._seen
    np.testing.assert_array_equal(searched, following)


def test_it_can_be_off():
    trainer = make(mlp(Explode(call=0)), stop_on_nan=False)
    assert np.isnan(trainer.fit(blobs(), epochs=2)["loss"]).all()

"""Evaluation by the Trainer: compiled where that is less work, and the same as without."""

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.engine.eager import EagerModel
from minigrad.train import Trainer
from tests.backend import needs_engine
from tests.test_train_compiled import blobs, make


@needs_engine
def test_outputs_are_the_eager_ones():
    compiled, eager, data = make(), make(compiled=False), blobs(700)
    np.testing.assert_allclose(compiled.predict(data.x, 300), eager.predict(data.x, 300), rtol=1e-12)
    assert compiled.evaluate(data, 300) == pytest.approx(eager.evaluate(data, 300), rel=1e-12)


@needs_engine
@pytest.mark.parametrize(("samples", "compiled", "times"), [(30, True, 0), (31, True, 1), (31, False, 0)])
def test_outputs_are_compiled_where_it_pays(samples, compiled, times, monkeypatch):
    """That is, for more than one batch."""
    made = []
    monkeypatch.setattr(nn.Module, "compiled", lambda model: made.append(model) or EagerModel(model))
    make(compiled=compiled).predict(blobs(samples).x, batch_size=30)
    assert len(made) == times


@needs_engine
@pytest.mark.parametrize(("samples", "is_worth_it"), [(1, False), (100, False), (1800, True)])
def test_one_batch_is_compiled_where_it_is_much_work(samples, is_worth_it, monkeypatch):
    """And from then on what is less work is, too: there is a program."""
    made, make_it = [], nn.Module.compiled
    monkeypatch.setattr(nn.Module, "compiled", lambda model: made.append(model) or make_it(model))
    model = nn.Sequential(nn.Linear(500, 400, rng=0), nn.ReLU(), nn.Linear(400, 10, rng=1))
    x = np.random.default_rng(0).standard_normal((1800, 500)).astype(np.float32)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), progress=False)
    outputs = trainer.predict(x[:samples], batch_size=2000)
    assert len(made) == is_worth_it
    np.testing.assert_allclose(trainer.predict(x[:3]), model.eval()(x[:3]), rtol=1e-4, atol=1e-5)
    trainer.evaluate((x[:5], np.zeros(5, int)))
    assert len(made) == is_worth_it
    np.testing.assert_allclose(outputs, model(x[:samples]), rtol=1e-4, atol=1e-5)
    trainer.compiled = False
    np.testing.assert_array_equal(trainer.predict(x[:7]), model(x[:7]))
    trainer.compiled, trainer.model = True, nn.Linear(500, 3, rng=0)
    assert trainer.predict(x[:7]).shape == (7, 3)


@needs_engine
def test_a_convolution_is_worth_it_sooner(monkeypatch):
    """Its weights are used at each pixel."""
    made, make_it = [], nn.Module.compiled
    monkeypatch.setattr(nn.Module, "compiled", lambda model: made.append(model) or make_it(model))
    model = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1, rng=0), nn.ReLU(), nn.Conv2d(32, 8, 3, rng=1), nn.Flatten())
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1), progress=False)
    x = np.random.default_rng(0).standard_normal((360, 3, 20, 20)).astype(np.float32)
    for samples in (9, 360):
        outputs = trainer.predict(x[:samples])
        np.testing.assert_allclose(outputs, model.eval()(x[:samples]), rtol=1e-3, atol=1e-4)
        assert len(made) == (samples == 360)


@needs_engine
def test_a_model_that_takes_one_number_of_samples():
    """Two and three samples tell of others only where they are taken."""
    model = nn.Sequential(nn.Flatten(0), nn.Linear(40 * 3, 2, rng=0))
    forward, x = model.compiled(), np.ones((80, 3), np.float32)
    np.testing.assert_allclose(forward(x[:40]), model(x[:40]), rtol=1e-5)
    with pytest.raises(nn.LayerError, match=r"Linear: want input of shape \(\*, 120\), got \(240,\)"):
        forward(x)

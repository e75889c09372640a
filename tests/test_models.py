import numpy as np
import pytest

from minigrad import models, nn
from minigrad.models import ACTIVATIONS

X = np.random.default_rng(0).standard_normal((4, 1, 3, 2)).astype(np.float32)


def kinds(model):
    return [type(layer).__name__ for layer in model]


def test_the_layers_come_in_this_order():
    model = models.mlp(6, [5, 4], 3, activation="tanh", batch_norm=True, dropout=0.2)
    block = ["Linear", "BatchNorm1d", "Tanh", "Dropout"]
    assert kinds(model) == ["Flatten", *block, *block, "Linear"]
    assert [(layer.in_features, layer.out_features) for layer in model if isinstance(layer, nn.Linear)] == [
        (6, 5),
        (5, 4),
        (4, 3),
    ]
    assert all(layer.bias is not None for layer in model if isinstance(layer, nn.Linear))
    assert model(X).shape == (4, 3)


def test_without_extras_there_are_no_layers_for_them():
    assert kinds(models.mlp(6, [5], 3)) == ["Flatten", "Linear", "ReLU", "Linear"]


def test_without_hidden_layers_it_is_linear():
    model = models.mlp(6, [], 3)
    assert kinds(model) == ["Flatten", "Linear"]
    np.testing.assert_allclose(model(X), X.reshape(4, 6) @ model[1].weight.data.T + model[1].bias.data, rtol=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_trains(name):
    model = models.mlp(6, [5], 3, activation=name, rng=0)
    y = model(X)
    assert model.backward(np.ones_like(y)).shape == X.shape
    assert np.abs(model[1].weight.grad).max() > 0


def test_the_seed_decides_on_weights_and_masks():
    one, same, other = (models.mlp(6, [5], 3, dropout=0.5, rng=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one(X), same(X))
    assert np.any(one(X) != other(X))


def test_the_layers_do_not_share_one_draw():
    model = models.mlp(6, [6, 6], 3, dropout=0.5, rng=1)
    assert np.any(model[1].weight.data != model[4].weight.data)
    assert model[3].seed != model[6].seed


def test_it_has_the_parameters_of_the_reference_network():
    model = models.mlp(784, [512, 256], 10)
    assert sum(parameter.size for parameter in model.parameters()) == 535_818


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "relU"}, "want an activation of elu, .*got 'relU'"),
        ({"dropout": 1.5}, "probability p in"),
        ({"hidden": [0]}, "positive sizes"),
        ({"classes": 0}, "positive sizes"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.mlp(**({"in_features": 6, "hidden": [5], "classes": 3} | arguments))

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


@pytest.mark.parametrize("filters", [(32, 64), (4,), (3, 5, 7)])
def test_the_layers_of_a_cnn(filters):
    model = models.cnn(2, 6, image_size=17, filters=filters, kernel_size=5, dropout=0.4, rng=0)
    assert kinds(model) == ["Conv2d", "ReLU", "MaxPool2d"] * len(filters) + ["Flatten", "Dropout", "Linear"]
    assert [layer.out_channels for layer in model if isinstance(layer, nn.Conv2d)] == list(filters)
    assert model(np.ones((3, 2, 17, 17), np.float32)).shape == (3, 6)
    assert "Dropout" not in kinds(models.cnn())


def test_hidden_layers_of_a_cnn():
    model = models.cnn(image_size=8, filters=(2,), hidden=[5, 4], dropout=0.4, rng=0)
    block = ["Dropout", "Linear", "ReLU"]
    assert kinds(model) == ["Conv2d", "ReLU", "MaxPool2d", "Flatten", *block, *block, "Dropout", "Linear"]
    assert [layer.out_features for layer in model if isinstance(layer, nn.Linear)] == [5, 4, 10]
    assert model(np.ones((3, 1, 8, 8), np.float32)).shape == (3, 10)


def test_the_reference_cnn():
    assert sum(parameter.size for parameter in models.cnn().parameters()) == 50186


def test_the_layers_of_a_vgg():
    model = models.vgg(2, 6, filters=(3, 5), dropout=0.1, rng=0)
    pair = ["Conv2d", "BatchNorm2d", "ReLU"] * 2
    assert kinds(model) == [*pair, "MaxPool2d", *pair, "AdaptiveAvgPool2d", "Flatten", "Dropout", "Linear"]
    assert model(np.ones((3, 2, 9, 11), np.float32)).shape == (3, 6)
    assert sum(parameter.size for parameter in models.vgg().parameters()) == 288170
    with pytest.raises(ValueError, match="vgg: want filters"):
        models.vgg(filters=())


def test_a_cnn_that_cannot_be():
    with pytest.raises(ValueError, match="cnn: 3 poolings leave nothing of images of 7 pixels a side"):
        models.cnn(image_size=7, filters=(2, 2, 2))
    with pytest.raises(ValueError, match="want a probability"):
        models.cnn(dropout=2)


@pytest.mark.parametrize(
    ("model", "parameters"),
    [(models.resnet18, 11_689_512), (models.resnet34, 21_797_672), (models.resnet20, 272_474)],
)
def test_resnets_have_as_many_parameters_as_published(model, parameters):
    assert sum(parameter.size for parameter in model().parameters()) == parameters


def test_a_stem_for_small_images():
    model = models.resnet18(10, in_channels=1, small_images=True, rng=0)
    assert model.conv1.weight.shape == (64, 1, 3, 3)
    assert "MaxPool2d" not in kinds(model.compose())
    assert model(np.ones((2, 1, 8, 8), np.float32)).shape == (2, 10)

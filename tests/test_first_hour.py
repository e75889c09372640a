"""The first hour of users of scikit-learn, Keras and PyTorch: it works, or the error says what to type."""

import numpy as np
import pytest

from minigrad import data, nn, optim
from minigrad.train import Trainer

RNG = np.random.default_rng(0)


def make(inputs, outputs, loss=None, model=None):
    model = model or nn.Sequential(nn.Linear(inputs, 32, rng=0), nn.ReLU(), nn.Linear(32, outputs, rng=1))
    adam = optim.Adam(model.parameters(), lr=0.01)
    return Trainer(model, loss or nn.CrossEntropyLoss(), adam, progress=False)


@pytest.fixture
def datasets():
    return pytest.importorskip("sklearn.datasets", reason="the data sets are scikit-learn's")


@pytest.fixture
def torch_data():
    pytest.importorskip("torch", reason="what is handed in is PyTorch's")
    return pytest.importorskip("torch.utils.data")


# ----------------------------------------------------------------------------------------- a user of scikit-learn


def test_digits_as_they_come(datasets):
    X, y = datasets.load_digits(return_X_y=True)
    assert X.dtype == np.float64
    train, test = data.split((X / 16, y), 0.25, stratify=True)
    trainer = make(64, 10)
    trainer.fit(train, test, epochs=12)
    assert trainer.evaluate(test)["accuracy"] > 0.9
    assert (trainer.predict(test.x).argmax(axis=1) == test.y).mean() == trainer.evaluate(test)["accuracy"]


def test_digits_split_by_scikit_learn_as_lists(datasets):
    selection = pytest.importorskip("sklearn.model_selection")
    X, y = datasets.load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = selection.train_test_split((X / 16).tolist(), y.tolist(), random_state=0)
    trainer = make(64, 10)
    trainer.fit((X_train, y_train), (X_test, y_test), epochs=8)
    assert trainer.evaluate((X_test, y_test))["accuracy"] > 0.9
    with pytest.raises(TypeError, match=r"give both as one pair, fit\(\(X, y\)\)"):
        trainer.fit(X_train, y_train)


def test_a_regression_of_a_frame_and_a_series(datasets):
    pytest.importorskip("pandas", reason="frames want pandas")
    X, y = datasets.load_diabetes(return_X_y=True, as_frame=True)
    trainer = make(10, 1, nn.MSELoss())
    trainer.fit((X * 20, y / 100), epochs=30)
    assert trainer.evaluate((X * 20, y / 100))["loss"] < 0.5
    assert trainer.predict(X * 20).shape == (442, 1)


def test_a_frame_with_names_for_classes(datasets):
    pandas = pytest.importorskip("pandas", reason="frames want pandas")
    bunch = datasets.load_iris(as_frame=True)
    frame = bunch.frame.assign(species=bunch.target_names[bunch.target])
    X, y = frame.iloc[:, :4], frame["species"]
    trainer = make(4, 3)
    with pytest.raises(TypeError, match=r"fit: got samples without labels \(DataFrame\)"):
        trainer.fit(frame)
    with pytest.raises(TypeError, match=r"x: column 'species' must hold numbers, got dtype"):
        trainer.fit((frame, bunch.target))
    with pytest.raises(TypeError, match=r"y must hold numbers, .*: classes, y = np.unique\(y, return_inverse=True\)"):
        trainer.fit((X, y))
    classes, numbers = np.unique(y, return_inverse=True)
    trainer.fit((X, numbers), epochs=40)
    assert (classes[trainer.predict(X).argmax(axis=1)] == y).mean() > 0.9
    trainer.fit((X, pandas.get_dummies(y)), epochs=1)


def test_a_frame_of_polars(datasets):
    polars = pytest.importorskip("polars", reason="frames want polars")
    X, y = datasets.load_iris(return_X_y=True)
    frame = polars.DataFrame(X, schema=["a", "b", "c", "d"]).with_columns(y=polars.Series(y))
    trainer = make(4, 3)
    trainer.fit((frame.drop("y"), frame["y"]), epochs=40)
    assert trainer.evaluate((frame.drop("y"), frame["y"]))["accuracy"] > 0.9


def test_two_classes_with_one_output(datasets):
    X, y = datasets.load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    for target in (y, y.astype(bool), y.tolist(), y[:, None]):
        trainer = make(30, 1, nn.BCEWithLogitsLoss())
        trainer.fit((X, target), epochs=5)
        assert trainer.evaluate((X, target))["accuracy"] > 0.95


def test_texts_as_a_sparse_matrix():
    sparse = pytest.importorskip("scipy.sparse", reason="scipy makes the matrix")
    X, y = sparse.random_array((40, 9), density=0.3, format="csr", rng=0), np.arange(40) % 2
    trainer = make(9, 2)
    with pytest.raises(TypeError, match=r"x is sparse \(csr_array\): give its dense form, x.toarray\(\)"):
        trainer.fit((X, y))
    trainer.fit((X.toarray(), y), epochs=1)
    with pytest.raises(TypeError, match=r"predict: x is sparse"):
        trainer.predict(X)


# ------------------------------------------------------------------------------------------------ a user of Keras


def images(*shape):
    x = RNG.integers(0, 256, shape, np.uint8)
    return x, (x.reshape(len(x), -1).mean(axis=1) > 127.5).astype(np.uint8)


def convolutional(channels):
    layers = nn.Conv2d(channels, 4, 3, rng=0), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4, 2, rng=0))


def test_images_of_fashion_mnist_as_keras_has_them():
    (x, y), (x_test, y_test) = images(60, 10, 12), images(30, 10, 12)
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(120, 2, rng=0))
    for model, scale in ((mlp, 255.0), (convolutional(1), 255.0), (convolutional(1), 1)):
        trainer = make(0, 0, model=model)
        validation = (x_test / scale, y_test) if scale > 1 else (x_test, y_test)
        trainer.fit((x / scale, y) if scale > 1 else (x, y), validation, epochs=2, batch_size=32)
        assert trainer.predict(x_test / scale if scale > 1 else x_test).shape == (30, 2)


def test_images_of_cifar10_as_keras_has_them():
    x, y = images(40, 10, 12, 3)
    trainer = make(0, 0, model=convolutional(3))
    trainer.fit((x, y[:, None]), epochs=1)
    trainer.fit((x / 255, np.eye(2)[y]), epochs=1)
    np.testing.assert_allclose(trainer.predict(x), trainer.predict(x / 255), rtol=1e-5, atol=1e-5)


def test_the_calls_of_keras_are_told_what_to_type():
    X, y = RNG.random((20, 4)), np.arange(20) % 2
    trainer = make(4, 2)
    for call, message in (
        (lambda: trainer.fit(X, y, epochs=2, batch_size=8), r"give both as one pair, fit\(\(X, y\)\)"),
        (lambda: trainer.evaluate(X, y), r"give both as one pair, evaluate\(\(X, y\)\)"),
        (
            lambda: trainer.fit({"input": X}, {"output": y}),
            r"got dict with the keys 'input': give its arrays as one",
        ),
        (lambda: trainer.fit(i for i in range(3)), r"got generator: make it a list of pairs first, list\(...\)"),
        (lambda: trainer.fit((X, y), epochs="2"), "fit: want an integer for epochs, got '2'"),
    ):
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(ValueError, match=r"predict: got one sample of shape \(4,\), .*: give x\[None\]"):
        trainer.predict(X[0])
    assert trainer.predict(X[0][None]).shape == (1, 2)


# ---------------------------------------------------------------------------------------------- a user of PyTorch


def test_tensors_and_a_tensor_dataset(torch_data):
    torch = pytest.importorskip("torch")
    X, y = torch.tensor(RNG.random((60, 4))), torch.arange(60) % 2
    want = make(4, 2).fit((X, y), epochs=2)["loss"]
    pairs = torch_data.TensorDataset(X, y)
    assert make(4, 2).fit(pairs, epochs=2)["loss"] == want
    train, validation = torch_data.random_split(pairs, [50, 10])
    trainer = make(4, 2)
    trainer.fit(train, validation, epochs=1)
    assert trainer.predict(X).shape == (60, 2)
    assert [len(part) for part in data.split(pairs, 10)] == [50, 10]
    with pytest.raises(TypeError, match=r"y cannot become an array: Tensor: .*detach"):
        trainer.fit((X, torch.ones(60, requires_grad=True)))


def test_a_data_loader_is_told_what_to_type(torch_data):
    torch = pytest.importorskip("torch")
    loader = torch_data.DataLoader(torch_data.TensorDataset(torch.ones(9, 4), torch.arange(9) % 2), batch_size=4)
    trainer = make(4, 2)
    for call in (trainer.fit, trainer.evaluate, trainer.predict, data.Loader):
        with pytest.raises(TypeError, match=r"got DataLoader, which makes batches itself: give its data set, Loader"):
            call(loader)
    trainer.fit(data.Loader(loader.dataset, batch_size=4), epochs=1)


def test_a_data_set_of_ones_own(torch_data):
    class Squares(torch_data.Dataset):
        def __len__(self):
            return 30

        def __getitem__(self, index):
            return np.full(4, index / 30), float(index > 15)

    trainer = make(4, 2)
    trainer.fit(Squares(), Squares(), epochs=2)
    assert trainer.evaluate(Squares())["accuracy"] >= 0
    assert trainer.predict(Squares()).shape == (30, 2)


def test_pictures_of_a_folder():
    image = pytest.importorskip("PIL.Image", reason="pictures want Pillow")
    sizes = [(9 + i % 3, 8 + i % 4) for i in range(12)]
    folder = [(image.fromarray(RNG.integers(0, 256, (*size, 3), np.uint8)), i % 2) for i, size in enumerate(sizes)]
    trainer = make(0, 0, model=convolutional(3))
    with pytest.raises(ValueError, match=r"samples of one batch have different shapes: .*Loader\(size=\(height, wid"):
        trainer.fit(folder)
    batches = data.Loader(folder, 4, size=(10, 10), mean=0.5, std=0.25)
    trainer.fit(batches, batches, epochs=1)
    assert trainer.predict(batches).shape == (12, 2)


def test_items_that_are_dicts_as_hugging_face_has_them():
    items = [{"image": RNG.integers(0, 256, (9, 8), np.uint8), "label": i % 2} for i in range(12)]
    trainer = make(0, 0, model=convolutional(1))
    with pytest.raises(TypeError, match=r"got dict with the keys 'image', 'label': .*columns=\('image', 'label'\)"):
        trainer.fit(items)
    trainer.fit(data.Loader(items, 4, columns=("image", "label")), epochs=1)

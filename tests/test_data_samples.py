"""Data sets of items: pictures, dicts, own classes, and what is told of those that do not fit."""

from dataclasses import dataclass

import numpy as np
import pytest

from minigrad.data import ArrayDataset, Loader, Preparation, Subset, split

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (6, 3, 8, 5), np.uint8)
LABELS = np.arange(6) % 2


def batch(data, **options):
    ((x, y),) = Loader(data, 64, **options)
    return x, y


# ----------------------------------------------------------------------------------------------------- pictures


def test_bytes_of_pictures_have_their_channels_in_front():
    hwc = [(image.transpose(1, 2, 0), label) for image, label in zip(BYTES, LABELS, strict=True)]
    want, _ = batch((BYTES, LABELS), mean=0.5)
    np.testing.assert_array_equal(batch(hwc, mean=0.5)[0], want)
    np.testing.assert_array_equal(batch(list(zip(BYTES, LABELS, strict=True)), mean=0.5)[0], want)
    grey = [(image[0], label) for image, label in zip(BYTES, LABELS, strict=True)]
    np.testing.assert_array_equal(batch(grey, mean=0.5)[0], want[:, :1])


def test_floats_keep_their_axes():
    x = RNG.standard_normal((4, 8, 5)).astype(np.float32)
    np.testing.assert_array_equal(batch([(sample, 0) for sample in x])[0], x)
    x = RNG.standard_normal((4, 8, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(batch([(sample, 0) for sample in x])[0], x)


def test_images_of_different_sizes_are_brought_to_one():
    images = [BYTES[0], np.repeat(BYTES[1], 2, axis=1), BYTES[2][:, :, :4], BYTES[3][:1]]
    x, y = batch([(image, i) for i, image in enumerate(images)], size=(6, 7), channels=3, mean=[0.1, 0.2, 0.3])
    assert (x.shape, y.tolist()) == ((4, 3, 6, 7), [0, 1, 2, 3])
    form = Preparation(mean=[0.1, 0.2, 0.3], size=(6, 7), channels=3)
    for image, got in zip(images, x, strict=True):
        np.testing.assert_array_equal(got, form.batch(image[None], np.arange(1), np.arange(1), 0)[0])


def test_images_of_different_sizes_without_a_size_are_told_what_to_do():
    images = [(BYTES[0], 0), (BYTES[1][:, :6], 1)]
    message = r"samples of one batch have different shapes: .*Loader\(size=\(height, width\)\)"
    with pytest.raises(ValueError, match=message):
        batch(images)
    with pytest.raises(ValueError, match=r"different shapes: .*channels=3"):
        batch([(BYTES[0], 0), (BYTES[1][:1], 1)], size=(4, 4))


def test_pictures_of_pillow_of_many_modes_and_sizes():
    image = pytest.importorskip("PIL.Image", reason="pictures want Pillow")
    coloured = image.fromarray(BYTES[0].transpose(1, 2, 0))
    words = image.fromarray(BYTES[0, 0].astype(np.uint16) * 257)
    pictures = [coloured, coloured.convert("RGBA"), coloured.resize((9, 4)), words, coloured.convert("P")]
    x, _ = batch([(picture, 0) for picture in pictures], size=(8, 5), channels=3)
    assert x.shape == (5, 3, 8, 5)
    np.testing.assert_allclose(x[0], BYTES[0] / 255, atol=1e-6)
    np.testing.assert_array_equal(x[1], x[0])
    np.testing.assert_allclose(x[3], np.repeat(BYTES[0, :1], 3, axis=0) / 255, atol=1e-6)


# ----------------------------------------------------------------------------------------------------- columns


def test_items_that_are_dicts():
    items = [{"image": image, "label": label, "id": "a"} for image, label in zip(BYTES, LABELS, strict=True)]
    x, y = batch(items, columns=("image", "label"))
    np.testing.assert_array_equal(x, batch((BYTES, LABELS))[0])
    np.testing.assert_array_equal(y, LABELS)
    message = r"got dict with the keys 'image', 'label', 'id': .*Loader\(data, columns=\('image', 'label'\)\)"
    with pytest.raises(TypeError, match=message):
        batch(items)
    with pytest.raises(TypeError, match=r"has no columns .*'labels'\), it has the keys 'image', 'label', 'id'"):
        batch(items, columns=("image", "labels"))


def test_items_of_three():
    items = [(np.ones(2), "a note", 1), (np.zeros(2), "another", 0)]
    assert batch(items, columns=(0, 2))[1].tolist() == [1, 0]
    with pytest.raises(TypeError, match=r"item 0 of list must be \(sample, label\), got tuple of 3"):
        batch(items)
    with pytest.raises(TypeError, match=r"has no columns \(0, 3\)"):
        batch(items, columns=(0, 3))


@pytest.mark.parametrize("columns", ["ab", ("a",), ("a", "b", "c")])
def test_columns_that_are_no_pair(columns):
    with pytest.raises(ValueError, match="want the names of two columns"):
        Loader([{"a": 1, "b": 2}], columns=columns)


# ------------------------------------------------------------------------------------------------- own classes


class Doubled(ArrayDataset):
    """Has an `__getitem__` of its own."""

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return 2 * x, y + 10


class Short(ArrayDataset):
    """Has a length of its own."""

    def __len__(self):
        return 3


class Plain(ArrayDataset):
    """Has nothing of its own."""


@dataclass(frozen=True, eq=False)
class Named(ArrayDataset):
    """Has a field of its own."""

    name: str = ""


def test_an_own_getitem_is_used():
    data = Doubled(np.arange(6.0), LABELS)
    assert [x.tolist() for x, _ in Loader(data, 4)] == [[0, 2, 4, 6], [8, 10]]
    np.testing.assert_array_equal(batch(data)[1], LABELS + 10)
    for part in split(data, 2):
        np.testing.assert_array_equal(batch(part)[0], 2 * part.x)


def test_an_own_length_is_used():
    data = Short(np.arange(6.0), LABELS)
    assert batch(data)[0].tolist() == [0, 1, 2]
    train, validation = split(data, 1)
    assert sorted([*batch(train)[0], *batch(validation)[0]]) == [0, 1, 2]
    assert len(split(data, 1, stratify=True)[0]) == 2


def test_a_class_that_changes_nothing_is_as_fast():
    assert type(Loader(Plain(np.arange(6), LABELS)).converted(lambda x, y: (x + 1, y)).data) is ArrayDataset
    part, _ = split(Named(np.arange(6), LABELS, name="mine"), 2)
    assert (type(part), part.name, len(part)) == (Named, "mine", 4)


# -------------------------------------------------------------------------------------------------------- split


def test_split_takes_pairs_of_arrays_and_lists():
    train, validation = split((np.arange(10.0), list(range(10))), 3)
    assert (type(train), len(train), len(validation)) == (ArrayDataset, 7, 3)
    np.testing.assert_array_equal(train.x, train.y)
    with pytest.raises(ValueError, match="x has 3 samples"):
        split((np.zeros(3), np.zeros(4)))
    with pytest.raises(TypeError, match=r"split: .* got ndarray: give samples and labels as one pair, \(x, y\)"):
        split(np.zeros((3, 2)))


def test_split_takes_a_data_set_of_pairs():
    pairs = [(np.full(2, i), i % 2) for i in range(10)]
    train, validation = split(pairs, 4, stratify=True)
    assert (type(train), len(train), len(validation)) == (Subset, 6, 4)
    x, y = batch(validation)
    assert sorted(y) == [0, 0, 1, 1]
    np.testing.assert_array_equal(x[:, 0] % 2, y)
    assert sorted([*batch(train)[0][:, 0], *x[:, 0]]) == list(range(10))


# --------------------------------------------------------------------------------------------- what is no data set


class Batches:
    """Like a DataLoader: has a length and no items."""

    dataset = ()

    def __len__(self):
        return 3

    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"x": 1, "y": 2}, r"got dict with the keys 'x', 'y': give its arrays as one pair \(x, y\)"),
        ("abc", "got str"),
        (b"abc", "got bytes"),
        (Batches(), r"got Batches, which makes batches itself: give its data set, Loader\(loader.dataset"),
        ((i for i in range(3)), r"got generator: make it a list of pairs first"),
        (np.zeros((3, 2)), r"got ndarray: give samples and labels as one pair, \(x, y\)"),
    ],
)
def test_what_is_no_data_set_is_told_what_to_do(data, message):
    with pytest.raises(TypeError, match=f"Loader: want an ArrayDataset.*{message}"):
        Loader(data)


@pytest.mark.parametrize("value", ["a", 1.5, None, np.zeros(3), True])
@pytest.mark.parametrize("name", ["batch_size", "seed"])
def test_arguments_that_are_no_integers_are_named(name, value):
    with pytest.raises(TypeError, match=f"Loader: want an integer for {name}, got "):
        Loader((np.zeros(3), np.zeros(3)), **{name: value})


# ---------------------------------------------------------------------------------------------- order, conversion


def test_in_order_leaves_nothing_out():
    loader = Loader((np.arange(10), np.arange(10)), 4, shuffle=True, drop_last=True)
    assert [y.tolist() for _, y in loader.in_order()] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert (loader.shuffle, loader.drop_last, loader.epoch) == (True, True, 0)


def test_a_loader_is_converted_once_where_it_holds_arrays():
    calls = []

    def convert(x, y):
        calls.append(len(x))
        return x.astype(np.float32), y

    loader = Loader((np.arange(10.0), np.arange(10)), 4)
    converted = loader.converted(convert)
    assert [x.dtype for x, _ in converted] == [np.float32] * 3
    assert (calls, loader.data.x.dtype) == ([10], np.float64)
    assert loader.converted(lambda x, y: (x, y)) is loader
    pairs = Loader([(np.float64(i), i) for i in range(10)], 4)
    assert [x.dtype for x, _ in pairs.converted(convert)] == [np.float32] * 3
    assert calls[1:] == [1, 4, 4, 2]
    assert pairs.converted(lambda x, y: (x, y)) is pairs

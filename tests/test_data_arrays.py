import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data import ArrayDataset, split


def numbered(n, classes=3):
    return ArrayDataset(np.arange(n), np.arange(n) % classes, tuple("abcdefghij"[:classes]))


def test_items_length_and_subset():
    x, y = np.arange(10.0).reshape(5, 2), np.array([4, 3, 2, 1, 0])
    dataset = ArrayDataset(x, y, ["a", "b", "c", "d", "e"])
    assert len(dataset) == 5
    assert np.shares_memory(dataset.x, x)
    np.testing.assert_array_equal(dataset[1][0], [2, 3])
    assert [label for _, label in dataset] == [4, 3, 2, 1, 0]
    part = dataset.subset([3, 0])
    np.testing.assert_array_equal(part.x, x[[3, 0]])
    np.testing.assert_array_equal(part.y, [1, 4])
    assert part.classes == ("a", "b", "c", "d", "e")
    assert repr(part) == "ArrayDataset(x=float64 (2, 2), y=int64 (2,))"


def test_other_layouts_are_copied_into_order():
    x = np.arange(12, dtype=">f4").reshape(3, 4).T
    dataset = ArrayDataset(x, [0, 1, 2, 3])
    assert dataset.x.flags.c_contiguous
    assert dataset.x.dtype == np.float32
    assert dataset.x.dtype.isnative
    np.testing.assert_array_equal(dataset.x, x)


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (np.zeros((3, 2)), np.zeros(4), ValueError, r"x has 3 samples \(3, 2\), y has 4"),
        (np.zeros((0, 2)), np.zeros(0), ValueError, r"x must hold at least one sample, got shape \(0, 2\)"),
        (np.zeros((3, 0)), np.zeros(3), ValueError, r"x must hold at least one sample, got shape \(3, 0\)"),
        (np.float64(3), np.zeros(3), ValueError, "x must hold at least one sample"),
        (np.array([None, 1]), np.zeros(2), TypeError, "x must hold numbers, got dtype object"),
        (np.zeros(2), np.array(["cat", "dog"]), TypeError, "y must hold numbers, got dtype <U3"),
    ],
)
def test_arrays_that_are_no_data_set(x, y, error, message):
    with pytest.raises(error, match=f"ArrayDataset: {message}"):
        ArrayDataset(x, y)


@given(n=st.integers(2, 200), seed=st.integers(0, 5), stratify=st.booleans(), part=st.data())
def test_split_takes_each_sample_once(n, seed, stratify, part):
    count = part.draw(st.integers(1, n - 1))
    train, validation = split(numbered(n), count, seed, stratify)
    assert (len(train), len(validation)) == (n - count, count)
    assert sorted([*train.x, *validation.x]) == list(range(n))
    assert np.all(np.diff(train.x) > 0)
    assert np.all(validation.y == validation.x % 3)
    assert validation.classes == ("a", "b", "c")


@given(sizes=st.lists(st.integers(1, 40), min_size=2, max_size=6), seed=st.integers(0, 5), part=st.data())
def test_stratified_split_keeps_proportions(sizes, seed, part):
    y = np.repeat(np.arange(len(sizes)), sizes)
    count = part.draw(st.integers(1, len(y) - 1))
    _, validation = split(ArrayDataset(y, y), count, seed, stratify=True)
    taken = np.bincount(validation.y, minlength=len(sizes))
    assert taken.sum() == count
    assert np.all(np.abs(taken - np.array(sizes) * count / len(y)) < 1)


def test_split_depends_on_the_seed_only():
    first, again, other = (split(numbered(100), 0.3, seed)[1].x for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(first) == 30
    assert len(split(numbered(100))[1]) == 10


@pytest.mark.parametrize(
    ("validation", "error"),
    [
        (0, ValueError),
        (10, ValueError),
        (-1, ValueError),
        (11, ValueError),
        (0.0, ValueError),
        (1.0, ValueError),
        (1.5, ValueError),
        (0.01, ValueError),
        (0.99, ValueError),
        (float("nan"), ValueError),
        (True, TypeError),
        ("0.1", TypeError),
        (None, TypeError),
    ],
)
def test_split_refuses_sizes_that_make_no_sense(validation, error):
    with pytest.raises(error, match="split: "):
        split(numbered(10), validation)


@pytest.mark.parametrize("y", [np.zeros(10), np.zeros((10, 2), int)])
def test_stratify_wants_integer_labels(y):
    with pytest.raises(TypeError, match="stratify wants integer labels"):
        split(ArrayDataset(np.zeros(10), y), 2, stratify=True)

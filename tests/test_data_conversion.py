"""What a user holds, as arrays: numbers of any kind are taken, all else is told by name, with a remedy."""

import numpy as np
import pytest

from minigrad.data import ArrayDataset, Loader
from minigrad.data.conversion import as_array

NUMBERS = [[1, 0], [0, 1], [1, 1]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8, bool, ">f8"])
def test_arrays_are_kept(dtype):
    array = np.array(NUMBERS, dtype)
    assert as_array("x", array) is array


def test_lists_of_lists_and_of_arrays():
    assert as_array("x", NUMBERS).tolist() == NUMBERS
    assert as_array("x", [np.array(row) for row in NUMBERS]).tolist() == NUMBERS
    assert as_array("x", np.array(NUMBERS, object)).dtype == np.float64


def test_a_memory_map_of_floats_is_not_copied(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 3), np.float32))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(Loader((x, [0, 1, 0, 1])).data.x, x)


def test_masked_values_become_nan():
    masked = np.ma.masked_array([1, 2, 3], [False, True, False])
    np.testing.assert_array_equal(as_array("x", masked), [1, np.nan, 3])
    assert as_array("x", np.ma.masked_array([1, 2, 3])).dtype.kind == "i"


def test_tensors():
    torch = pytest.importorskip("torch")
    assert as_array("x", torch.tensor(NUMBERS)).tolist() == NUMBERS
    with pytest.raises(TypeError, match=r"x cannot become an array: Tensor: .*detach"):
        as_array("x", torch.ones(3, requires_grad=True))
    with pytest.raises(TypeError, match=r"x cannot become an array: Tensor: .*BFloat16"):
        as_array("x", torch.ones(3, dtype=torch.bfloat16))


def test_sparse_arrays_are_told_what_to_do():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"ArrayDataset: x is sparse \(csr_array\): give its dense form, x.toarray\(\)"):
        Loader((sparse.csr_array(np.eye(3)), [0, 1, 2]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            ["cat", "dog"],
            r"y must hold numbers, got dtype <U3 \(text\): classes, y = np.unique\(y, ret",
        ),
        (np.array(["cat", 1], object), r"got dtype object \(text, the first that is no number is 'cat'\): classes, y"),
        (np.array([None, 1]), r"got dtype object \(Python objects, the first that is no number is 'None'\)"),
        (np.array(["2020-01-01"], "M8[D]"), r"got dtype datetime64\[D\] \(dates\): turn them into numbers"),
        (np.array([3], "m8[s]"), r"got dtype timedelta64\[s\] \(spans of time\)"),
        (np.array([1j]), r"got dtype complex128 \(complex numbers\): give real and imaginary parts"),
        (np.zeros(2, [("a", int), ("b", float)]), r"\(records\): give one array"),
        ({"a": 1}, "got dtype object"),
    ],
)
def test_what_is_no_number_is_named(value, message):
    with pytest.raises(TypeError, match=message):
        as_array("y", value)


def test_text_among_samples_and_rows_of_different_lengths():
    with pytest.raises(TypeError, match=r"ArrayDataset: x must hold numbers, .* \(text\): turn text into numbers"):
        ArrayDataset([["a"], ["b"]], [0, 1])
    with pytest.raises(ValueError, match="ArrayDataset: x holds rows of different lengths"):
        ArrayDataset([[1, 2], [3]], [0, 1])


# ------------------------------------------------------------------------------------------------------- frames


@pytest.fixture
def pandas():
    return pytest.importorskip("pandas", reason="frames want pandas")


@pytest.fixture
def polars():
    return pytest.importorskip("polars", reason="frames want polars")


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool", "Int64", "Float64", "boolean"])
def test_columns_of_pandas(pandas, dtype):
    frame = pandas.DataFrame(NUMBERS, columns=["a", "b"]).astype(dtype)
    for got, want in ((as_array("x", frame), NUMBERS), (as_array("y", frame["a"]), [1, 0, 1])):
        assert got.dtype.kind in "biuf"
        assert got.tolist() == want
    mixed = frame.assign(c=[True, False, True], d=[0.5, 1.5, 2.5], e=pandas.array([1, 2, 3], "Int64"))
    np.testing.assert_array_equal(as_array("x", mixed)[:, 2:], [[1, 0.5, 1], [0, 1.5, 2], [1, 2.5, 3]])


def test_missing_values_of_pandas_become_nan(pandas):
    frame = pandas.DataFrame({"a": pandas.array([1, None], "Int64"), "b": pandas.array([True, None], "boolean")})
    np.testing.assert_array_equal(as_array("x", frame), [[1, 1], [np.nan, np.nan]])
    np.testing.assert_array_equal(as_array("y", frame["a"]), [1, np.nan])
    assert as_array("y", pandas.Series([1, 2], dtype="Int64")).dtype == np.int64


@pytest.mark.parametrize(
    "column", [["x", "y"], [None, {}], [np.datetime64("2020-01-01", "s")] * 2], ids=["text", "objects", "dates"]
)
def test_a_column_that_is_no_number_is_named(pandas, column):
    frame = pandas.DataFrame({"age": [1.0, 2.0], "what it is": column})
    with pytest.raises(TypeError, match="ArrayDataset: x: column 'what it is' must hold numbers, got dtype "):
        ArrayDataset(frame, [0, 1])


def test_a_categorical_column_and_one_that_comes_twice(pandas):
    frame = pandas.DataFrame({"age": [1.0, 2.0], "city": pandas.Categorical(["Rome", "Oslo"])})
    with pytest.raises(TypeError, match=r"column 'city' must hold numbers, got dtype category: .*get_dummies"):
        ArrayDataset(frame, [0, 1])
    twice = pandas.DataFrame([[1, True], [2, False]], columns=["a", "a"])
    assert as_array("x", twice).tolist() == [[1, 1], [2, 0]]


def test_frames_of_polars(polars):
    frame = polars.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
    assert as_array("x", frame).tolist() == [[1, 0.5, 1], [2, 1.5, 0]]
    assert as_array("y", frame["a"]).tolist() == [1, 2]
    gaps = polars.DataFrame({"a": [1, None], "b": [True, None]})
    np.testing.assert_array_equal(as_array("x", gaps), [[1, 1], [np.nan, np.nan]])
    with pytest.raises(TypeError, match="x: column 'city' must hold numbers, got dtype String"):
        as_array("x", frame.with_columns(city=polars.lit("Rome")))
    with pytest.raises(TypeError, match="must hold numbers"):
        as_array("x", frame.lazy())

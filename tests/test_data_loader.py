from importlib import import_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data import ArrayDataset, Loader
from tests.backend import needs_numba

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (50, 1, 7, 5), np.uint8)
LABELS = RNG.integers(0, 10, 50)


@pytest.fixture(params=["reference", pytest.param("jit", marks=needs_numba)])
def gather(request):
    return import_module(f"minigrad.kernels.{request.param}.gather")


# ------------------------------------------------------------------------------------------------------- kernels


def test_gather_uint8(gather):
    index = np.array([3, 49, 3, 0])
    out = np.empty((4, 35), np.float32)
    gather.gather_uint8(IMAGES.reshape(50, 35), index, 1 / (255 * 0.353), -0.286 / 0.353, out)
    want = (IMAGES[index].reshape(4, 35) / 255.0 - 0.286) / 0.353
    np.testing.assert_allclose(out, want, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gather_float(gather, dtype):
    x, index = RNG.standard_normal((9, 13)).astype(dtype), np.array([8, 0, 5])
    out = np.empty((3, 13), dtype)
    gather.gather_float(x, index, 1.0, -0.0, out)
    assert out.tobytes() == x[index].tobytes()
    gather.gather_float(x, index, 0.25, -3.0, out)
    np.testing.assert_allclose(out, x[index] * dtype(0.25) - dtype(3), rtol=4 * np.finfo(dtype).eps, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gather_float_keeps_what_is_not_finite(gather, dtype):
    x = np.array([[np.nan, np.inf, -np.inf, 1]], dtype)
    out = np.empty((1, 4), dtype)
    gather.gather_float(x, np.array([0]), 2.0, 1.0, out)
    np.testing.assert_array_equal(out, [[np.nan, np.inf, -np.inf, 3]])


# -------------------------------------------------------------------------------------------------------- values


def batches(*args, **options):
    return list(Loader(*args, **options))


def test_bytes_become_normalised_floats():
    for start, (x, y) in enumerate(batches((IMAGES, LABELS), 8, mean=0.286, std=0.353)):
        rows = slice(8 * start, 8 * start + 8)
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, (IMAGES[rows] / 255.0 - 0.286) / 0.353, rtol=2e-6, atol=2e-6)
        np.testing.assert_array_equal(y, LABELS[rows])


def test_bytes_without_normalisation_lie_between_0_and_1():
    (x, _) = batches((np.array([[0, 51, 255]], np.uint8), [0]))[0]
    np.testing.assert_allclose(x, [[0, 0.2, 1]], rtol=1e-6)
    assert x.max() <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_keep_their_dtype(dtype):
    x = RNG.standard_normal((50, 3, 2)).astype(dtype)
    plain = np.concatenate([xb for xb, _ in batches((x, LABELS), 7)])
    assert plain.tobytes() == x.tobytes()
    scaled = np.concatenate([xb for xb, _ in batches((x, LABELS), 7, mean=0.5, std=2.0)])
    assert scaled.dtype == dtype
    np.testing.assert_allclose(scaled, (x - 0.5) / 2, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, bool, np.float16])
def test_other_numbers_are_passed_on(dtype):
    x = RNG.integers(0, 2, (50, 4)).astype(dtype)
    xb, _ = batches((x, LABELS), 50)[0]
    assert xb.dtype == dtype
    np.testing.assert_array_equal(xb, x)
    with pytest.raises(TypeError, match="mean and std want x to be uint8, float32 or float64, got"):
        Loader((x, LABELS), mean=0.5)


@pytest.mark.parametrize("y", [RNG.random((50, 3)), LABELS.astype(np.uint8), LABELS.astype(np.int32)])
def test_labels_are_passed_on_unchanged(y):
    got = np.concatenate([yb for _, yb in batches((IMAGES, y), 16, mean=0.5)])
    assert got.dtype == y.dtype
    np.testing.assert_array_equal(got, y)


def test_samples_of_one_number():
    x, y = np.arange(5.0), np.arange(5)
    assert [xb.tolist() for xb, _ in batches((x, y), 2)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("layout", ["transposed", "strided", "big-endian", "read-only", "memory-mapped"])
def test_any_layout(layout, tmp_path):
    x = RNG.standard_normal((20, 6)).astype(np.float32)
    if layout == "transposed":
        x = np.asfortranarray(x)
    elif layout == "strided":
        x = np.repeat(x, 2, axis=1)[:, ::2]
    elif layout == "big-endian":
        x = x.astype(">f4")
    elif layout == "read-only":
        x.flags.writeable = False
    else:
        np.save(tmp_path / "x.npy", x)
        x = np.load(tmp_path / "x.npy", mmap_mode="r")
    got = np.concatenate([xb for xb, _ in batches((x, np.arange(20)), 6)])
    np.testing.assert_array_equal(got, x)
    assert got.dtype == np.float32


def test_batches_are_fresh():
    x = RNG.standard_normal((6, 2))
    before = x.copy()
    loader = Loader((x, np.arange(6)), 3)
    for xb, yb in loader:
        xb[...] = 7
        yb[...] = 7
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(np.concatenate([yb for _, yb in loader]), np.arange(6))


# --------------------------------------------------------------------------------------------------------- order


def orders(loader, epochs):
    return [np.concatenate([yb for _, yb in loader]).tolist() for _ in range(epochs)]


@given(n=st.integers(1, 80), size=st.integers(1, 90), shuffle=st.booleans(), drop=st.booleans(), seed=st.integers(0, 9))
def test_each_sample_once_an_epoch(n, size, shuffle, drop, seed):
    if drop and size > n:
        with pytest.raises(ValueError, match="drop_last"):
            Loader((np.zeros(n), np.arange(n)), size, drop_last=drop)
        return
    loader = Loader((np.arange(n), np.arange(n)), size, shuffle, seed, drop)
    parts = list(loader)
    assert len(parts) == len(loader) == (n // size if drop else -(-n // size))
    assert all(len(xb) == size for xb, _ in parts[:-1])
    seen = np.concatenate([yb for _, yb in parts])
    assert len(set(seen.tolist())) == len(seen) == (n - n % size if drop else n)
    assert all(np.array_equal(xb, yb) for xb, yb in parts)
    if not shuffle:
        np.testing.assert_array_equal(seen, np.arange(len(seen)))


def test_the_order_is_a_function_of_seed_and_epoch():
    def loader(seed):
        return Loader((np.arange(40), np.arange(40)), 7, shuffle=True, seed=seed)

    first, again, other = orders(loader(3), 3), orders(loader(3), 3), orders(loader(4), 3)
    assert first == again
    assert len({tuple(order) for order in first + other}) == 6
    resumed = loader(3)
    resumed.epoch = 2
    assert orders(resumed, 1) == first[2:]
    assert resumed.epoch == 3
    assert loader(3).order(1).tolist() == first[1]


def test_two_loaders_share_no_state():
    a, b = (Loader((np.arange(20), np.arange(20)), 4, shuffle=True) for _ in range(2))
    np.random.seed(0)
    mixed = [(x.tolist(), z.tolist()) for (x, _), (z, _) in zip(a, b, strict=True)]
    assert all(x == z for x, z in mixed)
    orders(a, 2)
    assert (a.epoch, b.epoch) == (3, 1)


def test_an_iteration_broken_off_does_not_count():
    loader = Loader((np.arange(20), np.arange(20)), 4, shuffle=True)
    looked_at, _ = next(iter(loader))
    for _ in loader:
        break
    assert loader.epoch == 0
    np.testing.assert_array_equal(next(iter(loader))[0], looked_at)
    assert len(list(loader)) == 5
    assert loader.epoch == 1


# ----------------------------------------------------------------------------------------------- other data sets


class TorchvisionLike:
    """What a data set of torchvision is to a loader: a length, items, and an opinion about the types in them."""

    def __init__(self, sample, label=int):
        self.sample, self.label = sample, label

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, index):
        assert type(index) is int
        return self.sample(IMAGES[index, 0]), self.label(LABELS[index])


def test_samples_that_are_pictures():
    image = pytest.importorskip("PIL.Image")
    loader = Loader(TorchvisionLike(image.fromarray), 16, shuffle=True, mean=0.5, std=0.5)
    plain = Loader((IMAGES, LABELS), 16, shuffle=True, mean=0.5, std=0.5)
    for (x, y), (want_x, want_y) in zip(loader, plain, strict=True):
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(x, want_x)
        np.testing.assert_array_equal(y, want_y)


def test_samples_that_are_tensors():
    torch = pytest.importorskip("torch")
    loader = Loader(TorchvisionLike(lambda image: torch.tensor(image)[None] / 255, torch.tensor), 16, mean=0.5)
    for (x, y), (want_x, want_y) in zip(loader, Loader((IMAGES, LABELS), 16, mean=0.5), strict=True):
        np.testing.assert_allclose(x, want_x, atol=1e-6)
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(y, want_y)


def test_a_list_of_samples():
    x, y = batches([([1.0, 2.0], 0), ([3.0, 4.0], 1)])[0]
    np.testing.assert_array_equal(x, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(y, [0, 1])


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([(np.zeros(2), 0), (np.zeros(3), 1)], ValueError, r"samples .* different shapes: \(2,\) .*, \(3,\)"),
        ([(np.zeros(2), 0), (np.zeros(2), [1])], ValueError, "labels of one batch have different shapes"),
        ([(np.zeros(2), 0, 1)], TypeError, r"item 0 of list must be \(sample, label\)"),
        ([np.zeros(2)], TypeError, "item 0 of list must be .* got ndarray"),
        ([(None, 0)], TypeError, "must hold numbers, got dtype object"),
    ],
)
def test_samples_that_do_not_fit(data, error, message):
    with pytest.raises(error, match=message):
        batches(data)


# -------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((np.zeros((3, 2)), np.zeros(4)), ValueError, "x has 3 samples"),
        ((np.zeros((0, 2)), np.zeros(0)), ValueError, "at least one sample"),
        ((np.array([None, {}]), np.zeros(2)), TypeError, "got dtype object"),
        ((np.zeros(3), np.zeros(3), np.zeros(3)), TypeError, "got tuple"),
        (np.zeros((3, 2)), TypeError, "got ndarray"),
        (iter([(0, 0)]), TypeError, "got list_iterator"),
        ([], ValueError, "list has no samples"),
        (None, TypeError, "got NoneType"),
    ],
)
def test_data_that_is_no_data_set(data, error, message):
    with pytest.raises(error, match=message):
        Loader(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size >= 1"),
        ({"batch_size": -3}, "batch_size >= 1"),
        ({"seed": -1}, "seed >= 0"),
        ({"std": 0.0}, "std > 0"),
        ({"std": float("nan")}, "std > 0"),
        ({"std": float("inf")}, "std > 0"),
        ({"mean": float("nan")}, "finite mean"),
        ({"batch_size": 51, "drop_last": True}, "50 samples fill no batch of 51"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        Loader(ArrayDataset(IMAGES, LABELS), **options)

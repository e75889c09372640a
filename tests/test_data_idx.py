import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minigrad.data import DatasetError, IdxError, read_idx, write_idx
from minigrad.data.idx import DTYPES

IMAGES = struct.pack(">BBBBIII", 0, 0, 0x08, 3, 2, 3, 4) + bytes(range(24))
arrays = st.tuples(
    st.sampled_from(sorted(DTYPES)), npst.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4), st.booleans()
).flatmap(lambda drawn: npst.arrays(DTYPES[drawn[0]].newbyteorder("><"[drawn[2]]), drawn[1]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


def written(path, content):
    path.write_bytes(content)
    return path


@given(array=arrays, gz=st.booleans())
def test_round_trip_keeps_values_shape_and_dtype(folder, array, gz):
    path = folder / ("a.idx.gz" if gz else "a.idx")
    write_idx(path, array)
    back = read_idx(path)
    np.testing.assert_array_equal(back, array)
    assert (back.dtype, back.shape) == (array.dtype.newbyteorder("="), array.shape)
    assert back.dtype.isnative
    assert back.flags.writeable
    assert path.read_bytes().startswith(b"\x1f\x8b") == gz


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (0x08, b"\xfe"),
        (0x09, b"\xfe"),
        (0x0B, b"\xff\xfe"),
        (0x0C, b"\xff\xff\xff\xfe"),
        (0x0D, b"\xc0\x00\x00\x00"),
        (0x0E, b"\xc0\x00" + bytes(6)),
    ],
)
def test_bytes_of_each_type_are_big_endian(folder, code, value):
    content = bytes([0, 0, code, 1, 0, 0, 0, 1]) + value
    array = read_idx(written(folder / "one", content))
    assert array.tolist() == [254 if code == 0x08 else -2]
    write_idx(folder / "again", array)
    assert (folder / "again").read_bytes() == content


def test_gzip_is_known_by_content_not_by_name(folder):
    want = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(read_idx(written(folder / "plain.gz", IMAGES)), want)
    np.testing.assert_array_equal(read_idx(written(folder / "zipped", gzip.compress(IMAGES))), want)


def test_a_transposed_array_is_written_as_it_looks(folder):
    array = np.arange(6, dtype=np.int16).reshape(2, 3).T
    write_idx(folder / "t", array)
    np.testing.assert_array_equal(read_idx(folder / "t"), array)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 11, 15, 16, 17, len(IMAGES) - 1])
def test_truncated_anywhere(folder, length):
    path = written(folder / "cut.idx", IMAGES[:length])
    with pytest.raises(IdxError, match=r"cut\.idx: (truncated|the file is empty)"):
        read_idx(path)


def test_truncated_gzip_anywhere(folder):
    content = gzip.compress(IMAGES)
    for length in range(2, len(content)):
        with pytest.raises(IdxError, match=r"cut\.gz: damaged gzip file"):
            read_idx(written(folder / "cut.gz", content[:length]))


def test_flipped_bit_in_gzip(folder):
    content = bytearray(gzip.compress(IMAGES))
    content[-6] ^= 1  # in the checksum
    with pytest.raises(IdxError, match=r"bad\.gz: damaged gzip file"):
        read_idx(written(folder / "bad.gz", bytes(content)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "not an IDX file: it starts with 89 50 4e 47"),
        (b"\x00\x01\x08\x01" + bytes(4), "not an IDX file: it starts with 00 01 08 01"),
        (b"\x00\x00\x0a\x01" + bytes(4), "unknown IDX type 0x0a; want one of 0x08 uint8"),
        (b"\x00\x00\x08\x41" + bytes(4 * 65), "rank 65"),
        (IMAGES + b"\0", "too long: 41 bytes, want 40"),
        (b"\x00\x00\x08\x04" + b"\xff" * 16, "truncated: 20 bytes, want"),
        (b"\x00\x00\x08\x04" + bytes(4) + b"\xff" * 12, "no array can have the shape"),
    ],
)
def test_wrong_content_names_the_file_and_the_fault(folder, content, message):
    with pytest.raises(IdxError, match=message) as caught:
        read_idx(written(folder / "wrong.idx", content))
    assert str(folder / "wrong.idx") in str(caught.value)
    assert isinstance(caught.value, DatasetError)


def test_missing_file_and_folder(folder):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(folder / "nowhere")
    with pytest.raises(FileNotFoundError, match="cannot write into its folder"):
        write_idx(folder / "nowhere" / "a.idx", np.zeros(2, np.uint8))


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.float16, bool, complex, object, "U1"])
def test_types_that_idx_has_not(folder, dtype):
    path = folder / "never.idx"
    with pytest.raises(IdxError, match=r"never\.idx: IDX has no .*convert to one of uint8"):
        write_idx(path, np.zeros(2, dtype))
    assert not path.exists()


def test_a_size_that_idx_has_not(folder):
    with pytest.raises(IdxError, match="sizes below"):
        write_idx(folder / "never.idx", np.broadcast_to(np.uint8(0), 2**32))

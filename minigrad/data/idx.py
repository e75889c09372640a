"""IDX, the format of MNIST and its kin: a magic number, the sizes, then the values, all big-endian.

The magic number is two zero bytes, a byte for the type and one for the rank; each size has four bytes.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.errors import IdxError
from minigrad.files import atomic_path

Array = npt.NDArray[Any]
FilePath = str | os.PathLike[str]

DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(np.int16),
    0x0C: np.dtype(np.int32),
    0x0D: np.dtype(np.float32),
    0x0E: np.dtype(np.float64),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}
GZIP_MAGIC = b"\x1f\x8b"
MAX_RANK = 64  # NumPy's


def read_idx(path: FilePath) -> Array:
    """Return the array of an IDX file, in this machine's byte order. A gzipped file is known by its content.

    Raises:
        IdxError: if the file is empty, has a wrong magic number or type, is too short or too long, or is a damaged
            gzip file.
        OSError: if it is missing or cannot be read.
    """
    return parse_idx(uncompress(Path(path).read_bytes(), path), path)


def write_idx(path: FilePath, array: npt.ArrayLike) -> None:
    """Write an array as IDX, whole or not at all; gzipped if the name ends in `.gz`.

    Arguments:
        path: the file. An older one is replaced, its folder must exist.
        array: uint8, int8, int16, int32, float32 or float64, of any rank and byte order.

    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "labels.idx.gz"
    >>> write_idx(path, np.array([3, 1, 2], np.uint8))
    >>> read_idx(path)
    array([3, 1, 2], dtype=uint8)
    """
    array = np.asarray(array)
    code = CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        raise IdxError(f"{path}: IDX has no {array.dtype}; convert to one of {', '.join(map(str, CODES))}")
    if max(array.shape, default=0) >= 2**32:
        raise IdxError(f"{path}: IDX has sizes below 2**32, got shape {array.shape}")
    content = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    content += array.astype(array.dtype.newbyteorder(">"), copy=False).tobytes()
    if os.fspath(path).endswith(".gz"):
        content = gzip.compress(content, compresslevel=6, mtime=0)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def uncompress(content: bytes, origin: FilePath) -> bytes:
    """Return `content`, uncompressed if it is gzip. `origin`, a path or an address, is for the message."""
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise IdxError(f"{origin}: damaged gzip file: {error}") from error


def parse_idx(content: bytes, path: FilePath) -> Array:
    """Return the array that the uncompressed bytes of an IDX file hold. `path` is for the messages."""
    if not content:
        raise IdxError(f"{path}: the file is empty")
    if len(content) < 4:
        raise IdxError(f"{path}: truncated in the magic number: {len(content)} bytes, want 4")
    zeros, code, rank = struct.unpack(">HBB", content[:4])
    if zeros != 0:
        raise IdxError(f"{path}: not an IDX file: it starts with {content[:4].hex(' ')}, IDX with 00 00")
    if code not in DTYPES:
        known = ", ".join(f"0x{known:02x} {dtype}" for known, dtype in DTYPES.items())
        raise IdxError(f"{path}: unknown IDX type 0x{code:02x}; want one of {known}")
    if rank > MAX_RANK:
        raise IdxError(f"{path}: rank {rank}; NumPy has at most {MAX_RANK}")
    start = 4 + 4 * rank
    if len(content) < start:
        raise IdxError(f"{path}: truncated in the header: {len(content)} bytes, want {start} for rank {rank}")
    shape = struct.unpack(f">{rank}I", content[4:start])
    dtype, want = DTYPES[code], start + math.prod(shape) * DTYPES[code].itemsize
    if len(content) != want:
        fault = "truncated" if len(content) < want else "too long"
        raise IdxError(f"{path}: {fault}: {len(content)} bytes, want {want} for {dtype} of shape {shape}")
    values = np.frombuffer(content, dtype.newbyteorder(">"), offset=start)
    try:
        return values.reshape(shape).astype(dtype)
    except ValueError as error:  # one size is 0, and the others are more than memory can be
        raise IdxError(f"{path}: no array can have the shape {shape}: {error}") from error

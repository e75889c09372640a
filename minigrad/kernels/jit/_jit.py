"""The one decorator of compiled kernels: its flags and its cache."""

import hashlib
import os
import pickle
import stat
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

from minigrad.files import atomic_path, user_cache
from minigrad.kernels.compiling import tell

# Without "nnan" and "ninf": those delete NaN checks, and a NaN loss would go unnoticed.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}
WANTED = "want them to be yours or root's, and chmod go-w"


@cache
def cache_directory() -> Path | None:
    """Return where compiled kernels are kept; None, with a warning, where there is no place to keep or to read them.

    A folder that can only be read, as in the image of a container, is read. One that others may write to is not: what
    is kept are pickles, which run code.

    Numba does not notice a change in a function imported from another file, so the directory's name holds a hash
    of all kernel sources and of the versions that compiled them. (Each file's name holds a hash of the CPU.)
    """
    key = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        key.update(source.read_bytes())
    try:
        directory = user_cache() / f"kernels-{key.hexdigest()[:16]}"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.scandir(directory).close()
    except OSError as error:
        _warn(f"cannot use {error.filename} for compiled kernels: {error.strerror}")
        return None
    if not _is_ours(directory.stat()):
        _warn(f"{directory} is not read, since others may write to it ({WANTED})")
        return None
    return directory


@cache
def _warn(what: str) -> None:
    """Say once why kernels are not kept, or are not read."""
    warnings.warn(
        f"{what}; so each process compiles kernels anew. MINIGRAD_CACHE=FOLDER names another place", stacklevel=3
    )


def _is_ours(found: os.stat_result) -> bool:
    """Return whether a file or folder is ours or root's, and nobody else may write to it.

    The folders above are not looked at. Who may write there can put another folder in this one's place, but none that
    is ours, and files in it that are ours neither.
    """
    if not hasattr(os, "geteuid"):  # Windows keeps a user's folders from others
        return True
    return found.st_uid in (os.geteuid(), 0) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


class _Cache(NullCache):
    """A disk cache with a file for each overload, named by what it is.

    Numba's own numbers them and keeps an index. Two processes that compile at the same time give one number to two
    overloads, and whoever comes later takes one for the other. It also takes no folder that it cannot write to, and
    looks for another in the home folder. Here a file that is corrupt means compiling anew, never an error.
    """

    def __init__(self, function: Callable[..., Any], directory: Path) -> None:
        self._function, self._directory = function, directory

    @property
    def cache_path(self) -> str:
        return str(self._directory)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # Not as Numba does, which first imports what compiling needs: more than all else at the start.
        try:
            rtsys.initialize(target_context)
            kept = pickle.loads(self._read(self._path(sig, target_context.codegen())))
            return CompileResult._rebuild(target_context, *kept)
        except Exception:
            tell(self._function.__name__.partition("-")[0].lstrip("_"))
            return None

    def _read(self, path: Path) -> bytes:
        with open(path, "rb") as file:
            if _is_ours(os.fstat(file.fileno())):
                return file.read()
        _warn(f"some files in {path.parent} are not read, since others may write to them ({WANTED})")
        raise PermissionError(path)

    def save_overload(self, sig: Any, data: Any) -> None:
        if data.lifted or data.library.has_dynamic_globals:
            return
        path = self._path(sig, data.codegen)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # its mode would be kept, and may be why it was not read
            with atomic_path(path) as temporary:
                temporary.write_bytes(dumps(data._reduce()))
                temporary.chmod(temporary.stat().st_mode & ~(stat.S_IWGRP | stat.S_IWOTH))
        except OSError as error:
            _warn(f"cannot write into {self._directory} ({error.strerror or error})")

    def _path(self, sig: Any, codegen: Any) -> Path:
        """Return the overload's file. It need not say what a closure holds: our functions' names do."""
        code, name = self._function.__code__, self._function.__qualname__.translate({ord(c): None for c in "<>"})
        key = hashlib.sha256(repr((sig, codegen.magic_tuple())).encode())
        return (
            self._directory / f"{Path(code.co_filename).stem}.{name}-{code.co_firstlineno}.{key.hexdigest()[:16]}.nbc"
        )


def jit(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a kernel at its first call: IEEE division, no GIL, NaN-safe fast arithmetic, cached on disk."""
    settings: dict[str, Any] = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True} | options

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        compiled: Any = numba.njit(**settings)(function)
        if hasattr(compiled, "_cache"):  # not where the JIT is off
            keep_on_disk(compiled, function)
        kernel: Callable[..., Any] = compiled
        return kernel

    return decorate


def keep_on_disk(compiled: Any, function: Callable[..., Any]) -> None:
    """Let what Numba compiles of `function` be kept in, and taken from, our cache directory."""
    directory = cache_directory()
    if directory is not None:
        compiled._cache = _Cache(function, directory)

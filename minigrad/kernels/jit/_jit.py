"""The one decorator of compiled kernels: its flags and its cache."""

import hashlib
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

from minigrad.files import atomic_path, user_cache
from minigrad.kernels.compiling import tell

# Without "nnan" and "ninf": those delete NaN checks, and a NaN loss would go unnoticed.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}


@cache
def cache_directory() -> Path | None:
    """Return where compiled kernels are kept; None, with a warning, where no directory can be written.

    Numba does not notice a change in a function imported from another file, so the directory's name holds a hash
    of all kernel sources and of the versions that compiled them. (Numba itself keys each entry by the CPU.)
    """
    key = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        key.update(source.read_bytes())
    directory = user_cache() / f"kernels-{key.hexdigest()[:16]}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    except OSError as error:
        warnings.warn(
            f"cannot write into {directory} ({error.strerror}), so each process compiles its kernels anew; "
            "MINIGRAD_CACHE=FOLDER names another place",
            stacklevel=2,
        )
        return None


class _Cache(FunctionCache):
    """Numba's disk cache, with a file for each overload, named by what it is.

    Numba numbers them and keeps an index. Two processes that compile at the same time give one number to two overloads,
    and whoever comes later takes one for the other. Here a file that is corrupt or cannot be written means compiling
    anew, never an error.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # Not `super().load_overload`, which first imports what compiling needs: more than all else at the start.
        try:
            rtsys.initialize(target_context)
            kept = pickle.loads(self._path(sig, target_context.codegen()).read_bytes())
            return self._impl.rebuild(target_context, kept)
        except Exception:
            tell(self._py_func.__name__.partition("-")[0].lstrip("_"))
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(Exception):
            if self._impl.check_cachable(data):
                self._impl.locator.ensure_cache_path()
                with atomic_path(self._path(sig, data.codegen)) as temporary:
                    temporary.write_bytes(dumps(self._impl.reduce(data)))

    def _path(self, sig: Any, codegen: Any) -> Path:
        """Return the overload's file. It need not say what a closure holds: our functions' names do."""
        key = hashlib.sha256(repr((sig, codegen.magic_tuple())).encode())
        return Path(self.cache_path, f"{self._impl.filename_base}.{key.hexdigest()[:16]}.nbc")


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
    if directory is None:
        return
    config: Any = numba.config
    # Numba reads its global setting once, when a cache is made.
    previous, config.CACHE_DIR = config.CACHE_DIR, str(directory)
    try:
        compiled._cache = _Cache(function)
    finally:
        config.CACHE_DIR = previous

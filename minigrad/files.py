"""Where files go: the user's cache, and writing a file whole or not at all."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def user_cache() -> Path:
    """Return this user's cache folder of minigrad: `MINIGRAD_CACHE`, or a place that the system's customs say."""
    if os.environ.get("MINIGRAD_CACHE"):
        return Path(os.environ["MINIGRAD_CACHE"]).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "minigrad"


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path to write to, which becomes `path` when the block ends well.

    The path given has the name of the target, so its suffix is right, and lies in a temporary folder beside it. At
    the end of the block the file is fsynced and renamed over the target: whoever reads the target sees the old file or
    the new one, whole. If anything is raised, the target stays as it was. Nothing else remains in either case. A link
    is followed; the folder of the target must exist.

    Arguments:
        path: the file to write or to replace.

    Raises:
        OSError: if the target is not a regular file, or its folder is missing or cannot be written.

    >>> from tempfile import mkdtemp
    >>> target = Path(mkdtemp()) / "notes.txt"
    >>> with atomic_path(target) as temporary:
    ...     size = temporary.write_text("whole or not at all")
    >>> target.read_text()
    'whole or not at all'
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "cannot be written: not a regular file", str(target))
    with _folder_beside(target) as folder:
        temporary = folder / target.name
        yield temporary
        _fsync(temporary, os.O_RDWR)
        os.replace(temporary, target)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        _fsync(target.parent, os.O_RDONLY)


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    try:
        folder = TemporaryDirectory(prefix=".minigrad-", dir=target.parent)
    except OSError as error:
        raise OSError(error.errno, f"cannot write into its folder: {error.strerror}", str(target)) from None
    with folder as name:
        yield Path(name)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

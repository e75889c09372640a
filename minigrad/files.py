"""Where files go: the user's cache, and writing a file whole or not at all."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from minigrad.locks import temporary_folder

# What file systems answer that cannot fsync a folder (of networks, in memory, of FUSE), or where it may not be read.
NO_FSYNC = {
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EBADF,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
}


def user_cache() -> Path:
    """Return this user's cache folder of minigrad: `MINIGRAD_CACHE`, or a place that the system's customs say.

    Raises:
        OSError: that is in the home folder, and none is known, as for an unknown user in a container.
    """
    if os.environ.get("MINIGRAD_CACHE"):
        return expand(os.environ["MINIGRAD_CACHE"])
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return expand(base) / "minigrad"
    except OSError as error:
        message = "no home folder is known for this user; set HOME, or MINIGRAD_CACHE to a folder"
        raise OSError(error.errno, message, base) from None


def expand(path: str | os.PathLike[str]) -> Path:
    """Return a path with the home folder for a `~` or `~user` at its beginning.

    Raises:
        OSError: no home folder is known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise OSError(
            errno.ENOENT, "no home folder is known for it (HOME is not set, or no such user)", str(path)
        ) from None


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path to write to, which becomes `path` when the block ends well.

    The path given has the name of the target, so its suffix is right, and lies in a temporary folder beside it. At
    the end of the block the file is fsynced and renamed over the target: whoever reads the target sees the old file or
    the new one, whole. If anything is raised, the target stays as it was. Nothing else remains in either case; if the
    process is killed, the next one that writes into the folder removes what remains. A file that is replaced keeps its
    mode, and its owner and group where we may give them. A symbolic link is followed; another hard link keeps the old
    content. The folder of the target must exist.

    Arguments:
        path: the file to write or to replace.

    Raises:
        OSError: if the target is not a regular file or is read-only, or its folder is missing or cannot be written.

    >>> from tempfile import mkdtemp
    >>> target = Path(mkdtemp()) / "notes.txt"
    >>> with atomic_path(target) as temporary:
    ...     size = temporary.write_text("whole or not at all")
    >>> target.read_text()
    'whole or not at all'
    """
    target = Path(os.path.realpath(path))
    old = _replaceable(target)
    with _folder_beside(target) as folder:
        temporary = folder / target.name
        yield temporary
        _fsync(temporary, os.O_RDWR)
        if old is not None:
            _keep_owner_and_mode(temporary, old)
        try:
            os.replace(temporary, target)
        except OSError as error:
            raise OSError(error.errno, f"cannot be replaced: {error.strerror}", str(target)) from None
    if os.name == "posix":  # elsewhere a folder cannot be opened
        _fsync_folder(target.parent)


def _replaceable(target: Path) -> os.stat_result | None:
    """Return what is known of the file that will be replaced; None if there is none."""
    if target.is_symlink():  # which has been followed
        raise OSError(errno.ELOOP, "cannot be written: a link that leads to itself", str(target))
    if not target.exists():
        return None
    if not target.is_file():
        raise OSError(errno.EINVAL, "cannot be written: not a regular file", str(target))
    if not os.access(target, os.W_OK):
        raise OSError(errno.EACCES, "cannot be written: the file is read-only", str(target))
    return target.stat()


def _keep_owner_and_mode(file: Path, old: os.stat_result) -> None:
    if hasattr(os, "chown"):
        for owner, group in ((old.st_uid, -1), (-1, old.st_gid)):
            with suppress(OSError):  # only root may give files away
                os.chown(file, owner, group)
    file.chmod(stat.S_IMODE(old.st_mode))


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_folder(target.parent))
        except OSError as error:
            raise OSError(error.errno, f"cannot write into its folder: {error.strerror}", str(target)) from None
        yield folder


def _fsync_folder(folder: Path) -> None:
    """Make the new name last, where the file system can. Where it cannot, the file is whole all the same."""
    try:
        _fsync(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno not in NO_FSYNC:
            raise


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

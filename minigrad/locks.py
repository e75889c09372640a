"""Who writes to a folder, and which temporary folders are abandoned: told by locks that end with their process.

The locks are `flock`'s. The system lets them go when a process ends, however it ends. No number of a process is
compared (two containers may have the same), and NFS keeps them for all hosts. Where a file system has no locks, and on
Windows, nothing is refused, and a temporary folder is abandoned when nothing in it has changed for a day.
"""

import errno
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

PREFIX = ".minigrad-"  # of temporary folders
OWNER = ".owner"  # in a temporary folder: what its process has locked
WRITER = ".minigrad.lock"  # in any other folder: what the run that writes there has locked
DAY = 24 * 3600.0


class InUseError(OSError):
    """A folder that another run writes to. The message says which."""


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Let no other run write to a folder during the block. What a killed run left there does not block.

    Arguments:
        folder: must exist and be writable. It holds a file `.minigrad.lock` meanwhile.

    Raises:
        InUseError: another run does. The message says the process, the host and since when.
        OSError: the file cannot be made.
    """
    path = folder / WRITER
    descriptor = _acquire(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # before the lock ends: the next run makes a file of its own
        os.close(descriptor)


def _acquire(path: Path) -> int:
    """Return the descriptor of the file at `path`, locked and with our name in it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if _lock(descriptor) is False:
            with os.fdopen(descriptor, "rb") as file:
                who = _who(file.read())
            raise InUseError(f"{path.parent} is in use: {who} writes there. Wait for its end, or name another folder")
        with suppress(FileNotFoundError):  # the run before may have ended, and removed it, since we opened it
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                break
        os.close(descriptor)
    os.ftruncate(descriptor, 0)
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    os.write(descriptor, json.dumps({"process": os.getpid(), "host": platform.node(), "since": since}).encode())
    return descriptor


def _who(content: bytes) -> str:
    try:
        return "process {process} on host {host}, since {since},".format(**json.loads(content))
    except (ValueError, KeyError, TypeError):  # not yet written
        return "another process"


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Make a folder in `parent` for the time of the block, and remove those that killed processes left there."""
    folder, descriptor = Path(mkdtemp(prefix=PREFIX, dir=parent)), None
    try:
        descriptor = _own(folder)
        _remove_abandoned(parent, now=folder.stat().st_mtime)  # by the clock of the disk, which may be another host's
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def _own(folder: Path) -> int | None:
    """Lock a file in a temporary folder. It gets its name when it is locked, so nobody ever finds it free."""
    path = folder / f"{OWNER}-new"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if _lock(descriptor):
        os.write(descriptor, _system().encode())
        path.rename(folder / OWNER)
        return descriptor
    os.close(descriptor)
    path.unlink()
    return None


def _remove_abandoned(parent: Path, now: float) -> None:
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):  # others' folders, and those that vanish while we look
                    if _is_abandoned(Path(entry.path), now):
                        shutil.rmtree(entry.path)


def _is_abandoned(folder: Path, now: float) -> bool:
    """Return whether the process is dead that made a temporary folder.

    It is where nobody holds its lock, if it was taken on this system: of a lock of another host the disk may not know
    (NFS with local locks). Otherwise age decides.
    """
    owner = folder / OWNER
    if owner.exists():
        with open(owner, "r+b") as file:
            is_free = _lock(file.fileno())
            if is_free is False:
                return False
            if is_free and file.read().decode() == _system():
                return True
    return all(now - path.lstat().st_mtime > DAY for path in (folder, *folder.iterdir()))


def _lock(descriptor: int) -> bool | None:
    """Return whether the file is locked for us now, not for somebody else; None where there are no locks."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES) else None
    return True


@cache
def _system() -> str:
    """Return what tells this running system from others: hosts may share a name, and containers share the system."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node()

"""Where the cache lies on each system, and what a file written whole does where folders cannot be opened."""

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from minigrad import files


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "~/.cache/minigrad"),
        ("linux", {"XDG_CACHE_HOME": "~/elsewhere"}, "~/elsewhere/minigrad"),
        ("darwin", {"XDG_CACHE_HOME": "~/elsewhere"}, "~/Library/Caches/minigrad"),
        ("win32", {}, "~/AppData/Local/minigrad"),
        ("win32", {"LOCALAPPDATA": "~/local"}, "~/local/minigrad"),
        ("win32", {"LOCALAPPDATA": "~/local", "MINIGRAD_CACHE": "~/mine"}, "~/mine"),
    ],
)
def test_the_users_cache(
    platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MINIGRAD_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert files.user_cache() == Path(expected).expanduser()


@pytest.mark.parametrize(("system", "synced"), [("posix", ["notes.txt", "."]), ("other", ["notes.txt"])])
def test_only_posix_folders_are_synced(
    system: str, synced: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere a folder cannot be opened: trying to would be an error after the file was written."""
    seen: list[str] = []
    monkeypatch.setattr(
        files, "_fsync", lambda path, flags: seen.append("." if path == tmp_path.resolve() else path.name)
    )
    monkeypatch.setattr(os, "name", system)
    with files.atomic_path(tmp_path / "notes.txt") as temporary:
        temporary.write_text("whole")
    assert seen == synced
    assert (tmp_path / "notes.txt").read_text() == "whole"


def test_without_a_home_there_is_no_cache(homeless: None) -> None:
    with pytest.raises(FileNotFoundError, match=r"no home folder is known .*set HOME, or MINIGRAD_CACHE.*'~/.cache'"):
        files.user_cache()
    with pytest.raises(FileNotFoundError, match=r"no home folder is known for it .*'~nosuchuser/x'"):
        files.expand("~nosuchuser/x")


def write(path: Path) -> None:
    with files.atomic_path(path) as temporary:
        temporary.write_text("new")


@pytest.mark.skipif(os.name != "posix", reason="folders are not synced")
@pytest.mark.parametrize("where", ["open", "fsync"])
@pytest.mark.parametrize(
    ("number", "is_error"),
    [
        *((number, False) for number in sorted(files.NO_FSYNC)),
        *((number, True) for number in (errno.EIO, errno.ENOSPC, errno.EDQUOT)),
    ],
)
def test_a_folder_that_cannot_be_synced_is_no_error_and_other_errors_are(
    where: str, number: int, is_error: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = getattr(os, where)

    def fail_for_folders(what: object, *arguments: int, **options: object) -> object:
        is_descriptor = isinstance(what, int)
        is_folder = stat.S_ISDIR(os.fstat(what).st_mode) if is_descriptor else what == tmp_path.resolve()
        if is_folder:
            raise OSError(number, os.strerror(number))
        return call(what, *arguments, **options)

    monkeypatch.setattr(os, where, fail_for_folders)
    if is_error:
        with pytest.raises(OSError, match=os.strerror(number)):
            write(tmp_path / "a")
    else:
        write(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_a_replaced_file_keeps_its_mode(mode: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(mode)
    write(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="umask of POSIX")
def test_a_new_file_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    for umask in (0o077, 0o002, 0o022):
        before = os.umask(umask)
        try:
            write(tmp_path / oct(umask))
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / oct(umask)).stat().st_mode) == 0o666 & ~umask


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_owner_and_group_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("old")
    os.chown(tmp_path / "theirs", 12345, 54321)
    write(tmp_path / "theirs")
    found = (tmp_path / "theirs").stat()
    assert (found.st_uid, found.st_gid) == (12345, 54321)
    folder = tmp_path / "group"
    folder.mkdir()
    os.chown(folder, 0, 54321)
    folder.chmod(0o2775)
    write(folder / "new")
    assert (folder / "new").stat().st_gid == 54321


@pytest.mark.skipif(os.name != "posix", reason="owners of POSIX")
def test_an_owner_that_cannot_be_kept_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    (tmp_path / "a").write_text("old")
    write(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "new"


def test_a_read_only_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renaming over it would go through. Root may write it, so here root is no root."""
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o444)
    monkeypatch.setattr(os, "access", lambda path, mode: bool(Path(path).stat().st_mode & 0o200))
    with pytest.raises(PermissionError, match=r"the file is read-only: .*a"):
        write(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "old"


def test_a_file_that_cannot_be_replaced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is mounted into a container, or that lies in somebody else's sticky folder."""

    def busy(*arguments: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", "temporary", None, "target")

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(OSError, match=r"cannot be replaced: Device or resource busy: .*a'$"):
        write(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_links(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="a link that leads to itself"):
        write(tmp_path / "loop")
    (tmp_path / "one").write_text("old")
    (tmp_path / "other").hardlink_to(tmp_path / "one")
    write(tmp_path / "one")
    assert [(tmp_path / name).read_text() for name in ("one", "other")] == ["new", "old"]

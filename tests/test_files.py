"""Where the cache lies on each system, and what a file written whole does where folders cannot be opened."""

import os
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

"""A few damaged inputs of every command; `python -m tests.fuzz` tries many."""

from pathlib import Path

from tests.fuzz import search


def test_no_damaged_input_ends_in_a_foreign_exception(tmp_path: Path) -> None:
    assert search(tmp_path, 240, seed=1) == []

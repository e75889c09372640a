"""What has to hold, for each kind of thing: plain functions of a case, that tests, mutants and the proof all call."""

from typing import Any

from tests.checks.errors import Check, Errors


def run(name: str, check: Check, case: Any, at: Any) -> Errors:
    """Return the errors that a check measures; a failure says which check, of which case, where."""
    try:
        return check(case, at) or {}
    except Exception as error:
        error.add_note(f"check {name!r} of case {case.name!r} at {at}")
        raise

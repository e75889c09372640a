"""Which checks catch a mutant."""

from typing import Any

import numpy as np
import pytest

from tests.battery import SUBJECTS, Subject
from tests.checks.errors import Check
from tests.mutants.mutant import Mutant

SUBJECT = {subject.name: subject for subject in SUBJECTS}


def catchers(mutant: Mutant) -> list[str]:
    """Return the names of all checks that fail on a mutant, over all fixed cases of its target."""
    subject = SUBJECT[mutant.target_name]
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        mutant.patch(patch)
        return [name for name, check in subject.all_checks.items() if _catches(name, check, subject)]


def _catches(name: str, check: Check, subject: Subject) -> bool:
    # The other checks see nothing new in another memory layout.
    ats = [at for at in subject.everywhere if at.layout == "C" or name == "any memory layout"]
    return any(_fails(check, case, at) for case in subject.cases for at in ats)


def _fails(check: Check, case: Any, at: Any) -> bool:
    """Return whether a check says that something is wrong. A crash does not count."""
    try:
        check(case, at)
    except AssertionError:
        return True
    except Exception:
        return False
    return False

"""The battery: every class, function and kernel through all its checks, on its fixed cases and on drawn ones."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend import needs_numba
from tests.battery import SUBJECTS, Subject
from tests.cases.case import At
from tests.cases.drawn import ATS
from tests.checks import run


def needs(subject: Subject) -> list[Any]:
    return [needs_numba] if subject.kind == "kernel" else []


FIXED = [
    pytest.param(subject, case, check, id=f"{case.name}-{check}", marks=needs(subject))
    for subject in SUBJECTS
    for case in subject.cases
    for check in subject.all_checks
]


@pytest.mark.parametrize(("subject", "case", "check"), FIXED)
def test_fixed_case(subject: Subject, case: Any, check: str) -> None:
    for at in subject.where(check):
        run(check, subject.all_checks[check], case, at)


@pytest.mark.parametrize("subject", [pytest.param(each, id=each.name, marks=needs(each)) for each in SUBJECTS])
@given(data=st.data(), at=ATS)
def test_drawn_case(subject: Subject, data: st.DataObject, at: At) -> None:
    case = data.draw(subject.drawn, "case")
    for name, check in subject.checks.items():
        run(name, check, case, at)

"""Every mutant is caught by the check that is meant to, every check catches one, and what is right is not caught."""

import pytest

from minigrad import kernels, nn
from tests.backend import needs_numba
from tests.battery import SUBJECTS, Subject
from tests.discovery import kernels_of
from tests.mutants import FAMILIES, MUTANTS, Mutant, __main__, catchers, scaled
from tests.mutants.mutant import both, edit, edited

BY_HAND = [mutant for family in FAMILIES if family is not scaled for mutant in family.MUTANTS]
WITHOUT_KERNELS = [subject for subject in SUBJECTS if subject.kind != "kernel"]
ALL = [
    pytest.param(mutant, id=mutant.name, marks=[needs_numba] if isinstance(mutant.target, str) else [])
    for mutant in MUTANTS
]
WRONG = Mutant("Flatten: twice the gradient", nn.Flatten, "derivative", edit(nn.Flatten, "_backward", "dy.", "2 * dy."))
HARMLESS = Mutant("Flatten: as it is", nn.Flatten, "derivative", both())
CRASH = Mutant("Flatten: divides by 0", nn.Flatten, "derivative", edit(nn.Flatten, "_backward", "dy.", "1 / 0 * dy."))


@pytest.mark.parametrize("mutant", ALL)
def test_caught(mutant: Mutant) -> None:
    assert mutant.caught_by in catchers(mutant)


@pytest.mark.parametrize("subject", WITHOUT_KERNELS, ids=lambda subject: subject.name)
def test_what_is_right_is_not_caught(subject: Subject) -> None:
    """On NumPy's kernels, of which mutants are made."""

    def take_reference(patch: pytest.MonkeyPatch) -> None:
        for name, kernel in kernels_of("reference").items():
            patch.setattr(kernels, name, kernel)

    assert catchers(Mutant("right", subject.name, "", take_reference)) == []


def test_there_are_many() -> None:
    assert len(BY_HAND) >= 254
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_everything_has_a_mutant() -> None:
    assert {mutant.target_name for mutant in MUTANTS} == {subject.name for subject in SUBJECTS}


def test_every_check_is_the_catcher_of_a_mutant() -> None:
    kinds = {subject.name: subject.kind for subject in SUBJECTS}
    catching = {(kinds[mutant.target_name], mutant.caught_by) for mutant in MUTANTS}
    assert catching == {(subject.kind, check) for subject in SUBJECTS for check in subject.all_checks}


def test_a_mutant_is_undone() -> None:
    backward, kernel = nn.Flatten._backward, kernels.relu_forward
    assert "derivative" in catchers(WRONG)
    catchers(next(mutant for mutant in MUTANTS if mutant.name == "ReLU: NaN becomes 0"))
    assert nn.Flatten._backward is backward
    assert kernels.relu_forward is kernel


def test_a_crash_is_no_catch() -> None:
    assert catchers(CRASH) == []


def test_an_edit_has_to_fit() -> None:
    with pytest.raises(AssertionError, match=r"Flatten._backward has 'dx' 0 times, want 1"):
        edited(nn.Flatten._backward, "dx", "dy")


def test_the_report_tells_of_survivors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(__main__, "MUTANTS", [WRONG])
    assert __main__.main() == 0
    assert "Flatten: twice the gradient  derivative, torch parity" in capsys.readouterr().out
    monkeypatch.setattr(__main__, "MUTANTS", [WRONG, HARMLESS])
    assert __main__.main() == 1
    assert "SURVIVES 'derivative'\n1 of 2 mutants are caught\n" in capsys.readouterr().out

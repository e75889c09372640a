"""The battery over every module: the fixed cases of the table, and cases that Hypothesis draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import nn
from tests.battery import LAYERS_EVERYWHERE
from tests.cases import MODULES, ErrorCase, ModuleCase
from tests.cases.case import At
from tests.cases.drawn import ATS, DRAWN
from tests.checks import run
from tests.checks.module import CHECKS, FIXED_CHECKS


@pytest.mark.parametrize("check", [*CHECKS, *FIXED_CHECKS])
@pytest.mark.parametrize("case", MODULES, ids=lambda case: case.name)
def test_fixed_case(case: ModuleCase, check: str) -> None:
    for at in LAYERS_EVERYWHERE:
        run(check, (CHECKS | FIXED_CHECKS)[check], case, at)


@pytest.mark.parametrize("cls", DRAWN, ids=lambda cls: cls.__name__)
@given(data=st.data(), at=ATS)
def test_drawn_case(cls: type[nn.Module], data: st.DataObject, at: At) -> None:
    case = data.draw(DRAWN[cls], "case")
    for name, check in CHECKS.items():
        run(name, check, case, at)


@pytest.mark.parametrize("case", [case for case in MODULES if case.differs_in_eval], ids=lambda case: case.name)
def test_training_differs_from_evaluation(case: ModuleCase) -> None:
    train, evaluate = case.module(At(training=True)), case.module(At(training=False))
    assert not np.array_equal(train(case.input()), evaluate(case.input()))


ERRORS = [(case, error) for case in MODULES for error in case.errors]


@pytest.mark.parametrize(("case", "error"), ERRORS, ids=[f"{c.name}-{e.what}" for c, e in ERRORS])
def test_bad_input(case: ModuleCase, error: ErrorCase) -> None:
    module = case.module()
    state = module.state_dict()
    with pytest.raises(nn.LayerError, match=error.match) as raised:
        module(error.x)
    assert type(module).__name__ in str(raised.value)
    assert len(module._saved) == 0
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(value, state[name], "a refused input changed the state")

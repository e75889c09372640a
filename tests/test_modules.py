"""What modules refuse, and where training differs from evaluation. The battery is in test_battery.py."""

import numpy as np
import pytest

from minigrad import nn
from tests.cases import MODULES, ErrorCase, ModuleCase
from tests.cases.case import At


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

"""Whatever is changed between two calls, a compiled model and a compiled step follow as the eager ones do."""

from collections.abc import Callable

import numpy as np
import pytest

from minigrad import engine, nn
from minigrad.nn.recording import evaluating
from tests.backend import needs_engine
from tests.cases import MODULES, ModuleCase
from tests.cases.case import At
from tests.changes import changed, changes

pytestmark = needs_engine

Outcome = np.ndarray | str


def outcome(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> Outcome:
    """Return the outputs, or that there are none."""
    try:
        with np.errstate(all="ignore"):
            return function(x)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def evaluated(module: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    def outputs_of(x: np.ndarray) -> np.ndarray:
        with evaluating():
            return module(x)

    return outputs_of


def assert_alike(ours: Outcome, theirs: Outcome, what: str) -> None:
    if isinstance(ours, str) or isinstance(theirs, str):
        assert isinstance(ours, str), f"{what}: eager says {theirs}, compiled gives outputs"
        assert isinstance(theirs, str), f"{what}: compiled says {ours}, eager gives outputs"
        return
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), what
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9, err_msg=what)


@pytest.mark.parametrize("case", MODULES, ids=repr)
def test_compiled_outputs_follow_every_attribute(case: ModuleCase) -> None:
    """One compiled model, changed again and again and back: each attribute of each layer, and each child."""
    at = At(training=False)
    module, x = case.module(at), case.input(at)
    if engine.why_eager(module):
        pytest.skip(engine.why_eager(module))
    compiled = module.compiled()
    before, count = outcome(compiled, x), 0
    assert_alike(before, outcome(evaluated(module), x), "as it was")
    for dotted, value in list(changes(module)):
        with changed(module, dotted, value):
            assert_alike(outcome(compiled, x), outcome(evaluated(module), x), f"{dotted} = {value!r}")
        count += 1
    np.testing.assert_array_equal(compiled(x), before)
    assert count or not [name for name in vars(module) if not name.startswith("_")]


def test_samples_that_depend_on_each_other_are_taken_at_once() -> None:
    """A BatchNorm without running statistics normalises by those of all samples, however many fit into the cache."""
    model = nn.Sequential(nn.Conv2d(3, 16, 3, rng=0), nn.BatchNorm2d(16, track_running_stats=False), nn.Flatten())
    x = np.random.default_rng(0).standard_normal((300, 3, 40, 40)).astype(np.float32)
    np.testing.assert_allclose(model.compiled()(x), evaluated(model)(x), rtol=1e-3, atol=1e-4)


def test_a_changed_size_is_refused_where_arrays_are_of_another() -> None:
    """Kernels trust the sizes: a convolution read memory that was not its own, in both modes."""
    for layer, name, shape, want in (
        (nn.Linear(3, 7), "out_features", (5, 3), r"weight has the shape \(7, 3\), the layer's options want \(8, 3\)"),
        (
            nn.Conv2d(3, 7, 2),
            "out_channels",
            (5, 3, 4, 6),
            r"weight has the shape \(7, 3, 2, 2\), .* want \(8, 3, 2, 2\)",
        ),
        (nn.GroupNorm(2, 6), "num_groups", (5, 6, 4), "want groups that divide the channels, got 4 and 6"),
    ):
        compiled, x = layer.compiled(), np.ones(shape, np.float32)
        compiled(x)
        setattr(layer, name, {"num_groups": 4}.get(name, 8))
        for each in (layer, compiled):
            with pytest.raises(ValueError, match=want):
                each(x)


def test_a_layer_without_a_lowering_is_refused_by_what_is_compiled() -> None:
    class Own(nn.ReLU):
        pass

    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    compiled, x = model.compiled(), np.ones((5, 3), np.float32)
    compiled(x)
    model.set_submodule("1", Own())
    with pytest.raises(
        ValueError, match=r"Sequential\[1\].Own has no lowering since .*; call model.compiled\(\) again"
    ):
        compiled(x)

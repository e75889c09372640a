"""Trainings that are run step by step, eagerly and compiled, and how far their results may be apart."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from minigrad import engine, nn, optim
from minigrad.engine import EagerStep, TrainingStep
from tests.checks.errors import NUDGE, Errors, assert_within, relative_errors, scale_of

STEPS = 20
Results = dict[str, np.ndarray]
Parts = tuple[nn.Module, nn.Loss, optim.Optimizer]
Batch = tuple[np.ndarray, np.ndarray]


@contextmanager
def shared_by(threads: int) -> Iterator[None]:
    """Have so many threads share, and fused instructions do, all that they can, however little it is."""
    before = engine.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minigrad.engine.program.SHARED_FROM", 0)
        patch.setattr("minigrad.engine.program.GRAIN", 1)
        patch.setattr("minigrad.engine.lowering.CHAINED_FROM", 0)
        patch.setattr("minigrad.engine.layers.CHAIN_ROWS", 2)
        patch.setattr("minigrad.engine.taps.TILE_ROWS", 1)
        engine.set_num_threads(threads)
        try:
            yield
        finally:
            engine.set_num_threads(before)


def programs_of(step: Any) -> list[Any]:
    """Return the programs of a compiled step, or of a compiled model."""
    return [each.program for each in step._programs]


def results_of(step: TrainingStep, losses: list[float]) -> Results:
    """Return all that training changes: losses, weights, running statistics, the counts of masks, optimizer's state."""
    found = {"losses": np.array(losses), **step.model.state_dict()}
    for path, module in step.model.named_modules():
        if isinstance(module, nn.Dropout):
            found[f"{path}.step"] = np.array(module.step)
    trained = [parameter for group in step.optimizer.param_groups for parameter in group["params"]]
    found |= {f"trained {number}": parameter.data.copy() for number, parameter in enumerate(trained)}
    for number, state in step.optimizer.state_dict()["state"].items():
        found |= {f"{name} of {number}": np.asarray(value) for name, value in state.items()}
    return found


@dataclass(frozen=True)
class Training:
    """What is trained: parts of a dtype, and the batch of each step (of float64, or of integers).

    Arguments:
        make: the model, its loss and its optimizer.
        batch: of a step.
        clip_norm: of the gradients.
        steps: how many.
    """

    make: Callable[[Any], Parts]
    batch: Callable[[int], Batch]
    clip_norm: float | None = None
    steps: int = STEPS

    def eager(self, dtype: Any) -> Results:
        return self._run(EagerStep(*self.make(dtype), clip_norm=self.clip_norm), dtype)

    def nudged(self, rng: np.random.Generator) -> Results:
        """Return the results in float64 from weights and inputs that are a little different."""

        def nudge(array: np.ndarray) -> np.ndarray:
            return array * (1 + NUDGE * rng.uniform(-1, 1, array.shape)) if array.dtype.kind == "f" else array

        step = EagerStep(*self.make(np.float64), clip_norm=self.clip_norm)
        for parameter in step.parameters:
            parameter.data[...] = nudge(parameter.data)
        batches = [self.batch(number) for number in range(self.steps)]
        return results_of(step, [step(nudge(x), y) for x, y in batches])

    def compiled(self, dtype: Any, threads: int = 1) -> Results:
        with shared_by(threads):
            step = engine.compile(*self.make(dtype), clip_norm=self.clip_norm)
            results = self._run(step, dtype)
        assert all(each.is_shared for each in programs_of(step))
        return results

    def _run(self, step: TrainingStep, dtype: Any) -> Results:
        losses = []
        for number in range(self.steps):
            x, y = (a.astype(dtype) if a.dtype.kind == "f" else a for a in self.batch(number))
            losses.append(step(x, y))
        return results_of(step, losses)


def assert_compiled_equals_eager(training: Training, dtype: Any, threads: tuple[int, ...] = (2, 4)) -> Errors:
    """Compiled, the same within rounding, and for these numbers of threads the same bits."""
    eager, compiled = training.eager(dtype), training.compiled(dtype)
    for count in threads:
        assert_same_bits(training.compiled(dtype, count), compiled)
    return assert_within_rounding(compiled, eager, training.steps, lambda: effect_of_a_change(training))


def assert_same_bits(ours: Results, theirs: Results) -> None:
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name, strict=True)


def assert_within_rounding(
    ours: Results, theirs: Results, steps: int, effect: Callable[[], float] = lambda: 1.0
) -> Errors:
    """Counts are equal, and numbers as near to each other as two ways of rounding bring them.

    The two steps add up in different orders. R roundings in a row change what is computed in a step by at most R u
    relatively (Higham, 2002, lemma 3.1); R is the length of the longest sum, here taken as 50, for the functions of an
    element, and the size of the largest array. What that does to the results is what the same change of weights and
    inputs does, at most 20 times over: once for each step. This `effect`, in units of the change, is at least taken
    as 1, and measured only where the results are farther apart.
    """
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype, name
        assert array.dtype.kind == "f" or np.array_equal(ours[name], array), name
        assert np.isfinite(array).all(), f"{name} is compared with {array}"
    unit = max(float(np.finfo(array.dtype).eps) / 2 for array in theirs.values() if array.dtype.kind == "f")
    bound = steps * (50 + max(array.size for array in theirs.values())) * unit
    errors = relative_errors(ours, theirs)
    if any(error * scale_of(theirs[name]) > bound for name, error in errors.items()):
        bound *= effect()
    return assert_within(errors, {name: bound / scale_of(theirs[name]) for name in errors})


def effect_of_a_change(training: Training) -> float:
    """Return the largest change of any result, in units of random relative changes of weights and inputs by 1e-6."""
    exact, rng = training.eager(np.float64), np.random.default_rng(0)
    effect = 1.0
    for _ in range(3):
        moved = relative_errors(training.nudged(rng), exact)
        effect = max(effect, *(error * scale_of(exact[name]) / NUDGE for name, error in moved.items()))
    return effect

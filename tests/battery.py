"""All that is proven: every class, function and kernel, with its cases, where they are checked, and the checks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.cases import (
    LOSSES,
    MODULES,
    clip,
    drawn,
    drawn_image,
    drawn_losses,
    ema,
    initialiser,
    kernel,
    optimizer,
    schedule,
)
from tests.cases.case import LAYOUTS, At
from tests.checks import clip as clip_checks
from tests.checks import ema as ema_checks
from tests.checks import errors
from tests.checks import initialiser as initialiser_checks
from tests.checks import kernel as kernel_checks
from tests.checks import loss as loss_checks
from tests.checks import module as module_checks
from tests.checks import optimizer as optimizer_checks
from tests.checks import schedule as schedule_checks

PRECISIONS = [At(dtype=np.float64), At(dtype=np.float32)]
LAYERS_EVERYWHERE = [
    At(training, dtype, layout=layout)
    for training, layouts in ((True, LAYOUTS), (False, LAYOUTS[:2]))
    for dtype, layout in ((np.float32, "C"), *((np.float64, layout) for layout in layouts))
]
LOSSES_EVERYWHERE = [At(dtype=dtype, layout=layout) for dtype in (np.float64, np.float32) for layout in LAYOUTS]

# Sixteen seeds: every combination of four flags (see tests/cases/kernel_arguments.py).
KERNELS_EVERYWHERE = [At(dtype=dtype, seed=seed) for dtype in (np.float64, np.float32) for seed in range(16)]
LAYOUT_CHECKS = {"any memory layout", "torch parity"}


@dataclass(frozen=True)
class Subject:
    """One class (or function, or kernel): its fixed cases and where they are checked, and what Hypothesis draws."""

    kind: str
    name: str
    cases: list[Any]
    everywhere: list[At]
    drawn: st.SearchStrategy[Any]
    checks: dict[str, errors.Check]
    fixed_checks: dict[str, errors.Check]

    def where(self, check: str) -> list[At]:
        """Return where a check is done: in all layouts of memory only one that looks at them."""
        return [at for at in self.everywhere if at.layout == "C" or check in LAYOUT_CHECKS]

    @property
    def all_checks(self) -> dict[str, errors.Check]:
        """Those of every case, and those of the fixed ones only."""
        return self.checks | self.fixed_checks


def _subjects(
    kind: str, cases: list[Any], everywhere: list[At], strategies: dict[Any, Any], checks: Any
) -> Iterator[Subject]:
    by_name = {getattr(key, "__name__", key): strategy for key, strategy in strategies.items()}
    for name, strategy in by_name.items():
        own = [case for case in cases if case.cls == name]
        fixed = getattr(checks, "FIXED_CHECKS", {})
        yield Subject(kind, name, own, everywhere, strategy, checks.CHECKS, fixed)


SUBJECTS = [
    *_subjects("layer", MODULES, LAYERS_EVERYWHERE, {**drawn.DRAWN, **drawn_image.DRAWN}, module_checks),
    *_subjects("loss", LOSSES, LOSSES_EVERYWHERE, drawn_losses.DRAWN, loss_checks),
    *_subjects("optimizer", optimizer.OPTIMIZERS, PRECISIONS, optimizer.DRAWN, optimizer_checks),
    *_subjects("schedule", schedule.SCHEDULES, PRECISIONS[:1], schedule.DRAWN, schedule_checks),
    *_subjects("clipping", clip.CLIPS, PRECISIONS, clip.DRAWN, clip_checks),
    *_subjects("averaging", ema.AVERAGES, PRECISIONS, ema.DRAWN, ema_checks),
    *_subjects("initial values", initialiser.INITIALISERS, PRECISIONS, initialiser.DRAWN, initialiser_checks),
    *_subjects("kernel", kernel.KERNELS, KERNELS_EVERYWHERE, kernel.DRAWN, kernel_checks),
]

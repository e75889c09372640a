"""The proof: `python -m tests.proof --minutes 45` checks everything and searches for what is wrong.

Every class, function and kernel passes through its checks: its fixed cases, then cases that Hypothesis draws for as
long as there is time. Every mutant has to be caught. One row each is printed, and the exit code is 1 if one fails.
A failure prints the numbers that replay it: `python -m tests.proof --only Softmax --seed 17 --minutes 0.1`.
`--write` keeps the tables in docs/proof.md.
"""

import argparse
import os
import platform
import sys
import time
import traceback
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings

from minigrad.cli.info import processor
from tests.battery import SUBJECTS, Subject
from tests.cases.case import At
from tests.cases.drawn import ATS
from tests.checks import run
from tests.checks.errors import SHARE, Errors
from tests.mutants import MUTANTS, catchers
from tests.proof_table import markdown, show

EXAMPLES = 50  # of one round of the search, which has a seed of its own
PAGE = Path(__file__).parents[1] / "docs" / "proof.md"
OPENING = """\
# The proof

What `make proof` printed last. Every number is a largest relative error over all cases, fixed ones and drawn ones:
finite differences by `minigrad.gradcheck`; y, dx and parameters (their gradients, the buffers, and all of them after 20
steps of SGD) beside PyTorch in float64, where 1e-10 is allowed. In float32 what rounding explains is derived for each
case from the number of operations and its condition (`tests/checks/errors.py`): the share of that which was seen. A
mutant is a wrong version, caught by the check that is named for it: `python -m tests.mutants` lists them.

"""


@dataclass
class Row:
    """What is known of one subject."""

    kind: str
    name: str
    cases: int = 0
    float64: Errors = field(default_factory=lambda: defaultdict(float))
    float32: Errors = field(default_factory=lambda: defaultdict(float))
    mutants: int = 0
    caught: int = 0
    failure: str = ""

    def add(self, at: At, errors: Errors) -> None:
        """Keep the largest errors."""
        kept = self.float64 if at.dtype == np.float64 or SHARE in errors else self.float32
        for name, error in errors.items():
            kept[name] = max(kept[name], error)


def prove(index: int, seconds: float, first_seed: int) -> Row:
    """Return the row of one subject; what fails is in it."""
    subject = SUBJECTS[index]
    row = Row(subject.kind, subject.name)
    try:
        for case in subject.cases:
            for at in subject.everywhere:
                check(subject, row, case, at, subject.all_checks)
        search(subject, row, seconds, first_seed)
    except Exception as error:
        row.failure = "".join(traceback.format_exception(error, limit=-2))
    for mutant in MUTANTS:
        if mutant.target_name == subject.name:
            row.mutants += 1
            row.caught += mutant.caught_by in catchers(mutant)
    if row.caught < row.mutants:
        row.failure += f"{row.mutants - row.caught} mutants survive: python -m tests.mutants"
    return row


def check(subject: Subject, row: Row, case: Any, at: At, checks: dict[str, Any]) -> None:
    """Run all checks on one case."""
    row.cases += 1
    for name, function in checks.items():
        row.add(at, run(name, function, case, at))


def search(subject: Subject, row: Row, seconds: float, number: int) -> None:
    """Draw cases, round by round, until the time is over or one fails."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            search_round(subject, row, number)
        except Exception as error:
            error.add_note(f"replay: python -m tests.proof --only {subject.name} --seed {number} --minutes 0.01")
            raise
        number += 1


def search_round(subject: Subject, row: Row, number: int) -> None:
    @seed(number)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=subject.drawn, at=ATS)
    def examples(case: Any, at: At) -> None:
        check(subject, row, case, at, subject.checks)

    examples()


def prove_all(names: list[str] | None, minutes: float, first_seed: int) -> list[Row]:
    """Return a row for each subject, in the order of the battery, proven on all processors; say how it goes."""
    chosen = [i for i, subject in enumerate(SUBJECTS) if not names or subject.name in names]
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    seconds = 60 * minutes * workers / max(1, len(chosen))
    print(f"{len(chosen)} subjects, {seconds:.1f} s of search each, {workers} processes, seed {first_seed}", flush=True)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        running = [pool.submit(prove, i, seconds, first_seed) for i in chosen]
        for number, done in enumerate(as_completed(running), 1):
            row = done.result()
            print(f"{number}/{len(chosen)} {row.name}: {row.failure or 'ok'}", flush=True)
        return [done.result() for done in running]


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1, help="how long to search in all")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the search; by default the time")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="classes, functions or kernels")
    parser.add_argument("--write", action="store_true", help="keep the tables of all in docs/proof.md")
    args = parser.parse_args()
    unknown = set(args.only or ()) - {subject.name for subject in SUBJECTS}
    if unknown:
        parser.error(f"nothing is called {', '.join(sorted(unknown))}")
    return args


def main() -> int:
    """Prove what the arguments ask for, all by default, and show it."""
    args = arguments()
    rows = prove_all(args.only, args.minutes, args.seed)
    show(rows)
    if args.write and not args.only:
        measured = f"{args.minutes:g} minutes of search, seed {args.seed}, on {processor()}; "
        versions = f"numpy {np.__version__}, torch {torch.__version__}, python {platform.python_version()}."
        PAGE.write_text(f"{OPENING}{markdown(rows)}\n\n{measured}{versions}\n", encoding="utf-8")
    return int(any(row.failure for row in rows))


if __name__ == "__main__":
    sys.exit(main())

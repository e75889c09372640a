"""How many threads a compiled step uses: as many processors as this process may really use, unless it is told."""

import math
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

OWN = "MINIGRAD_NUM_THREADS"
SHARED = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")
"""Variables of others that say how many threads a process should have. joblib sets them for its workers."""

MOST = 1024  # a slip of the pen should not start more

_chosen: int | None = None


class Decision(NamedTuple):
    """How many threads there are by default, and what decided it."""

    threads: int
    by: str


def get_num_threads() -> int:
    """Return how many threads a compiled step uses.

    What `set_num_threads` said, else the environment variable MINIGRAD_NUM_THREADS, else the least of the number of
    processors that this process may use (those of its affinity mask, or fewer where a control group, a container, has
    a quota), of NUMBA_NUM_THREADS and of OMP_NUM_THREADS. System and environment are asked once.
    """
    return default_threads().threads if _chosen is None else _chosen


def decision() -> Decision:
    """Return how many threads a compiled step uses, and what decided it."""
    return default_threads() if _chosen is None else Decision(_chosen, "set_num_threads")


@cache
def default_threads() -> Decision:
    """Return how many threads there are where `set_num_threads` has not been called.

    Raises:
        ValueError: MINIGRAD_NUM_THREADS makes no sense. Variables of others that make none are ignored.
    """
    said = os.environ.get(OWN, "")
    if said:
        count = _number(said)
        if count is None or count > MOST:
            raise ValueError(f"{OWN}={said!r}: want a whole number, at least 1 and at most {MOST}")
        return Decision(count, OWN)
    limits = [Decision(available_processors(), "the processors that this process may use")]
    for name in SHARED:
        # OMP_NUM_THREADS may be a list, with a number for each level of nesting.
        count = _number(os.environ.get(name, "").partition(",")[0].strip())
        if count is not None:
            limits.append(Decision(count, name))
    return min(limits, key=lambda limit: limit.threads)


def _number(text: str) -> int | None:
    """Return a whole number of at least 1; None for any other text."""
    return int(text) or None if text.isdecimal() and len(text) < 10 else None


def set_num_threads(threads: int) -> None:
    """Set how many threads a compiled step uses, from the next call on. The results do not depend on it.

    Arguments:
        threads: at least 1, at most 1024.
    """
    global _chosen
    if isinstance(threads, bool) or not isinstance(threads, int):
        raise TypeError(f"set_num_threads: want a whole number, got {threads!r}")
    if not 1 <= threads <= MOST:
        raise ValueError(f"set_num_threads: want at least 1 and at most {MOST}, got {threads}")
    _chosen = threads


def available_processors() -> int:
    """Return how many processors this process may use.

    >>> 1 <= available_processors() <= os.cpu_count()
    True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    return cores if quota >= cores else max(1, math.ceil(quota))


def cgroup_quota(root: Path = Path("/")) -> float:
    """Return how many processors' time the control groups of this process grant it; infinity for no limit.

    Arguments:
        root: of the file system.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return math.inf
    quotas = [math.inf]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            quotas += [_quota(folder / "cpu.max") for folder in _with_parents(root / "sys/fs/cgroup", path)]
        elif "cpu" in controllers.split(","):
            quotas += [_old_quota(folder) for folder in _with_parents(root / "sys/fs/cgroup" / controllers, path)]
    return min(quotas)


def _with_parents(mount: Path, path: str) -> list[Path]:
    """Return the folders of a group and of those around it: each may have a limit."""
    group = mount / path.lstrip("/")
    return [group, *[parent for parent in group.parents if parent == mount or mount in parent.parents]]


def _quota(file: Path) -> float:
    """Return quota / period of version 2: "200000 100000", or "max 100000"."""
    try:
        quota, period = file.read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf


def _old_quota(folder: Path) -> float:
    """Return quota / period of version 1, where -1 means no limit."""
    try:
        quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota / period if quota > 0 and period > 0 else math.inf
    except (OSError, ValueError):
        return math.inf

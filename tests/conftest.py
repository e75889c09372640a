"""How the suite runs: how far Hypothesis searches, and a line that says which kernels are under test.

`dev` is for every day. `ci`, taken where the environment has CI, draws the same examples in every run: a fifth of them
where Python runs the loops, since all have been checked compiled. `deep` is the long search of `make proof`, of as many
examples as MINIGRAD_EXAMPLES says. `pytest --hypothesis-profile=NAME` asks for one of them by name.
"""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from minigrad.engine import threads
from tests.backend import IS_INTERPRETED, KERNELS_UNDER_TEST

EXAMPLES = {"dev": 25, "ci": 10 if IS_INTERPRETED else 50, "deep": int(os.environ.get("MINIGRAD_EXAMPLES", "3000"))}

for name, count in EXAMPLES.items():
    settings.register_profile(
        name,
        settings.get_profile("default"),
        max_examples=count,
        derandomize=name == "ci",
        deadline=None,  # the first call of a kernel compiles it
        suppress_health_check=[HealthCheck.too_slow],  # which measures the machine, and what else runs on it
        print_blob=True,  # a failure prints the line that replays it
    )
os.environ.setdefault(threads.OWN, "2")  # the variables that give BLAS one thread are not meant for us
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_report_header() -> str:
    profile, count = settings.get_current_profile_name(), settings.default.max_examples
    return f"minigrad: {KERNELS_UNDER_TEST}; Hypothesis profile {profile}, {count} examples a test"


@pytest.fixture(autouse=True)
def _threads_are_counted_anew() -> None:
    """A process reads the environment once; a test may have another one than the test before."""
    threads.default_threads.cache_clear()


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where compiled kernels are kept during a test that wants none at its start."""
    jit = import_module("minigrad.kernels.jit._jit")
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    jit.cache_directory.cache_clear()
    jit._warn.cache_clear()
    yield tmp_path / "cache"
    jit.cache_directory.cache_clear()


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home folder, as an unknown one in a container is."""

    def unknown(*arguments: object) -> None:
        raise KeyError

    for name in (
        "HOME",
        "USERPROFILE",
        "HOMEPATH",
        "MINIGRAD_CACHE",
        "MINIGRAD_DATA",
        "XDG_CACHE_HOME",
        "LOCALAPPDATA",
    ):
        monkeypatch.delenv(name, raising=False)
    if os.name == "posix":
        monkeypatch.setattr("pwd.getpwuid", unknown)

"""Threads: how many there are, that they never show in the results, and that they get along with the rest."""

import math
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import nn, optim
from minigrad.engine import plan, threads
from minigrad.engine.plan import Lifetime
from minigrad.kernels.memory import LINE
from tests.backend import needs_engine
from tests.engine_runs import Results, assert_same_bits, programs_of, results_of, shared_by
from tests.engine_twins import adam, network, samples


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_chosen", None)
    for name in (threads.OWN, *threads.SHARED):
        monkeypatch.delenv(name, raising=False)


# ------------------------------------------------------------------------------------------------------------ how many


def test_as_many_as_the_process_may_use() -> None:
    assert minigrad.get_num_threads() == threads.available_processors() <= (os.cpu_count() or 1)


def test_set_num_threads() -> None:
    minigrad.set_num_threads(3)
    assert threads.decision() == (3, "set_num_threads")
    assert minigrad.get_num_threads() == 3
    for out_of_range in (0, -1, 1025, 10**20):
        with pytest.raises(ValueError, match=f"set_num_threads: want at least 1 and at most 1024, got {out_of_range}"):
            minigrad.set_num_threads(out_of_range)
    for wrong in (2.0, "2", True, None):
        with pytest.raises(TypeError, match=f"set_num_threads: want a whole number, got {wrong!r}"):
            minigrad.set_num_threads(wrong)
    assert minigrad.get_num_threads() == 3


PROCESSORS = "the processors that this process may use"
ENVIRONMENTS = {
    "nothing": ({}, 4, PROCESSORS),
    "ours": ({"MINIGRAD_NUM_THREADS": "3"}, 3, "MINIGRAD_NUM_THREADS"),
    "ours goes before all": (
        {"MINIGRAD_NUM_THREADS": "5", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "2"},
        5,
        "MINIGRAD_NUM_THREADS",
    ),
    "ours is empty": ({"MINIGRAD_NUM_THREADS": "", "OMP_NUM_THREADS": "2"}, 2, "OMP_NUM_THREADS"),
    "OpenMP's": ({"OMP_NUM_THREADS": "1"}, 1, "OMP_NUM_THREADS"),
    "Numba's": ({"NUMBA_NUM_THREADS": "2"}, 2, "NUMBA_NUM_THREADS"),
    "the least of both": ({"OMP_NUM_THREADS": "3", "NUMBA_NUM_THREADS": "2"}, 2, "NUMBA_NUM_THREADS"),
    "more than processors": ({"OMP_NUM_THREADS": "64", "NUMBA_NUM_THREADS": "999999999999"}, 4, PROCESSORS),
    "a list": ({"OMP_NUM_THREADS": "2,1"}, 2, "OMP_NUM_THREADS"),
    "a list with spaces": ({"OMP_NUM_THREADS": " 3 , 2 "}, 3, "OMP_NUM_THREADS"),
} | {
    f"senseless: {value!r}": ({"OMP_NUM_THREADS": value, "NUMBA_NUM_THREADS": value}, 4, PROCESSORS)
    for value in ("", "0", "-1", "all", "1.5", ",1", "0,3", " ", "9" * 5000)
}


@pytest.mark.parametrize(("variables", "count", "by"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_the_environment(variables: dict[str, str], count: int, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least of the processors and what others say, unless our own variable says more or less."""
    monkeypatch.setattr(threads, "available_processors", lambda: 4)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert threads.decision() == (count, by)
    assert minigrad.get_num_threads() == count
    minigrad.set_num_threads(7)
    assert threads.decision() == (7, "set_num_threads")


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", " ", "1025", "9" * 5000, "2,1"])
def test_the_environment_is_wrong(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_NUM_THREADS", value)
    want = f"MINIGRAD_NUM_THREADS={value!r}: want a whole number, at least 1 and at most 1024"
    with pytest.raises(ValueError, match=want):
        minigrad.get_num_threads()


def test_in_a_worker_of_joblib() -> None:
    """loky shares the processors out among its workers, by variables: two on two processors get one thread each."""
    joblib = pytest.importorskip("joblib", reason="joblib comes with scikit-learn, which only the benchmarks want")
    count = joblib.cpu_count()
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(minigrad.get_num_threads)() for _ in range(4))
    assert found == [max(1, count // 2)] * 4


def control_groups(root: Path, groups: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V1 = "sys/fs/cgroup/cpu,cpuacct"
QUOTAS = {
    "no limit": ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, math.inf),
    "no file": ("0::/some/group\n", {}, math.inf),
    "of the group": ("0::/a/b\n", {"sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, 1.5),
    "of the root": ("0::/\n", {"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
    "of a group around it": (
        "0::/a/b/c\n",
        {
            "sys/fs/cgroup/a/b/c/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
        },
        2.0,
    ),
    "of another group": ("0::/a\n", {"sys/fs/cgroup/b/cpu.max": "100000 100000\n"}, math.inf),
    "another period": ("0::/a\n", {"sys/fs/cgroup/a/cpu.max": "100000 25000\n"}, 4.0),
    "damaged": ("0::/a\n", {"sys/fs/cgroup/a/cpu.max": "many\n"}, math.inf),
    "version 1": (
        "5:memory:/m\n4:cpu,cpuacct:/a\n",
        {f"{V1}/a/cpu.cfs_quota_us": "300000\n", f"{V1}/a/cpu.cfs_period_us": "100000\n"},
        3.0,
    ),
    "version 1 without a limit": (
        "4:cpu,cpuacct:/a\n",
        {f"{V1}/a/cpu.cfs_quota_us": "-1\n", f"{V1}/a/cpu.cfs_period_us": "100000\n"},
        math.inf,
    ),
    "version 1, of a group around it": (
        "4:cpu,cpuacct:/a/b\n",
        {
            f"{V1}/a/b/cpu.cfs_quota_us": "-1\n",
            f"{V1}/a/b/cpu.cfs_period_us": "100000\n",
            f"{V1}/cpu.cfs_quota_us": "250000\n",
            f"{V1}/cpu.cfs_period_us": "100000\n",
        },
        2.5,
    ),
    "both versions": (
        "4:cpu:/a\n0::/b\n",
        {
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/b/cpu.max": "100000 100000\n",
        },
        1.0,
    ),
    "sets of processors only": ("4:cpuset:/a\n", {"sys/fs/cgroup/cpuset/a/cpu.cfs_quota_us": "1\n"}, math.inf),
}


@pytest.mark.parametrize(("groups", "files", "quota"), QUOTAS.values(), ids=QUOTAS)
def test_quota(groups: str, files: dict[str, str], quota: float, tmp_path: Path) -> None:
    assert threads.cgroup_quota(control_groups(tmp_path, groups, files)) == quota


def test_no_control_groups(tmp_path: Path) -> None:
    assert threads.cgroup_quota(tmp_path) == math.inf


@pytest.mark.parametrize(("quota", "cores", "available"), [(math.inf, 4, 4), (0.5, 4, 1), (1.5, 4, 2), (9.0, 4, 4)])
def test_a_quota_limits(quota: float, cores: int, available: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    monkeypatch.setattr(threads, "cgroup_quota", lambda: quota)
    assert threads.available_processors() == available


def test_where_there_is_no_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(threads, "cgroup_quota", lambda: math.inf)
    assert threads.available_processors() == 6


# --------------------------------------------------------------------------------------------------------- at one time


def wide_network() -> nn.Sequential:
    """Wide enough that threads share its work as it is."""
    return nn.Sequential(
        nn.Linear(61, 307, rng=0),
        nn.BatchNorm1d(307),
        nn.ReLU(),
        nn.Dropout(0.3, rng=1),
        nn.Linear(307, 203, rng=2),
        nn.LayerNorm(203),
        nn.GELU(),
        nn.Residual(nn.Sequential(nn.Linear(203, 203, rng=3), nn.SiLU())),
        nn.Dropout(0.1, rng=4),
        nn.Tanh(),
        nn.Linear(203, 10, rng=5),
    )


def wide_training(count: int = 1, seed: int = 0, dtype: Any = np.float32) -> Results:
    """Train some steps and an epoch with so many threads."""
    model = wide_network().to(dtype)
    step = minigrad.compile(
        model, nn.CrossEntropyLoss(label_smoothing=0.1), adam(model), batch_size=59, clip_norm=1.0 if seed % 2 else None
    )
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((211, 61)).astype(dtype), rng.integers(0, 10, 211)
    minigrad.set_num_threads(count)
    losses = [step(x[:101], y[:101]) for _ in range(3)]
    losses.append(step.epoch(x, y, rng.permutation(211)))
    assert all(program.is_shared for program in programs_of(step))
    return results_of(step, losses)


@needs_engine
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_threads_does_not_show(dtype: Any) -> None:
    """In what is shared in earnest, by two threads, four, and a number that divides nothing."""
    for seed in range(2):
        alone = wide_training(1, seed, dtype)
        for count in (2, 4, 7):
            assert_same_bits(wide_training(count, seed, dtype), alone)


@needs_engine
def test_inference_does_not_show_it_either() -> None:
    model, x = wide_network(), np.random.default_rng(0).standard_normal((300, 61)).astype(np.float32)
    forward = model.compiled()
    outputs = []
    for count in (1, 2, 4):
        minigrad.set_num_threads(count)
        outputs.append(forward(x))
    np.testing.assert_array_equal(outputs[1], outputs[0], strict=True)
    np.testing.assert_array_equal(outputs[2], outputs[0], strict=True)


@needs_engine
def test_models_train_at_the_same_time() -> None:
    """In threads of Python: one has the team, the others work alone, and all come to what they come to alone."""
    alone = [wide_training(1, seed) for seed in range(4)]
    start = threading.Barrier(4)

    def train(seed: int) -> Results:
        start.wait(60)
        return wide_training(2, seed)

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(train, range(4)))
    for ours, theirs in zip(together, alone, strict=True):
        assert_same_bits(ours, theirs)


@needs_engine
def test_one_inference_serves_many_threads() -> None:
    """All ask one compiled model at the same time, and each gets its own answer."""
    forward, rng = wide_network().compiled(), np.random.default_rng(0)
    inputs = [rng.standard_normal((64, 61)).astype(np.float32) for _ in range(40)]
    expected = [forward(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for ours, theirs in zip(pool.map(forward, inputs), expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)


@needs_engine
def test_others_run_during_a_step() -> None:
    """A native call holds no lock of Python's: a thread that counts goes on."""
    model = wide_network()
    step = minigrad.compile(model, nn.CrossEntropyLoss(), adam(model), batch_size=64)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((512, 61)).astype(np.float32), rng.integers(0, 10, 512)
    order = rng.integers(0, 512, 64 * 200)
    step.epoch(x, y)
    beats: list[float] = []
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            beats.append(time.perf_counter())
            time.sleep(0.001)

    counting = threading.Thread(target=count)
    counting.start()
    begin = time.perf_counter()
    step.epoch(x, y, order)  # one call
    end = time.perf_counter()
    done.set()
    counting.join()
    during = [beat for beat in beats if begin + 0.01 < beat < end - 0.01]
    assert end - begin > 0.05
    assert len(during) > 3, f"{len(during)} beats in {end - begin} s"


FORK = """
import os, warnings
import numpy as np
import minigrad
from tests.test_engine_threads import wide_training
warnings.simplefilter("ignore")  # of Python, that other threads are not copied
before = wide_training(2)
reading, writing = os.pipe()
child = os.fork()
after = wide_training(2)
same = all(np.array_equal(after[name], before[name]) for name in before)
if child == 0:
    os.write(writing, b"same" if same else b"not the same")
    os._exit(0)
os.waitpid(child, 0)
print(os.read(reading, 99).decode(), same)
"""


@needs_engine
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_goes_on() -> None:
    """It has none of the threads of its parent, and makes its own."""
    result = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120)
    assert result.stdout == "same True\n", result.stderr


@needs_engine
def test_a_process_ends_while_threads_wait() -> None:
    """They do not keep it; nothing is said."""
    code = "from tests.test_engine_threads import wide_training; wide_training(3)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@needs_engine
def test_threads_that_slept_come_back() -> None:
    """After a pause long enough for them to sleep, and after the team has changed its size."""
    with shared_by(3):
        model = network()
        step = minigrad.compile(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.0))
        model.eval()
        x, y = samples()
        first = step(x, y)
        for pause in (0.3, 0.0, 0.3):
            time.sleep(pause)
            assert step(x, y) == first
        for count in (2, 3, 1, 4):
            minigrad.set_num_threads(count)
            assert step(x, y) == first


# ---------------------------------------------------------------------------------------------------------- the memory

LIFETIMES = st.lists(
    st.builds(
        lambda nbytes, first, length: Lifetime(nbytes, first, first + length),
        st.integers(0, 1000),
        st.integers(0, 12),
        st.integers(0, 6),
    ),
    max_size=12,
)


@given(LIFETIMES)
def test_places_of_buffers(lifetimes: list[Lifetime]) -> None:
    """No two overlap that are alive together; each begins a cache line; the arena is as large as it has to be."""
    offsets, total = plan.place(lifetimes)
    placed = list(zip(offsets, lifetimes, strict=True))
    assert all(offset >= 0 and offset % LINE == 0 for offset in offsets)
    for number, (offset, life) in enumerate(placed):
        for other, alive in placed[:number]:
            if life.first <= alive.last and alive.first <= life.last:
                assert offset + life.nbytes <= other or other + alive.nbytes <= offset
    rounded = [-(-life.nbytes // LINE) * LINE for life in lifetimes]
    assert total == max((offset + size for offset, size in zip(offsets, rounded, strict=True)), default=0)
    assert total <= sum(rounded)
    alive_at = [
        sum(size for size, life in zip(rounded, lifetimes, strict=True) if life.first <= time <= life.last)
        for time in range(20)
    ]
    assert total >= max(alive_at)

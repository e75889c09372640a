"""The switch between the two sets of kernels, and their cache. The battery is in test_battery.py."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import kernels
from tests.backend import HAS_NUMBA, needs_numba
from tests.discovery import kernels_of

REFERENCE, JIT = kernels_of("reference"), kernels_of("jit") if HAS_NUMBA else {}


@needs_numba
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_exp_is_within_two_units_in_the_last_place(dtype: Any) -> None:
    """Through the sigmoid of large negative numbers, which is e^x there."""
    x = np.linspace(-80, -40, 10_001).astype(dtype)
    y = np.empty_like(x)
    JIT["sigmoid_forward"](x, y)
    np.testing.assert_array_max_ulp(y, np.exp(x.astype(np.longdouble)).astype(dtype), maxulp=3)


def test_every_kernel_says_what_it_writes() -> None:
    for name, kernel in (*REFERENCE.items(), *JIT.items()):
        assert kernel.__doc__, name


def test_unknown_kernel() -> None:
    with pytest.raises(AttributeError, match="no kernel 'fourier_forward'"):
        kernels.fourier_forward  # noqa: B018  # the look-up is the test


@needs_numba
def test_a_trial_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes NumPy's kernels, in its own thread, until it ends; those that are in use already stay."""
    monkeypatch.delitem(vars(kernels), "tanh_forward", raising=False)
    monkeypatch.setitem(vars(kernels), "relu_forward", JIT["relu_forward"])
    with kernels.trying(), ThreadPoolExecutor(1) as others:
        assert kernels.tanh_forward is REFERENCE["tanh_forward"]
        assert kernels.relu_forward is JIT["relu_forward"]
        monkeypatch.delitem(vars(kernels), "elu_forward", raising=False)
        assert others.submit(lambda: kernels.elu_forward).result() is JIT["elu_forward"]
    assert kernels.tanh_forward is JIT["tanh_forward"]


def run(code: str, **environment: str) -> str:
    environment = {**os.environ, "MINIGRAD_KERNELS": "", **environment}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_reference_kernels_carry_a_network_without_numba() -> None:
    code = """
import sys
import numpy as np
from minigrad import nn
x = np.arange(15, dtype=np.float32).reshape(5, 3)
nn.rng.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 7), nn.BatchNorm1d(7), nn.SiLU(), nn.Dropout(0.5), nn.Linear(7, 4))
loss = nn.CrossEntropyLoss()
value = loss(model(x), [0, 1, 2, 3, 0])
print("numba" in sys.modules, round(value, 4), model.backward(loss.backward()).shape)
"""
    loaded, *plain = run(code, MINIGRAD_KERNELS="reference").split(maxsplit=1)
    assert loaded == "False"
    loaded, *compiled = run(code).split(maxsplit=1)
    assert loaded == str(HAS_NUMBA)
    assert plain == compiled


@needs_numba
def test_unwritable_cache_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    code = """
import numpy as np
from minigrad import nn
from minigrad.kernels.jit._jit import cache_directory
print(cache_directory(), nn.ReLU()(np.ones(1)))
"""
    assert run(code, MINIGRAD_CACHE=str(blocked)) == "None [1.]"


@needs_numba
def test_corrupt_cache_is_no_error(tmp_path: Path) -> None:
    code = "import numpy as np; from minigrad import nn; print(nn.ReLU()(np.ones(1)))"
    assert run(code, MINIGRAD_CACHE=str(tmp_path), NUMBA_DISABLE_JIT="0") == "[1.]"
    (path,) = tmp_path.rglob("*.nb*")
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], bytes(len(whole))):
        path.write_bytes(damaged)
        assert run(code, MINIGRAD_CACHE=str(tmp_path), NUMBA_DISABLE_JIT="0") == "[1.]"
        assert path.read_bytes().endswith(whole[-8:])  # written anew


def test_backend_by_a_wrong_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_KERNELS", "fortran")
    with pytest.raises(ValueError, match="MINIGRAD_KERNELS='fortran': want 'jit' or 'reference'"):
        kernels.backend.__wrapped__()

"""Which kernels this run of the suite has: Numba's, the same as plain Python (NUMBA_DISABLE_JIT=1), or NumPy's."""

import os
from importlib.util import find_spec

import pytest

from minigrad import kernels

HAS_NUMBA = find_spec("numba") is not None
IS_INTERPRETED = kernels.backend() == "jit" and os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
KERNELS_UNDER_TEST = {
    "reference": "kernels of NumPy (reference)",
    "jit": f"kernels of Numba (jit), the JIT is {'off' if IS_INTERPRETED else 'on'}",
}[kernels.backend()]

needs_numba = pytest.mark.skipif(not HAS_NUMBA, reason="Numba is not installed")
needs_engine = pytest.mark.skipif(
    kernels.backend() != "jit" or IS_INTERPRETED, reason="a compiled step wants Numba's kernels, and the JIT on"
)
once = pytest.mark.skipif(IS_INTERPRETED, reason="takes long, and has been run with the JIT")


def fewer(count: int) -> int:
    """Return how many samples to take: `count`, or a tenth of it where Python runs the loops, far slower."""
    return count // 10 if IS_INTERPRETED else count

"""The generated code of kernels: their loops work on vectors of numbers, and call no function of the C library."""

import math
import platform
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.backend import HAS_NUMBA, IS_INTERPRETED
from tests.cases.case import At
from tests.cases.kernel import KernelCase
from tests.discovery import kernels_of

MACHINE = platform.machine().lower()
X86, ARM = {"x86_64", "amd64"}, {"aarch64", "arm64"}
pytestmark = [
    pytest.mark.skipif(not HAS_NUMBA, reason="Numba is not installed"),
    pytest.mark.skipif(IS_INTERPRETED, reason="the JIT is off: there is no generated code"),
    pytest.mark.skipif(MACHINE not in X86 | ARM, reason=f"reads the code of x86-64 and ARM64 only, not of {MACHINE}"),
]

FAMILIES = ("activation", "loss", "optim", "softmax")
# How many packed operations the main loop has at least, over all machines: three quarters of those of its formula.
# An exp is worth 14, an erf and a tanh a few more, log1p 20.
PACKED = {
    "relu_forward": 1,
    "relu_backward": 1,
    "leaky_relu_forward": 2,
    "leaky_relu_backward": 2,
    "prelu_forward": 2,
    "prelu_backward": 4,
    "elu_forward": 16,
    "elu_backward": 15,
    "gelu_forward": 22,
    "gelu_backward": 38,
    "gelu_tanh_forward": 20,
    "gelu_tanh_backward": 24,
    "silu_forward": 15,
    "silu_backward": 18,
    "tanh_forward": 15,
    "tanh_backward": 2,
    "sigmoid_forward": 15,
    "sigmoid_backward": 3,
    "hardtanh_forward": 2,
    "hardtanh_backward": 2,
    "hardswish_forward": 4,
    "hardswish_backward": 4,
    "softplus_forward": 32,
    "softplus_backward": 16,
    "mse_forward": 2,
    "mse_backward": 3,
    "l1_forward": 1,
    "l1_backward": 2,
    "huber_forward": 5,
    "huber_backward": 3,
    "bce_with_logits_forward": 36,
    "bce_with_logits_backward": 18,
    "sgd_update": 4,
    "adam_update": 12,
    "rmsprop_update": 8,
    "adagrad_update": 8,
    "ema_update": 2,
    "softmax_forward": 13,
    "softmax_backward": 2,
    "log_softmax_forward": 13,
    "log_softmax_backward": 13,
    "cross_entropy_forward": 13,
    "cross_entropy_backward": 13,
    "soft_cross_entropy_forward": 13,
    "soft_cross_entropy_backward": 13,
}
NOTHING_TO_PACK = {
    "nll_forward": "reads one number of each row",
    "nll_backward": "writes one number into each row of zeros",
}

LIBRARY = re.compile(r"\b(?:exp|exp2|expm1|log|log2|log1p|tanh|erf|erfc|floor)f?\b")
LABEL = re.compile(r"(\.?L\w+):")
JUMP = re.compile(r"\s+(?:j\w+|b(?:\.\w+)?|cbn?z|tbn?z)\s.*?(\.?L\w+)$")
MOVES = r"(?!v?(?:mov|broadcast|perm|shuf|unpck|insert|extract|gather|scatter))"  # between memory and registers
if MACHINE in X86:
    VECTOR, SCALAR = re.compile(rf"\s+{MOVES}\w+p[sd]\s"), re.compile(rf"\s+{MOVES}\w+s[sd]\s")
else:
    VECTOR, SCALAR = re.compile(r"\s+f(?!mov)\w+\s+v\d+\.[24][sd]"), re.compile(r"\s+f(?!mov|cmp)\w+\s+[sd]\d+")


def generated_code(kernel: Any, arguments: list[Any]) -> str:
    """Return the assembly, compiled anew: of what comes from the disk Numba has none."""
    import numba

    compiled = numba.jit(**kernel.targetoptions)(kernel.py_func)
    compiled.compile(tuple(numba.typeof(argument) for argument in arguments))
    code: str = compiled.inspect_asm(compiled.signatures[0])
    return code


def innermost_loops(code: str) -> list[list[str]]:
    """Return the lines between each label and the last jump back to it, where no such loop is inside."""
    lines = code.splitlines()
    labels = {match[1]: number for number, line in enumerate(lines) if (match := LABEL.fullmatch(line))}
    jumps = [(labels.get(match[1], number), number) for number, line in enumerate(lines) if (match := JUMP.match(line))]
    ends = {first: last for first, last in jumps if first < last}
    return [
        lines[first:last]
        for first, last in ends.items()
        if not any(first < other and ends[other] <= last for other in ends)
    ]


def packed_operations(code: str) -> int:
    """Return how many the largest loop has that does all its arithmetic on vectors, and calls nothing."""
    other = (SCALAR, re.compile(r"\s+(?:call|blr?\s)"))
    loops = [loop for loop in innermost_loops(code) if not any(each.match(line) for each in other for line in loop)]
    return max((sum(bool(VECTOR.match(line)) for line in loop) for loop in loops), default=0)


def test_every_kernel_is_listed() -> None:
    listed = {name for name, kernel in kernels_of("jit").items() if kernel.__module__.split(".")[-1] in FAMILIES}
    assert listed == PACKED.keys() | NOTHING_TO_PACK.keys()


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", PACKED)
def test_loops_are_packed(name: str, dtype: Any) -> None:
    code = generated_code(kernels_of("jit")[name], KernelCase(name).arguments(At(dtype=dtype)))
    assert packed_operations(code) >= PACKED[name]
    assert set(LIBRARY.findall(code)) == set()


def library_call(x: np.ndarray, y: np.ndarray) -> None:
    for i in range(x.size):
        y[i] = math.tanh(x[i])


def one_after_the_other(x: np.ndarray, y: np.ndarray) -> None:
    for i in range(1, x.size):
        y[i] = x[i] / (1 + y[i - 1])


@pytest.mark.parametrize("loop", [library_call, one_after_the_other])
def test_a_loop_that_is_not_packed_is_seen(loop: Callable[..., None]) -> None:
    import numba

    code = generated_code(numba.njit(fastmath=True)(loop), [np.ones(3), np.ones(3)])
    assert packed_operations(code) == 0
    assert LIBRARY.findall(code)[:1] == (["tanh"] if loop is library_call else [])

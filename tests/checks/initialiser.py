"""What every initialiser has to do: its law, exactly or as far as a sample shows it, in the memory that it is given."""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import torch

from minigrad import nn
from minigrad.nn import Parameter
from tests.cases.case import At
from tests.cases.initialiser import InitialiserCase
from tests.checks.errors import Check, Errors, assert_within

# Standard errors from which no sample of a right law is: a normal variable goes beyond 7 once in 4 * 10^11.
FAR = 7


@dataclass(frozen=True)
class Law:
    """What is known of a distribution."""

    mean: float
    std: float
    kurtosis: float = 3.0
    low: float = -math.inf
    high: float = math.inf


def uniform(low: float, high: float) -> Law:
    return Law((low + high) / 2, (high - low) / math.sqrt(12), 1.8, low, high)


def truncated(mean: float, std: float, low: float, high: float) -> Law:
    """The normal law between two bounds. Its moments, in units of std, follow from each other by parts."""
    normal = NormalDist()
    a, b = (low - mean) / std, (high - mean) / std
    share, at_a, at_b = normal.cdf(b) - normal.cdf(a), normal.pdf(a), normal.pdf(b)
    m = [1.0, (at_a - at_b) / share]
    for k in (1, 2, 3):
        m.append(k * m[k - 1] + (a**k * at_a - b**k * at_b) / share)
    variance = m[2] - m[1] ** 2
    fourth = m[4] - 4 * m[1] * m[3] + 6 * m[1] ** 2 * m[2] - 3 * m[1] ** 4
    return Law(mean + std * m[1], std * math.sqrt(variance), fourth / variance**2, low, high)


def law_of(case: InitialiserCase) -> Law | None:
    """Return the law of each element, from the formula that the function's docstring gives."""
    given = dict(case.options)
    match case.cls:
        case "uniform_":
            return uniform(given.get("a", 0.0), given.get("b", 1.0))
        case "normal_":
            return Law(given.get("mean", 0.0), given.get("std", 1.0))
        case "trunc_normal_":
            return truncated(given.get("mean", 0.0), given.get("std", 1.0), given.get("a", -2.0), given.get("b", 2.0))
        case "sparse_":
            return Law(0.0, given.get("std", 0.01))
        case "xavier_uniform_" | "xavier_normal_":
            std = given.get("gain", 1.0) * math.sqrt(2 / sum(case.fans))
        case "kaiming_uniform_" | "kaiming_normal_":
            gain = torch.nn.init.calculate_gain(given.get("nonlinearity", "leaky_relu"), given.get("a", 0))
            std = gain / math.sqrt(case.fans[given.get("mode", "fan_in") == "fan_out"])
        case _:
            return None
    bound = math.sqrt(3) * std
    return uniform(-bound, bound) if "uniform" in case.cls else Law(0.0, std)


def assert_follows(values: np.ndarray, law: Law) -> Errors:
    """Return how far mean and standard deviation of a sample are from the law's, in units of the latter.

    The standard errors are those of n independent values: 1 / √n, and √((kurtosis - 1) / 4n).
    """
    slack = np.finfo(values.dtype).eps * max(abs(values.min()), abs(values.max()))
    assert law.low - slack <= values.min()
    assert values.max() <= law.high + slack
    wide, n = values.astype(np.float64), values.size
    errors = {"mean": abs(wide.mean() - law.mean) / law.std, "std": abs(wide.std() / law.std - 1)}
    return assert_within(errors, {"mean": FAR / math.sqrt(n), "std": FAR * math.sqrt((law.kurtosis - 1) / (4 * n))})


def law(case: InitialiserCase, at: At) -> Errors | None:
    """Mean, standard deviation and bounds are those of the law."""
    return compared(case, case.values(at))


def torchs_law(case: InitialiserCase, at: At) -> Errors | None:
    """PyTorch's values follow the same law."""
    return compared(case, case.twin(at))


def compared(case: InitialiserCase, values: np.ndarray) -> Errors | None:
    expected = law_of(case)
    if expected is None:
        return None
    return assert_follows(values[values != 0] if case.cls == "sparse_" else values, expected)


def exact(case: InitialiserCase, at: At) -> Errors | None:
    """What is not random is PyTorch's, bit for bit."""
    if case.is_random:
        return None
    np.testing.assert_array_equal(case.values(at), case.twin(at), strict=True)
    return {"values": 0.0}


def orthogonal(case: InitialiserCase, at: At) -> Errors | None:
    """Rows or columns, whichever are fewer, are orthogonal and of length gain; and no direction is preferred."""
    if case.cls != "orthogonal_":
        return None
    gain, matrix = case.options.get("gain", 1.0), case.values(at).reshape(case.shape[0], -1).astype(np.float64)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    error = float(np.abs(product / gain**2 - np.eye(len(product))).max())
    firsts = [replace(case, shape=(5, 3)).values(replace(at, seed=at.seed + i))[0, 0] for i in range(400)]
    assert abs(np.mean(firsts)) <= FAR * gain / math.sqrt(5 * len(firsts))
    # The factorisation is in float64, a few roundings for each element; then each is rounded once to its dtype.
    return assert_within({"product": error}, 2 * float(np.finfo(at.dtype).eps) + matrix.size * 2.0**-50)


def sparse(case: InitialiserCase, at: At) -> None:
    """Each column has its share of zeros, in rows of its own."""
    if case.cls != "sparse_":
        return
    zero, rows = case.values(at) == 0, case.shape[0]
    count = math.ceil(case.options["sparsity"] * rows)
    np.testing.assert_array_equal(zero.sum(axis=0), count)
    assert count in (0, rows) or np.any(zero != zero[:, :1])


def seed(case: InitialiserCase, at: At) -> None:
    """A seed, a generator of it, and the default generator with it draw the same; what comes next is other."""

    def draw(rng: Any) -> np.ndarray:
        return case(np.full(case.shape, np.nan, at.dtype), rng)

    generator = np.random.default_rng(at.seed)
    nn.rng.manual_seed(at.seed)
    for rng in (at.seed, generator, None):
        np.testing.assert_array_equal(draw(rng), case.values(at))
    for rng in (at.seed + 1, generator, None):
        assert np.array_equal(draw(rng), case.values(at)) != case.is_random


def memory(case: InitialiserCase, at: At) -> None:
    """What is given is filled, all of it and nothing else, as it lies in memory, and returned."""
    parameter = Parameter(np.full(case.shape, np.nan, at.dtype))
    array = parameter.data
    assert case(parameter, at.seed) is parameter
    assert parameter.data is array
    assert array.dtype == at.dtype
    assert np.isfinite(array).all()
    around = np.full([2 * size for size in case.shape], 7, at.dtype)
    inside = around[tuple(slice(None, None, 2) for _ in case.shape)]
    assert case(inside, at.seed) is inside
    np.testing.assert_array_equal(inside, array)
    inside[...] = 7
    assert (around == 7).all()


CHECKS: dict[str, Check] = {
    "law": law,
    "torch's law": torchs_law,
    "exact": exact,
    "orthogonal": orthogonal,
    "sparse": sparse,
    "seed": seed,
    "memory": memory,
}

"""Initial values, under PyTorch's names: each fills a parameter (or an array) in place and returns it.

`rng` is a generator or a seed; without it the default generator (`minigrad.manual_seed`) is used.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from minigrad.nn.parameter import Array, Parameter
from minigrad.nn.rng import generator

if TYPE_CHECKING:
    Rng = np.random.Generator | int | None

T = TypeVar("T", Parameter, Array)


def _array(tensor: Parameter | Array) -> Array:
    return tensor.data if isinstance(tensor, Parameter) else tensor


def _fans(array: Array) -> tuple[int, int]:
    """Return fan-in and fan-out of a weight (out, in, *kernel)."""
    if array.ndim < 2:
        raise ValueError(f"init: fan-in and fan-out want at least 2 axes, got shape {array.shape}")
    receptive = math.prod(array.shape[2:])
    return array.shape[1] * receptive, array.shape[0] * receptive


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor that keeps the variance through an activation.

    Arguments:
        nonlinearity: linear, conv1d, conv2d, conv3d, sigmoid, tanh, relu, leaky_relu or selu.
        param: the negative slope of leaky_relu, 0.01 by default.
    """
    if nonlinearity in ("linear", "sigmoid", "conv1d", "conv2d", "conv3d"):
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 0.75
    raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}")


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0, *, rng: Rng = None) -> T:
    """Fill with draws from U(a, b)."""
    array = _array(tensor)
    array[...] = generator(rng).uniform(a, b, array.shape)
    return tensor


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0, *, rng: Rng = None) -> T:
    """Fill with draws from N(mean, std²)."""
    array = _array(tensor)
    array[...] = generator(rng).normal(mean, std, array.shape)
    return tensor


def trunc_normal_(
    tensor: T, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, *, rng: Rng = None
) -> T:
    """Fill with draws from N(mean, std²) that lie in [a, b], by inverting its distribution."""
    if not a < b or std <= 0:
        raise ValueError(f"trunc_normal_: want a < b and std > 0, got {a}, {b} and {std}")
    from statistics import NormalDist  # slow to load

    array, law = _array(tensor), NormalDist(mean, std)
    quantiles = generator(rng).uniform(law.cdf(a), law.cdf(b), array.shape)
    array[...] = np.clip(np.vectorize(law.inv_cdf, otypes=[np.float64])(quantiles), a, b)
    return tensor


def constant_(tensor: T, val: float) -> T:
    """Fill with one value."""
    _array(tensor)[...] = val
    return tensor


def ones_(tensor: T) -> T:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: T) -> T:
    """Fill with 0."""
    return constant_(tensor, 0.0)


def eye_(tensor: T) -> T:
    """Make a matrix the identity: a linear layer then passes its input."""
    array = _array(tensor)
    if array.ndim != 2:
        raise ValueError(f"eye_: want a matrix, got shape {array.shape}")
    array[...] = np.eye(*array.shape)
    return tensor


def dirac_(tensor: T, groups: int = 1) -> T:
    """Make a convolution's weight (out, in, *kernel) pass its input channels, in each of `groups` groups."""
    array = _array(tensor)
    if array.ndim not in (3, 4, 5) or array.shape[0] % groups:
        raise ValueError(f"dirac_: want a convolution's weight in {groups} groups, got shape {array.shape}")
    array[...] = 0
    centre: tuple[int, ...] = tuple(size // 2 for size in array.shape[2:])
    per_group = array.shape[0] // groups
    for group in range(groups):
        for channel in range(min(per_group, array.shape[1])):
            array[(group * per_group + channel, channel, *centre)] = 1
    return tensor


def xavier_uniform_(tensor: T, gain: float = 1.0, *, rng: Rng = None) -> T:
    """Fill with U(-a, a), a = gain √(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    bound = gain * math.sqrt(6.0 / sum(_fans(_array(tensor))))
    return uniform_(tensor, -bound, bound, rng=rng)


def xavier_normal_(tensor: T, gain: float = 1.0, *, rng: Rng = None) -> T:
    """Fill with N(0, σ²), σ = gain √(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(_array(tensor)))), rng=rng)


def _kaiming_std(array: Array, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming: want mode 'fan_in' or 'fan_out', got {mode!r}")
    fan = _fans(array)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: T, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Rng = None
) -> T:
    """Fill with U(-b, b), b = gain √(3 / fan) (He et al., 2015); `a` is leaky ReLU's slope."""
    bound = math.sqrt(3.0) * _kaiming_std(_array(tensor), a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng=rng)


def kaiming_normal_(
    tensor: T, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Rng = None
) -> T:
    """Fill with N(0, σ²), σ = gain / √fan (He et al., 2015); `a` is leaky ReLU's slope."""
    return normal_(tensor, 0.0, _kaiming_std(_array(tensor), a, mode, nonlinearity), rng=rng)


def orthogonal_(tensor: T, gain: float = 1, *, rng: Rng = None) -> T:
    """Make the weight, as a matrix (out, rest), orthogonal: its rows or its columns, whichever are fewer."""
    array = _array(tensor)
    if array.ndim < 2:
        raise ValueError(f"orthogonal_: want at least 2 axes, got shape {array.shape}")
    rows, columns = array.shape[0], array.size // array.shape[0]
    q, r = np.linalg.qr(generator(rng).standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))  # makes the distribution uniform (Mezzadri, 2007)
    array[...] = gain * (q.T if rows < columns else q).reshape(array.shape)
    return tensor


def sparse_(tensor: T, sparsity: float, std: float = 0.01, *, rng: Rng = None) -> T:
    """Fill a matrix with N(0, std²) and set a fraction `sparsity` of each column to zero (Martens, 2010)."""
    array, rng = _array(tensor), generator(rng)
    if array.ndim != 2:
        raise ValueError(f"sparse_: want a matrix, got shape {array.shape}")
    normal_(array, 0.0, std, rng=rng)
    zeros = math.ceil(sparsity * array.shape[0])
    for column in array.T:
        column[rng.permutation(array.shape[0])[:zeros]] = 0
    return tensor

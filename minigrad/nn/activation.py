"""Activations: y = f(x), element by element."""

from typing import ClassVar, Literal

import numpy as np

from minigrad import kernels
from minigrad.nn.module import Module
from minigrad.nn.parameter import Array, Parameter


class _Elementwise(Module):
    """y_i = f(x_i), dx_i = f'(x_i) dy_i. A class names its kernels, what they save, and their arguments."""

    kernel: str
    saves: ClassVar[Literal["x", "y"]] = "x"

    def _arguments(self) -> tuple[float, ...]:
        return ()

    def _forward(self, x: Array) -> tuple[Array, Array]:
        x = self._input(x)
        y = np.empty_like(x)
        getattr(kernels, f"{self.kernel}_forward")(x.reshape(-1), *self._arguments(), y.reshape(-1))
        return y, x if self.saves == "x" else y

    def _backward(self, saved: Array, dy: Array) -> Array:
        dx = np.empty_like(dy)
        backward = getattr(kernels, f"{self.kernel}_backward")
        backward(dy.reshape(-1), *self._arguments(), saved.reshape(-1), dx.reshape(-1))
        return dx


class _MaybeInPlace(_Elementwise):
    """One of those that PyTorch can do in place. Here `inplace` is taken and has no effect: x is never written to."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class ReLU(_MaybeInPlace):
    r"""y = max(x, 0). NaN stays NaN.

    Arguments:
        inplace: PyTorch's, without effect.

    Backward: dx = dy where y > 0, else 0.

    Saved: y.

    >>> ReLU()(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    kernel = "relu"
    saves: ClassVar[Literal["x", "y"]] = "y"


class LeakyReLU(_MaybeInPlace):
    r"""y = x where x > 0, else s x.

    Arguments:
        negative_slope: s.
        inplace: PyTorch's, without effect.

    Backward: dx = dy where x > 0, else s dy.

    Saved: x.

    >>> LeakyReLU(0.1)(np.array([-1.0, 2.0])).tolist()
    [-0.1, 2.0]
    """

    kernel = "leaky_relu"

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def _arguments(self) -> tuple[float, ...]:
        return (self.negative_slope,)

    def extra_repr(self) -> str:
        """Return the slope."""
        return f"negative_slope={self.negative_slope}"


class PReLU(Module):
    r"""y = x where x > 0, else w_c x, with a trained slope for each channel c (axis 1), or one for all.

    Arguments:
        num_parameters: 1, or the number of channels C.
        init: the slopes' initial value.

    Shape:
        x: (N, C, *), y: the same. With one slope any shape.

    Parameters:
        weight: (num_parameters,).

    Backward: dx = dy where x > 0, else w_c dy; dw_c = Σ_{x ≤ 0} x dy over the channel.

    Saved: x.

    >>> PReLU()(np.array([-1.0, 2.0], np.float32)).tolist()
    [-0.25, 2.0]
    """

    num_parameters: int
    init: float
    weight: Parameter

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(np.full(num_parameters, init, np.float32))

    def _by_channel(self, x: Array) -> Array:
        """View x as (N, C, rest)."""
        return x.reshape(1, 1, -1) if self.num_parameters == 1 else x.reshape(*x.shape[:2], -1)

    def _forward(self, x: Array) -> tuple[Array, Array]:
        C = self.num_parameters
        x = self._input(x, f"(N, {C}, *)", C == 1 or (x.ndim >= 2 and x.shape[1] == C))
        self._want_shape((C,), "weight")
        y = np.empty_like(x)
        kernels.prelu_forward(self._by_channel(x), self.weight.data, self._by_channel(y))
        return y, x

    def _backward(self, x: Array, dy: Array) -> Array:
        dx = np.empty_like(x)
        dw = self.weight.grad if self.weight.requires_grad else np.zeros_like(self.weight.data)
        kernels.prelu_backward(self._by_channel(dy), self.weight.data, self._by_channel(x), dw, self._by_channel(dx))
        return dx

    def extra_repr(self) -> str:
        """Return the number of slopes."""
        return f"num_parameters={self.num_parameters}"


class ELU(_MaybeInPlace):
    r"""y = x where x > 0, else α (eˣ - 1).

    Arguments:
        alpha: α.
        inplace: PyTorch's, without effect.

    Backward: dx = dy where x > 0, else α eˣ dy.

    Saved: x.

    >>> ELU()(np.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    kernel = "elu"

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def _arguments(self) -> tuple[float, ...]:
        return self.alpha, 1.0

    def extra_repr(self) -> str:
        """Return α."""
        return f"alpha={self.alpha}"


class SELU(_MaybeInPlace):
    r"""y = λ ELU_α(x), with α and λ such that mean 0 and variance 1 persist (Klambauer et al., 2017).

    Arguments:
        inplace: PyTorch's, without effect.

    Backward: dx = λ dy where x > 0, else λ α eˣ dy.

    Saved: x.

    >>> SELU()(np.array([0.0, 1.0])).round(4).tolist()
    [0.0, 1.0507]
    """

    kernel = "elu"
    alpha: ClassVar[float] = 1.6732632423543772848170429916717
    scale: ClassVar[float] = 1.0507009873554804934193349852946

    def _arguments(self) -> tuple[float, ...]:
        return self.alpha, self.scale


class GELU(_Elementwise):
    r"""y = x Φ(x), with Φ the standard normal distribution function (Hendrycks and Gimpel, 2016).

    Arguments:
        approximate: "none" for Φ(x) = (1 + erf(x / √2)) / 2; "tanh" for
            Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.

    Backward: dx = (Φ(x) + x Φ'(x)) dy; exact: Φ'(x) = φ(x) = e^(-x²/2) / √(2π); with t the tanh:
        Φ'(x) = (1 - t²) √(2/π) (1 + 3 * 0.044715 x²) / 2.

    Saved: x.

    >>> GELU()(np.array([0.0, 1.0])).round(4).tolist()
    [0.0, 0.8413]
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: want approximate 'none' or 'tanh', got {approximate!r}")
        self.approximate = approximate
        self.kernel = "gelu" if approximate == "none" else "gelu_tanh"

    def extra_repr(self) -> str:
        """Return the formula."""
        return f"approximate={self.approximate!r}"


class SiLU(_MaybeInPlace):
    r"""y = x σ(x), with σ the sigmoid.

    Arguments:
        inplace: PyTorch's, without effect.

    Backward: dx = (σ(x) + x σ(x) (1 - σ(x))) dy.

    Saved: x.

    >>> SiLU()(np.array([0.0, 1.0])).round(4).tolist()
    [0.0, 0.7311]
    """

    kernel = "silu"


class Tanh(_Elementwise):
    r"""y = tanh(x).

    Backward: dx = (1 - y²) dy.

    Saved: y.

    >>> Tanh()(np.array([0.0, 1.0])).round(4).tolist()
    [0.0, 0.7616]
    """

    kernel = "tanh"
    saves: ClassVar[Literal["x", "y"]] = "y"


class Sigmoid(_Elementwise):
    r"""y = σ(x) = 1 / (1 + e⁻ˣ).

    Backward: dx = y (1 - y) dy.

    Saved: y.

    >>> Sigmoid()(np.array([0.0, 1.0])).round(4).tolist()
    [0.5, 0.7311]
    """

    kernel = "sigmoid"
    saves: ClassVar[Literal["x", "y"]] = "y"


class Hardtanh(_MaybeInPlace):
    r"""y = min(max(x, min_val), max_val).

    Arguments:
        min_val: lower bound.
        max_val: upper bound.
        inplace: PyTorch's, without effect.

    Backward: dx = dy where min_val < x < max_val, else 0.

    Saved: x.

    >>> Hardtanh()(np.array([-3.0, 0.5])).tolist()
    [-1.0, 0.5]
    """

    min_val: float
    max_val: float

    kernel = "hardtanh"

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        if min_val >= max_val:
            raise ValueError(f"Hardtanh: want min_val < max_val, got {min_val} and {max_val}")
        self.min_val, self.max_val = min_val, max_val

    def _arguments(self) -> tuple[float, ...]:
        return self.min_val, self.max_val

    def extra_repr(self) -> str:
        """Return the bounds."""
        return f"min_val={self.min_val}, max_val={self.max_val}"


class ReLU6(Hardtanh):
    r"""y = min(max(x, 0), 6).

    Arguments:
        inplace: PyTorch's, without effect.

    Backward: dx = dy where 0 < x < 6, else 0.

    Saved: x.

    >>> ReLU6()(np.array([-3.0, 0.5, 7.0])).tolist()
    [0.0, 0.5, 6.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        """Return nothing: there are no arguments."""
        return ""


class Hardswish(_MaybeInPlace):
    r"""y = x min(max(x + 3, 0), 6) / 6 (Howard et al., 2019).

    Arguments:
        inplace: PyTorch's, without effect.

    Backward: dx = 0 where x ≤ -3, dy where x ≥ 3, else (x / 3 + 1/2) dy.

    Saved: x.

    >>> Hardswish()(np.array([0.0, 1.5, 4.0])).tolist()
    [0.0, 1.125, 4.0]
    """

    kernel = "hardswish"


class Softplus(_Elementwise):
    r"""y = log(1 + e^(βx)) / β; y = x where βx > threshold (there they agree to rounding).

    Arguments:
        beta: β.
        threshold: above it the line is used.

    Backward: dx = σ(βx) dy.

    Saved: x.

    >>> Softplus()(np.array([0.0])).round(4).tolist()
    [0.6931]
    """

    beta: float
    threshold: float

    kernel = "softplus"

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def _arguments(self) -> tuple[float, ...]:
        return self.beta, self.threshold

    def extra_repr(self) -> str:
        """Return β and the threshold."""
        return f"beta={self.beta}, threshold={self.threshold}"

"""Gradient clipping, in place."""

from collections.abc import Iterable

import numpy as np

from minigrad.optim.flat import Array, Trainable


def clip_grad_norm_(
    parameters: Iterable[Trainable] | Trainable,
    max_norm: float,
    norm_type: float | str = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scale all gradients by one factor, so that their common norm is at most max_norm; return what it was.

        g ← g · min(1, max_norm / (|g|_p + 10⁻⁶)),   |g|_p = (Σ |g_i|^p)^(1/p) over all gradients together

    Arguments:
        parameters: the parameters, or one.
        max_norm: the largest norm allowed.
        norm_type: p; inf (or "inf") for the largest magnitude.
        error_if_nonfinite: whether to raise for a norm that is infinite or NaN. If not, it spoils all gradients.

    Raises:
        ValueError: for a negative max_norm.
        RuntimeError: for a norm that is not finite, if asked to.

    >>> from minigrad.nn.parameter import Parameter
    >>> w = Parameter([0.0, 0.0])
    >>> w.grad += [3.0, 4.0]
    >>> clip_grad_norm_([w], max_norm=1.0)
    5.0
    >>> w.grad.round(4).tolist()
    [0.6, 0.8]
    """
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: want max_norm >= 0, got {max_norm}")
    gradients = _gradients(parameters)
    norm = _norm(gradients, float(norm_type))
    if error_if_nonfinite and not np.isfinite(norm):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {norm}")
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:
        with np.errstate(invalid="ignore"):  # 0 · inf
            for gradient in gradients:
                gradient *= factor
    return norm


def clip_grad_value_(parameters: Iterable[Trainable] | Trainable, clip_value: float) -> None:
    """Bring every element of every gradient into [-clip_value, clip_value].

    Arguments:
        parameters: the parameters, or one.
        clip_value: the largest magnitude allowed.

    Raises:
        ValueError: for a negative clip_value.
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: want clip_value >= 0, got {clip_value}")
    for gradient in _gradients(parameters):
        np.clip(gradient, -clip_value, clip_value, out=gradient)


def _gradients(parameters: Iterable[Trainable] | Trainable) -> list[Array]:
    if isinstance(parameters, Iterable):
        return [parameter.grad for parameter in parameters]
    return [parameters.grad]


def _norm(gradients: list[Array], p: float) -> float:
    """Return the norm of the gradients' norms, which is that of all elements together."""
    norms = [np.linalg.norm(gradient.ravel(), p) for gradient in gradients if gradient.size]
    return float(np.linalg.norm(np.array(norms, np.float64), p)) if norms else 0.0

"""Losses of class scores: NLLLoss and CrossEntropyLoss."""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from minigrad import kernels
from minigrad.nn.loss import Loss
from minigrad.nn.parameter import Array, for_kernels
from minigrad.nn.rows import from_rows, to_rows


class _PerClass(Loss):
    """A loss of rows of class scores (N, C, *) against class indices (N, *)."""

    targets: ClassVar[Literal["any", "classes", "values"]] = "classes"

    weight: Array | None
    ignore_index: int

    def __init__(self, weight: npt.ArrayLike | None = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.weight = None if weight is None else np.asarray(weight)
        self.ignore_index = ignore_index

    def counted(self, target: Array) -> Array | None:
        """Return which samples are not ignored."""
        if target.ndim != 1 or target.dtype.kind not in "iu":
            return None
        counts: Array = target != self.ignore_index
        return None if counts.all() else counts

    def _class_axis(self, x: Array) -> int:
        if x.ndim == 0:
            raise self._error("want input of shape (N, C), (N, C, *) or (C,), got ()")
        return min(1, x.ndim - 1)

    def _class_weight(self, C: int, dtype: np.dtype[Any]) -> Array:
        if self.weight is None:
            return np.ones(C, dtype)
        if self.weight.shape != (C,):
            raise self._error(f"want a weight for each of {C} classes, got {self.weight.shape}")
        return for_kernels(np.asarray(self.weight, dtype))

    def _indices(self, x: Array, target: Array) -> Array:
        C = x.shape[self._class_axis(x)]
        want = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
        if target.dtype.kind not in "iu" or target.shape != want:
            raise self._error(
                f"for an input of shape {x.shape} want integer class indices of shape {want}, "
                f"got {target.dtype} {target.shape}"
            )
        index = target.reshape(-1).astype(np.int64)
        if index.min() < 0 or index.max() >= C:
            kept = index[index != self.ignore_index]
            if kept.size and (kept.min() < 0 or kept.max() >= C):
                raise ValueError(f"{self.wants(C)}, got {kept.min()} to {kept.max()}{self.remedy(C)}")
        return index

    def wants(self, C: int) -> str:
        """Return what the loss wants of targets, for errors."""
        return f"{type(self).__name__}: want class indices in [0, {C})"

    @staticmethod
    def remedy(C: int) -> str:
        """Return what to do about other targets, for errors."""
        if C == 1:
            return ": for one output take BCEWithLogitsLoss, for more classes more outputs"
        return ": classes, y = np.unique(y, return_inverse=True) numbers labels so"


class NLLLoss(_PerClass):
    r"""l_i = -w_k x_ik for the class k of row i, with x log-probabilities; weight in a mean: w_k.

    Arguments:
        weight: w, one for each class.
        ignore_index: a target that counts nothing.
        reduction: "mean", "sum" or "none".

    Shape:
        x: (N, C), (N, C, *) or (C,); target: integers (N,), (N, *) or ().

    Backward: dx_ik = -w_k dl_i, 0 elsewhere.

    Saved: the target.

    >>> NLLLoss()(np.log(np.array([[0.5, 0.5]])), [0])
    0.6931471805599453
    """

    def _forward(self, x: Array, target: Array) -> tuple[Array, Array, Any]:
        index, rows = self._indices(x, target), to_rows(x, self._class_axis(x))
        weight = self._class_weight(rows.shape[1], x.dtype)
        losses, weights = np.empty(len(rows), x.dtype), np.empty(len(rows), x.dtype)
        kernels.nll_forward(rows, index, weight, self.ignore_index, losses, weights)
        return losses.reshape(target.shape), weights.reshape(target.shape), (index, weight, x.shape)

    def _backward(self, saved: Any, dlosses: Array) -> Array:
        index, weight, shape = saved
        dx = np.empty((len(index), len(weight)), dlosses.dtype)
        kernels.nll_backward(index, dlosses.reshape(-1), weight, self.ignore_index, dx)
        return from_rows(dx, shape, min(1, len(shape) - 1))


class CrossEntropyLoss(_PerClass):
    r"""l_i = -Σ_c t_ic log p_ic with p = softmax(x), for class indices or soft targets.

    With smoothing s and class weights w: for the class k of row i t_ic = w_c s / C + (1 - s) w_k [c = k]; for soft
    targets q t_ic = w_c (s / C + (1 - s) q_ic). Weight in a mean: w_k for indices, 1 for soft targets.

    Arguments:
        weight: w, one for each class.
        ignore_index: a target index that counts nothing. Soft targets have none: for them it must be negative.
        reduction: "mean", "sum" or "none".
        label_smoothing: s in [0, 1].

    Shape:
        x: logits (N, C), (N, C, *) or (C,); target: integers (N,), (N, *) or (), or floats of x's shape.

    Backward: ∂ log p_c / ∂x_j = δ_cj - p_j, so dx_ij = (p_ij Σ_c t_ic - t_ij) dl_i.

    Saved: x, the target, log Σ_c e^(x_ic) of each row.

    >>> CrossEntropyLoss()(np.zeros((1, 2)), [0])
    0.6931471805599453
    """

    def __init__(
        self,
        weight: npt.ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, ignore_index, reduction)
        if not 0 <= label_smoothing <= 1:
            raise self._error(f"want label_smoothing in [0, 1], got {label_smoothing}")
        self.label_smoothing = label_smoothing

    def _forward(self, x: Array, target: Array) -> tuple[Array, Array | None, Any]:
        soft = target.dtype.kind == "f" and target.shape == x.shape
        if soft and self.ignore_index >= 0:
            raise self._error(f"ignore_index is for class indices, got {self.ignore_index} and soft targets")
        index = None if soft else self._indices(x, target)
        rows = to_rows(x, self._class_axis(x))
        weight = self._class_weight(rows.shape[1], x.dtype)
        log_sum, losses = np.empty(len(rows), x.dtype), np.empty(len(rows), x.dtype)
        shape = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
        if index is None:
            q = to_rows(target.astype(x.dtype), self._class_axis(x))
            kernels.soft_cross_entropy_forward(rows, q, weight, self.label_smoothing, log_sum, losses)
            return losses.reshape(shape), None, (rows, q, weight, log_sum, x.shape, soft)
        weights = np.empty(len(rows), x.dtype)
        kernels.cross_entropy_forward(
            rows, index, weight, self.label_smoothing, self.ignore_index, log_sum, losses, weights
        )
        saved = (rows, index, weight, log_sum, x.shape, soft)
        return losses.reshape(shape), weights.reshape(shape), saved

    def _backward(self, saved: Any, dlosses: Array) -> Array:
        rows, target, weight, log_sum, shape, soft = saved
        dx, dl, s = np.empty_like(rows), dlosses.reshape(-1), self.label_smoothing
        if soft:
            kernels.soft_cross_entropy_backward(rows, target, dl, weight, s, log_sum, dx)
        else:
            kernels.cross_entropy_backward(rows, target, dl, weight, s, self.ignore_index, log_sum, dx)
        return from_rows(dx, shape, min(1, len(shape) - 1))

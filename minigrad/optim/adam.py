"""Adam and AdamW: every weight at its own pace."""

from typing import ClassVar

import numpy as np

from minigrad import kernels
from minigrad.optim.flat import Block
from minigrad.optim.optimizer import Group, Optimizer, Params, floats


class Adam(Optimizer):
    r"""Adam (Kingma and Ba, 2015): steps of about lr in every weight, whatever the gradient's scale.

        g_t = ∇f(w_{t-1}) + λ w_{t-1} + l1 sign(w_{t-1})
        m_t = β₁ m_{t-1} + (1 - β₁) g_t
        v_t = β₂ v_{t-1} + (1 - β₂) g_t²,   with amsgrad their maximum so far
        w_t = w_{t-1} - lr m_t / (1 - β₁ᵗ) / (√(v_t / (1 - β₂ᵗ)) + ε)

    Arguments:
        params: parameters, pairs (name, parameter), or groups.
        lr: learning rate.
        betas: β₁ and β₂.
        eps: ε, outside the root.
        weight_decay: λ, the factor of an L2 penalty λ/2 |w|². It goes through m and v: see AdamW.
        amsgrad: whether v never shrinks (Reddi et al., 2018).
        maximize: whether to go up: -∇f for ∇f.
        l1: the factor of a penalty |w|₁. It goes through m and v too.

    Raises:
        ValueError: for an option out of its range.
    """

    non_negative: ClassVar[tuple[str, ...]] = ("lr", "eps", "weight_decay", "l1")
    below_one: ClassVar[tuple[str, ...]] = ("betas",)
    state_names: ClassVar[tuple[str, ...]] = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        l1: float = 0.0,
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        options |= {"maximize": maximize, "l1": l1, "decoupled_weight_decay": self.decoupled}
        super().__init__(params, options)

    def _check(self, group: Group) -> None:
        super()._check(group)
        if np.shape(group["betas"]) != (2,):
            raise ValueError(f"{self._name}: want betas as a pair, got {group['betas']}")
        if bool(group["decoupled_weight_decay"]) != self.decoupled:
            raise ValueError(
                f"{self._name}: want decoupled_weight_decay={self.decoupled}, "
                f"got {group['decoupled_weight_decay']} (Adam's penalties are coupled, AdamW's are not)"
            )

    def _update(self, block: Block, group: Group) -> None:
        block.step += 1
        kernels.adam_update(
            block.grad,
            block.data,
            block.buffer("exp_avg"),
            block.buffer("exp_avg_sq"),
            block.buffer("max_exp_avg_sq", used=group["amsgrad"]),
            float(group["lr"]),
            float(group["betas"][0]),
            float(group["betas"][1]),
            *floats(group, "eps", "weight_decay", "l1"),
            block.step,
            bool(group["decoupled_weight_decay"]),
            bool(group["maximize"]),
        )


class AdamW(Adam):
    r"""Adam with decoupled penalties (Loshchilov and Hutter, 2019): they act on the weight, not through m and v.

        g_t = ∇f(w_{t-1}),   m_t and v_t as in Adam
        w_t = w_{t-1} - lr (λ w_{t-1} + l1 sign(w_{t-1})) - lr m_t / (1 - β₁ᵗ) / (√(v_t / (1 - β₂ᵗ)) + ε)

    In Adam a penalty is divided by √v like the gradient, so weights with large gradients hardly feel it. Here every
    weight feels it alike; that holds for both penalties, so `l1` is decoupled too.

    Arguments:
        params: parameters, pairs (name, parameter), or groups.
        lr: learning rate.
        betas: β₁ and β₂.
        eps: ε, outside the root.
        weight_decay: λ.
        amsgrad: whether v never shrinks.
        maximize: whether to go up: -∇f for ∇f.
        l1: the factor of sign(w).

    Raises:
        ValueError: for an option out of its range.
    """

    decoupled = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        l1: float = 0.0,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, l1=l1)

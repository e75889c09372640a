"""Adagrad: the gradient over the root of all its squares so far."""

from typing import ClassVar

from minigrad import kernels
from minigrad.optim.flat import Block
from minigrad.optim.optimizer import Group, Optimizer, Params, floats


class Adagrad(Optimizer):
    r"""Adagrad (Duchi et al., 2011): steps shrink in each weight with the squares of its gradients so far.

        g_t = ∇f(w_{t-1}) + λ w_{t-1} + l1 sign(w_{t-1})
        s_t = s_{t-1} + g_t²
        w_t = w_{t-1} - lr / (1 + (t - 1) η) g_t / (√s_t + ε)

    Arguments:
        params: parameters, pairs (name, parameter), or groups.
        lr: learning rate.
        lr_decay: η.
        weight_decay: λ, the factor of an L2 penalty λ/2 |w|².
        initial_accumulator_value: s_0.
        eps: ε, outside the root.
        maximize: whether to go up: -∇f for ∇f.
        l1: the factor of a penalty |w|₁.

    Raises:
        ValueError: for an option out of its range.
    """

    non_negative: ClassVar[tuple[str, ...]] = (
        "lr",
        "lr_decay",
        "weight_decay",
        "initial_accumulator_value",
        "eps",
        "l1",
    )
    state_names: ClassVar[tuple[str, ...]] = ("step", "sum")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        l1: float = 0.0,
    ) -> None:
        options = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps, "l1": l1}
        options |= {"initial_accumulator_value": initial_accumulator_value, "maximize": maximize}
        super().__init__(params, options)

    def _update(self, block: Block, group: Group) -> None:
        block.step += 1
        kernels.adagrad_update(
            block.grad,
            block.data,
            block.buffer("sum", fill=group["initial_accumulator_value"]),
            *floats(group, "lr", "lr_decay", "eps", "weight_decay", "l1"),
            block.step,
            bool(group["maximize"]),
        )

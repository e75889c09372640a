"""SGD: along the gradient, with momentum on request."""

from typing import ClassVar

from minigrad import kernels
from minigrad.optim.flat import Block
from minigrad.optim.optimizer import Group, Optimizer, Params, floats


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum μ on request.

        g_t = ∇f(w_{t-1}) + λ w_{t-1} + l1 sign(w_{t-1})
        b_t = μ b_{t-1} + (1 - τ) g_t,   b_1 = g_1
        d_t = b_t,   or with nesterov g_t + μ b_t,   or without momentum g_t
        w_t = w_{t-1} - lr d_t

    Unlike Sutskever et al. (2013), and like PyTorch, lr multiplies the whole step, not only the gradient.

    Arguments:
        params: parameters, pairs (name, parameter), or groups.
        lr: learning rate.
        momentum: μ.
        dampening: τ, in all steps but the first.
        weight_decay: λ, the factor of an L2 penalty λ/2 |w|².
        nesterov: whether to look ahead. Wants a momentum, and no dampening.
        maximize: whether to go up: -∇f for ∇f.
        l1: the factor of a penalty |w|₁.

    Raises:
        ValueError: for an option out of its range.
    """

    non_negative: ClassVar[tuple[str, ...]] = ("lr", "momentum", "weight_decay", "l1")
    state_names: ClassVar[tuple[str, ...]] = ("momentum_buffer",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        l1: float = 0.0,
    ) -> None:
        options = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, options | {"nesterov": nesterov, "maximize": maximize, "l1": l1})

    def _check(self, group: Group) -> None:
        super()._check(group)
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov wants momentum > 0 and dampening 0, "
                f"got momentum {group['momentum']} and dampening {group['dampening']}"
            )

    def _update(self, block: Block, group: Group) -> None:
        first = "momentum_buffer" not in block.state
        kernels.sgd_update(
            block.grad,
            block.data,
            block.buffer("momentum_buffer", used=group["momentum"] != 0),
            *floats(group, "lr", "momentum", "dampening", "weight_decay", "l1"),
            bool(group["nesterov"]),
            bool(group["maximize"]),
            first,
        )

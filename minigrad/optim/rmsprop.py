"""RMSprop: the gradient over its root mean square."""

from typing import ClassVar

from minigrad import kernels
from minigrad.optim.flat import Block
from minigrad.optim.optimizer import Group, Optimizer, Params, floats


class RMSprop(Optimizer):
    r"""RMSprop (Hinton, 2012; centered: Graves, 2013): the gradient over its running root mean square.

        g_t = ∇f(w_{t-1}) + λ w_{t-1} + l1 sign(w_{t-1})
        v_t = α v_{t-1} + (1 - α) g_t²
        a_t = α a_{t-1} + (1 - α) g_t,   if centered, else 0
        d_t = g_t / (√(v_t - a_t²) + ε)
        b_t = μ b_{t-1} + d_t
        w_t = w_{t-1} - lr b_t

    Arguments:
        params: parameters, pairs (name, parameter), or groups.
        lr: learning rate.
        alpha: α, how much of the mean square is kept.
        eps: ε, outside the root.
        weight_decay: λ, the factor of an L2 penalty λ/2 |w|².
        momentum: μ.
        centered: whether to divide by the standard deviation instead.
        maximize: whether to go up: -∇f for ∇f.
        l1: the factor of a penalty |w|₁.

    Raises:
        ValueError: for an option out of its range.
    """

    non_negative: ClassVar[tuple[str, ...]] = ("lr", "eps", "weight_decay", "momentum", "l1")
    below_one: ClassVar[tuple[str, ...]] = ("alpha",)
    state_names: ClassVar[tuple[str, ...]] = ("step", "square_avg", "momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        l1: float = 0.0,
    ) -> None:
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, options | {"centered": centered, "maximize": maximize, "l1": l1})

    def _update(self, block: Block, group: Group) -> None:
        block.step += 1
        kernels.rmsprop_update(
            block.grad,
            block.data,
            block.buffer("square_avg"),
            block.buffer("grad_avg", used=group["centered"]),
            block.buffer("momentum_buffer", used=group["momentum"] != 0),
            *floats(group, "lr", "alpha", "eps", "weight_decay", "momentum", "l1"),
            bool(group["maximize"]),
        )

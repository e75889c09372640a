"""Wrong clipping of gradients, and wrong averages of weights."""

from minigrad import optim
from minigrad.optim import EMA, clip
from tests.mutants.mutant import Mutant, edit, edit_kernel

MUTANTS = [
    Mutant(
        "clip_grad_norm_: makes small gradients larger",
        optim.clip_grad_norm_,
        "torch parity",
        edit(optim, "clip_grad_norm_", "if not factor >= 1:", "if True:"),
    ),
    Mutant(
        "clip_grad_norm_: the sum of the gradients' norms",
        optim.clip_grad_norm_,
        "torch parity",
        edit(clip, "_norm", "np.linalg.norm(np.array(norms, np.float64), p)", "sum(norms)"),
    ),
    Mutant(
        "clip_grad_norm_: the 2-norm, whatever is asked for",
        optim.clip_grad_norm_,
        "torch parity",
        edit(optim, "clip_grad_norm_", "_norm(gradients, float(norm_type))", "_norm(gradients, 2.0)"),
    ),
    Mutant(
        "clip_grad_value_: from above alone",
        optim.clip_grad_value_,
        "torch parity",
        edit(optim, "clip_grad_value_", "gradient, -clip_value", "gradient, -np.inf"),
    ),
    Mutant(
        "clip_grad_value_: forgets the result",
        optim.clip_grad_value_,
        "torch parity",
        edit(optim, "clip_grad_value_", ", out=gradient", ""),
    ),
    Mutant(
        "EMA: decay is the share of the new weights",
        EMA,
        "torch parity",
        edit_kernel("ema_update", "(1 - decay)", "decay"),
    ),
    Mutant(
        "EMA: the warm-up counts the first update as its second",
        EMA,
        "torch parity",
        edit(EMA, "update", "(1 + self.updates)", "(2 + self.updates)"),
    ),
    Mutant(
        "EMA: averages in the weights' memory",
        EMA,
        "torch parity",
        edit(EMA, "__init__", 'np.array(parameter.data, order="C")', "parameter.data"),
    ),
    Mutant(
        "EMA: the number of updates is not loaded",
        EMA,
        "resume",
        edit(EMA, "load_state_dict", "self.updates = int(updates)", "pass"),
    ),
    Mutant(
        "EMA: the state is not a copy",
        EMA,
        "resume",
        edit(EMA, "state_dict", "average.copy()", "average"),
    ),
]

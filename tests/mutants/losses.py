"""Wrong losses."""

from minigrad import nn
from minigrad.nn.loss import Loss
from tests.mutants.mutant import Mutant, both, edit, edit_kernel

OF_CLASSES = [
    Mutant(
        "CrossEntropyLoss: no smoothing in the backward",
        nn.CrossEntropyLoss,
        "derivative",
        edit(nn.CrossEntropyLoss, "_backward", "self.label_smoothing", "0.0"),
    ),
    Mutant(
        "CrossEntropyLoss: smoothing takes nothing from the target's class",
        nn.CrossEntropyLoss,
        "torch parity",
        edit_kernel("cross_entropy_forward", "x.dtype.type(1 - smoothing) * at_target", "at_target"),
    ),
    Mutant(
        "CrossEntropyLoss: no class weights in the backward",
        nn.CrossEntropyLoss,
        "derivative",
        edit_kernel("cross_entropy_backward", "(1 - smoothing) * weight[index]", "(1 - smoothing)"),
    ),
    Mutant(
        "CrossEntropyLoss: p - t, as if weighted targets summed to 1",
        nn.CrossEntropyLoss,
        "derivative",
        edit_kernel("cross_entropy_backward", "p * t.sum(axis=1, keepdims=True) - t", "p - t"),
    ),
    Mutant(
        "CrossEntropyLoss: the mean divides by N, not by the sum of the weights",
        nn.CrossEntropyLoss,
        "torch parity",
        edit(
            nn.CrossEntropyLoss,
            "_forward",
            "losses.reshape(shape), weights.reshape(shape)",
            "losses.reshape(shape), None",
        ),
    ),
    Mutant(
        "CrossEntropyLoss: the mean counts what is ignored",
        nn.CrossEntropyLoss,
        "torch parity",
        edit_kernel("cross_entropy_forward", "np.where(kept, weight[index], 0)", "weight[index]"),
    ),
    Mutant(
        "CrossEntropyLoss: what is ignored has a gradient",
        nn.CrossEntropyLoss,
        "derivative",
        edit_kernel(
            "cross_entropy_backward",
            "np.where(kept, dlosses, 0)[:, None] * (p * t.sum(axis=1, keepdims=True) - t)\n    dx[~kept] = 0",
            "dlosses[:, None] * (p * t.sum(axis=1, keepdims=True) - t)",
        ),
    ),
    Mutant(
        "CrossEntropyLoss: dx in the order of its rows, not of x",
        nn.CrossEntropyLoss,
        "derivative",
        edit(nn.CrossEntropyLoss, "_backward", "from_rows(dx, shape, min(1, len(shape) - 1))", "dx.reshape(shape)"),
    ),
    Mutant(
        "CrossEntropyLoss: soft targets without their smoothing in the backward",
        nn.CrossEntropyLoss,
        "derivative",
        edit_kernel("soft_cross_entropy_backward", "keepdims=True) - t)", "keepdims=True) - weight * target)"),
    ),
    Mutant(
        "CrossEntropyLoss: the softmax of the whole batch",
        nn.CrossEntropyLoss,
        "torch parity",
        edit_kernel("cross_entropy_forward", "_log_sum_exp(x)", "_log_sum_exp(x.reshape(1, -1))"),
    ),
    Mutant(
        "NLLLoss: the wrong sign in the backward",
        nn.NLLLoss,
        "derivative",
        edit_kernel("nll_backward", "-weight[", "weight["),
    ),
    Mutant(
        "NLLLoss: the class weights have no part in the loss, in the mean they have",
        nn.NLLLoss,
        "torch parity",
        edit_kernel("nll_forward", "-weights * x", "-1 * x"),
    ),
    Mutant(
        "NLLLoss: the gradient of every class, not of the target's alone",
        nn.NLLLoss,
        "derivative",
        edit_kernel("nll_backward", "dx[...] = 0", "dx[...] = -dlosses[:, None] / len(weight)"),
    ),
]

OF_ELEMENTS = [
    Mutant(
        "MSELoss: no factor 2",
        nn.MSELoss,
        "derivative",
        edit_kernel("mse_backward", "2 * (x - t)", "(x - t)"),
    ),
    Mutant(
        "MSELoss: the difference in the input's memory",
        nn.MSELoss,
        "memory contract",
        edit_kernel("mse_forward", "losses[...] = (x - t) ** 2", "x -= t; losses[...] = x**2"),
    ),
    Mutant(
        "MSELoss: the difference in the saved value's memory",
        nn.MSELoss,
        "memory contract",
        edit_kernel("mse_backward", "dx[...] = 2 * (x - t) * dlosses", "x -= t; dx[...] = 2 * x * dlosses"),
    ),
    Mutant(
        "MSELoss: half precision in the backward of float32",
        nn.MSELoss,
        "derivative in float32",
        edit_kernel("mse_backward", "(x - t) *", "(x - t).astype(np.float16 if x.itemsize == 4 else np.float64) *"),
    ),
    Mutant(
        "MSELoss: x and t are kept in the loss, where the next forward writes over them",
        nn.MSELoss,
        "pullbacks in any order",
        both(
            edit(nn.MSELoss, "_forward", "return losses, None,", "self._kept = x, t, arguments; return losses, None,"),
            edit(nn.MSELoss, "_backward", "= saved", "= self._kept"),
        ),
    ),
    Mutant(
        "L1Loss: the sign of x, not of x - t",
        nn.L1Loss,
        "derivative",
        edit_kernel("l1_backward", "np.sign(x - t)", "np.sign(x)"),
    ),
    Mutant(
        "HuberLoss: the gradient is not clipped",
        nn.HuberLoss,
        "derivative",
        edit_kernel("huber_backward", "np.clip(x - t, -delta, delta)", "(x - t)"),
    ),
    Mutant(
        "HuberLoss: jumps where the line begins",
        nn.HuberLoss,
        "torch parity",
        edit_kernel("huber_forward", "delta * (d - 0.5 * delta)", "delta * d"),
    ),
    Mutant(
        "SmoothL1Loss: without 1/β",
        nn.SmoothL1Loss,
        "torch parity",
        edit(nn.SmoothL1Loss, "_arguments", "1 / self.beta", "1.0"),
    ),
    Mutant(
        "BCEWithLogitsLoss: pos_weight for the negative targets in the backward",
        nn.BCEWithLogitsLoss,
        "derivative",
        edit_kernel("bce_with_logits_backward", "(positive - 1) * t)", "(positive - 1) * (1 - t))"),
    ),
    Mutant(
        "BCEWithLogitsLoss: no pos_weight in the backward",
        nn.BCEWithLogitsLoss,
        "derivative",
        edit_kernel("bce_with_logits_backward", "(1 + (positive - 1) * t) * ", ""),
    ),
    Mutant(
        "BCEWithLogitsLoss: the weight counts in the mean's divisor",
        nn.BCEWithLogitsLoss,
        "torch parity",
        edit(nn.BCEWithLogitsLoss, "_forward", "losses, None,", "losses, arguments[0].reshape(x.shape),"),
    ),
    Mutant(
        "BCEWithLogitsLoss: the class's weight and pos_weight in each other's place",
        nn.BCEWithLogitsLoss,
        "torch parity",
        edit(nn.BCEWithLogitsLoss, "_arguments", '"weight", self.weight', '"weight", self.pos_weight'),
    ),
]

# Of what all losses inherit, shown on one of them.
BASE = [
    Mutant(
        "Loss: no sample weights in the backward",
        nn.MSELoss,
        "derivative with sample weights",
        edit(Loss, "_evaluate", "factor / weight", "1.0 / weight"),
    ),
    Mutant(
        "Loss: the mean divides by the number of samples, not by the sum of their weights",
        nn.MSELoss,
        "a weight is repetition",
        edit(Loss, "_evaluate", "self._weight(losses, weights, factor)", "self._weight(losses, weights, 1.0)"),
    ),
    Mutant(
        "Loss: the mean's divisor twice in the backward",
        nn.CrossEntropyLoss,
        "derivative",
        edit(Loss, "_pull", "factor * dvalue", "factor * dvalue / losses.size"),
    ),
    Mutant(
        "Loss: the cotangent is taken for 1",
        nn.L1Loss,
        "torch parity",
        edit(Loss, "_pull", "factor * dvalue", "factor"),
    ),
    Mutant(
        "Loss: the sum leaves out NaN",
        nn.MSELoss,
        "NaN stays",
        edit(Loss, "_evaluate", "losses.sum(dtype=np.float64)", "np.nansum(losses)"),
    ),
    Mutant(
        "Loss: an input is taken as it lies in memory",
        nn.MSELoss,
        "any memory layout",
        edit(Loss, "_evaluate", "for_kernels(x)", "x"),
    ),
]

MUTANTS = [*OF_CLASSES, *OF_ELEMENTS, *BASE]

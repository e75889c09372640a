"""Wrong kernels of Numba: each has to differ from NumPy's."""

from tests.mutants.mutant import Mutant, edit_jit

CHECK = "jit equals reference"


def mutant(kernel: str, mistake: str, old: str, new: str) -> Mutant:
    return Mutant(f"{kernel}: {mistake}", kernel, CHECK, edit_jit(kernel, old, new))


MUTANTS = [
    mutant("relu_forward", "NaN becomes 0", "zero if x[i] <= zero else x[i]", "x[i] if x[i] > zero else zero"),
    mutant("relu_backward", "passes the gradient at 0", "y[i] <= zero", "y[i] < zero"),
    mutant("silu_forward", "leaves out what does not fill a vector of 4", "range(x.size)", "range(x.size // 4 * 4)"),
    mutant("tanh_backward", "leaves out the last number", "range(y.size)", "range(y.size - 1)"),
    mutant("gelu_backward", "without x φ(x)", "+ v * density * exp(-half * v * v)", ""),
    mutant(
        "hardtanh_forward",
        "NaN becomes the upper bound",
        "high if x[i] > high else x[i]",
        "x[i] if x[i] <= high else high",
    ),
    mutant(
        "softplus_forward",
        "no threshold, so it overflows",
        "x[i] if z > threshold else math.log1p(exp(z)) / beta",
        "math.log1p(exp(z)) / beta",
    ),
    mutant("prelu_backward", "`=` for `+=` in the slope's gradient", "dw[c] +=", "dw[c] ="),
    mutant("prelu_backward", "one slope for all channels", "else w[c] * dy", "else w[0] * dy"),
    mutant("dropout", "half of the key is not used", "^ k0)) ^ k1)", "^ k0)))"),
    mutant("dropout", "drops what it should keep", "h >= least", "h < least"),
    mutant("embedding_backward", "the padding row is trained", "row != padding", "True"),
    mutant("embedding_backward", "`=` for `+=`", "dw[row, d] +=", "dw[row, d] ="),
    mutant(
        "batch_norm_statistics",
        "the unbiased variance",
        "inv_std[c] = 1 / math.sqrt(squares[c] / M",
        "inv_std[c] = 1 / math.sqrt(squares[c] / (M - 1)",
    ),
    mutant("batch_norm_backward", "through the batch's statistics always", "1 / M if uses_batch else 0", "1 / M"),
    mutant(
        "layer_norm_backward",
        "the mean of g in the place of the x̂ term",
        "x.dtype.type(slope_sum / D)",
        "x.dtype.type(g_sum / D)",
    ),
    mutant(
        "layer_norm_forward",
        "the sum goes on from row to row",
        "total, squares = 0.0, 0.0",
        "total, squares = (total, 0.0) if m else (0.0, 0.0)",
    ),
    mutant("softmax_forward", "large numbers overflow", "_log_sum_exp(x[m])", "math.log(sum(exp(v) for v in x[m]))"),
    mutant(
        "log_softmax_backward",
        "the sum goes on from row to row",
        "total = y.dtype.type(0)",
        "total = total if m else y.dtype.type(0)",
    ),
    mutant("nll_backward", "keeps what was in the memory", "dx[:] = 0", "pass"),
    mutant(
        "cross_entropy_forward",
        "the first class is left out of the smoothing",
        "for c in range(C):",
        "for c in range(1, C):",
    ),
    mutant("cross_entropy_backward", "what is ignored keeps what was in the memory", "dx[m] = 0\n", "pass\n"),
    mutant("huber_backward", "the sign is lost where it is clipped", "-bound if d < -bound", "bound if d < -bound"),
    mutant(
        "bce_with_logits_forward",
        "large negative scores overflow",
        "math.log1p(exp(-abs(x[i]))) + (-x[i] if x[i] < zero else zero)",
        "math.log(one + exp(-x[i]))",
    ),
    mutant(
        "sgd_update", "the first step is dampened too", "cast(1 if first else 1 - dampening)", "cast(1 - dampening)"
    ),
    mutant(
        "adam_update",
        "a NaN does not win in amsgrad",
        "max_exp_avg_sq[i] if second <= max_exp_avg_sq[i] else second",
        "max(max_exp_avg_sq[i], second)",
    ),
    mutant("adagrad_update", "counts from 1", "(step - 1) * lr_decay", "step * lr_decay"),
    mutant("gather_uint8", "bytes above 127 are negative", "np.float32(row[j])", "np.float32(row[j].view(np.int8))"),
    mutant("gather_float", "the shift before the scale", "row[j] * factor + offset", "(row[j] + offset) * factor"),
]

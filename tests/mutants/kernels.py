"""Wrong kernels of Numba: each has to differ from NumPy's."""

from tests.mutants.mutant import Mutant, edit_jit, edit_jit_helper

CHECK = "jit equals reference"


def mutant(kernel: str, mistake: str, old: str, new: str, helper: str | None = None) -> Mutant:
    patch = edit_jit_helper(kernel, helper, old, new) if helper else edit_jit(kernel, old, new)
    return Mutant(f"{kernel}: {mistake}", kernel, CHECK, patch)


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
        "x[i] if z > threshold else log1p(exp(z)) / beta",
        "log1p(exp(z)) / beta",
    ),
    mutant("conv_forward", "without the bias", "bias, target = b[g * K : g * K + K]", "bias, target = b[:0]"),
    mutant("conv_forward", "all groups see the channels of the first", "g * C : g * C + C", ":C"),
    mutant(
        "conv_backward_weight", "all groups see the channels of the first", "g * C : g * C + C", ":C", "_add_outputs"
    ),
    mutant("conv_backward_weight", "all parts see what the first sees", "table[start:end]", "table[: end - start]"),
    mutant("conv_weight_gradient", "the last part only", "i > 0", "False"),
    mutant("depthwise_forward", "without the bias", "at(shift, 0, c) if b.size else at(zero, 0, 0)", "at(zero, 0, 0)"),
    mutant("depthwise_backward_weight", "the last outputs only", "dw[:, first:last] = 0\n    for p in", "for p in"),
    mutant("max_pool_forward", "NaN is passed over", " or np.isnan(values[j])", ""),
    mutant("max_pool_forward", "the last of equal ones", "values[j] > best[j]", "values[j] >= best[j]"),
    mutant("max_pool_backward", "`=` for `+=`", "target[j] += ", "target[j] = "),
    mutant("window_sums", "`=` for `+=`", "target[j] += ", "target[j] = "),
    mutant("scale_channels", "the first image's factors for all", "factors[j]", "factors[j % x.shape[2]]"),
    mutant("winograd_weights", "not turned around", "kernel[::-1] if turned", "kernel if turned", "_spread_weights"),
    mutant("winograd_weight_gradient", "the last part only", "part > 0", "False"),
    mutant("winograd_forward", "one panel for all", "u[panel, place]", "u[0, place]"),
    mutant("winograd_input", "one patch for all", "patches[q]", "patches[0]"),
    mutant("winograd_of_few", "the last channels only", "c > 0", "False"),
    mutant("winograd_backward_weight", "a part takes the next ones too", "(part + 1) * Q", "(part + 2) * Q"),
    mutant("channel_moments", "distances from 0", "m = center[k]", "m = 0.0"),
    mutant(
        "channel_statistics",
        "without the distances of the pixels' means",
        " + images * (means[c] - center[c]) ** 2",
        "",
    ),
    mutant("channel_norm_forward", "always with a ReLU", "cast(0 if relu else -np.inf)", "cast(0)"),
    mutant("channel_norm_add_relu", "the sum is not cut off", "zero if value <= zero else value", "value"),
    mutant("channel_norm_sums", "through the ReLU", "cast(0 if relu else -np.inf)", "cast(-np.inf)"),
    mutant(
        "channel_norm_backward_parameters", "not divided by the deviation", "by_x[c] * inv_std[start + c]", "by_x[c]"
    ),
    mutant("channel_norm_backward", "without the x̂ term", " - (row[k] - center[k]) * slope[k]", ""),
    mutant("group_norm_backward", "without the x̂ term", " - x_hat * slope", ""),
    mutant("prelu_backward", "`=` for `+=` in the slope's gradient", "dw[c] +=", "dw[c] ="),
    mutant("prelu_backward", "one slope for all channels", "slope, total = w[c]", "slope, total = w[0]"),
    mutant("dropout", "half of the key is not used", "^ k0)) ^ k1)", "^ k0)))"),
    mutant("relu_dropout_forward", "what is negative stays", "x[i] <= zero or h < least", "h < least"),
    mutant("relu_dropout_backward", "not scaled", "dy[i] * factor", "dy[i]"),
    mutant("dropout", "drops what it should keep", "h >= least", "h < least"),
    mutant("embedding_backward", "the padding row is trained", "row != padding", "True"),
    mutant("embedding_backward", "`=` for `+=`", "dw[row, d] +=", "dw[row, d] ="),
    mutant(
        "batch_norm_statistics",
        "the unbiased variance",
        "inv_std[start + j] = 1 / math.sqrt(squares[j] / M",
        "inv_std[start + j] = 1 / math.sqrt(squares[j] / (M - 1)",
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
    mutant("softmax_forward", "large numbers overflow", "= _top(x[m])", "= 0"),
    mutant(
        "log_softmax_backward",
        "the sum goes on from row to row",
        "total = _sum(dy[m])",
        "total = _sum(dy[m]) + (total if m else 0)",
    ),
    mutant("nll_backward", "keeps what was in the memory", "dx[:] = 0", "pass"),
    mutant(
        "cross_entropy_forward",
        "the first class is left out of the smoothing",
        "for c in range(C):",
        "for c in range(1, C):",
    ),
    mutant("cross_entropy_backward", "what is ignored has a gradient", "dx[m] = 0\n", "pass\n"),
    mutant("huber_backward", "the sign is lost where it is clipped", "-bound if d < -bound", "bound if d < -bound"),
    mutant(
        "bce_with_logits_forward",
        "large negative scores overflow",
        "log1p(exp(-abs(x[i]))) + (-x[i] if x[i] < zero else zero)",
        "log1p(exp(-x[i]))",
    ),
    mutant(
        "sgd_update", "the first step is dampened too", "cast(1 if is_first else 1 - dampening)", "cast(1 - dampening)"
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
    mutant("linear_forward", "without the bias", "bias[k] if b.size else 0", "0"),
    mutant("linear_forward", "adds the last row to what was in the memory", "range(M):", "range(M - 1):"),
    mutant("linear_backward_input", "adds to what was in the memory", "first, last, False", "first, last, True"),
    mutant("linear_backward_weight", "starts from the first row always", "at(dy.T, first, 0)", "at(dy.T, 0, 0)"),
    mutant("linear_backward_weight", "forgets what it has to add to", "x.shape[1], accumulate", "x.shape[1], False"),
    mutant("column_sums", "forgets what it has to add to", "db[k + j] if accumulate else 0", "0"),
    mutant(
        "batch_norm_inv_std", "eps outside the root", "np.sqrt(var[c] + cast(eps))", "(np.sqrt(var[c]) + cast(eps))"
    ),
    mutant("batch_norm_forward", "from the first column on", "range(first, last, BLOCK)", "range(0, last, BLOCK)"),
    mutant(
        "layer_norm_backward_parameters",
        "dβ is summed like dγ",
        "= by_x_hat[j], plain[j]",
        "= by_x_hat[j], by_x_hat[j]",
    ),
    mutant("dropout", "each part has the mask of the first", "np.uint32(first + i)", "np.uint32(i)"),
    mutant("count", "by 2", "+= 1", "+= 2"),
    mutant("inverse", "the counter itself", "1 / counter[0]", "counter[0]"),
    mutant("gather_images", "the first image always", "x[index[b], c % D]", "x[index[0], c % D]"),
    mutant("gather_images", "one channel for all", "c % D", "0"),
    mutant("gather_images", "one channel's mean for all", "shift[c]", "shift[0]"),
    mutant("gather_images", "rotated as if it were not", "move[4] == 0", "True"),
    mutant("gather_images", "nothing is erased", "target[i, j] = 0", "pass"),
    mutant("take_batch", "the same batch again and again", "position[0] += index.size", "pass"),
    mutant("take_batch", "the first batch always", "order[position[0] + b]", "order[b]"),
    mutant("take_row", "rows overlap", "position[0] * row.size + i", "position[0] + i"),
    mutant("mask_key", "the same mask again and again", "step[0] += 1", "pass"),
    mutant("mask_key", "one key twice", "z >> np.uint64(32), z &", "z & np.uint64(0xFFFFFFFF), z &"),
    mutant("reduce_loss", "the mean over the losses, not over their weights", "if weights.size else", "if False else"),
    mutant("reduce_loss", "a mean over nothing is infinite", "if divisor != 0 else np.nan", ""),
    mutant("reduce_loss", "the gradient of the sum", "dlosses[i] = 1 / divisor", "dlosses[i] = 1"),
    mutant("note_loss", "the position stays", "position[0] += 1", "pass"),
    mutant(
        "count_correct", "of several largest the last one counts", "outputs[m, c] <= outputs", "outputs[m, c] < outputs"
    ),
    mutant(
        "count_correct",
        "a NaN does not win",
        "not outputs[m, c] <= outputs[m, best]",
        "outputs[m, c] > outputs[m, best]",
    ),
    mutant("square_sums", "leaves out the last number of a chunk", "(k + 1) * CHUNK, x", "(k + 1) * CHUNK - 1, x"),
    mutant("clip_factor", "enlarges what is small", "1.0 if wanted >= 1 else wanted", "wanted"),
    mutant("clip_factor", "the norm is squared", "np.sqrt(total)", "total"),
    mutant("scale", "leaves out the last number", "range(x.size)", "range(x.size - 1)"),
    mutant("clear", "leaves out the first number", "range(x.size)", "range(1, x.size)"),
    mutant("add", "the first twice", "a[i] + b[i]", "a[i] + a[i]"),
    mutant("accumulate", "`=` for `+=`", "total[i] +=", "total[i] ="),
    mutant("swap_axes", "the first sample always", "at(x[a], 0, start)", "at(x[0], 0, start)"),
    mutant("put_columns", "at the left border", "y[m, column + n]", "y[m, n]"),
    mutant("take_columns", "from the left border", "x[m, column + n]", "x[m, n]"),
    mutant("take_rows", "the first one always", "x[index[b]]", "x[index[0]]"),
]

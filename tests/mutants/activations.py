"""Wrong activations."""

from minigrad import nn
from tests.mutants.mutant import Mutant, edit, edit_kernel

MUTANTS = [
    Mutant(
        "ReLU: NaN becomes 0",
        nn.ReLU,
        "NaN stays",
        edit_kernel("relu_forward", "np.where(x <= 0, 0, x)", "np.where(x > 0, x, 0)"),
    ),
    Mutant(
        "LeakyReLU: the slope on both sides",
        nn.LeakyReLU,
        "derivative",
        edit_kernel("leaky_relu_backward", "np.where(x > 0, dy, slope * dy)", "slope * dy"),
    ),
    Mutant(
        "LeakyReLU: the default slope, whatever is asked for",
        nn.LeakyReLU,
        "torch parity",
        edit(nn.LeakyReLU, "_arguments", "self.negative_slope", "0.01"),
    ),
    Mutant(
        "PReLU: the slope's gradient from the positive side",
        nn.PReLU,
        "derivative",
        edit_kernel("prelu_backward", "np.where(x > 0, 0, x * dy)", "np.where(x > 0, x * dy, 0)"),
    ),
    Mutant(
        "PReLU: `=` for `+=` in the slope's gradient",
        nn.PReLU,
        "gradients add",
        edit_kernel("prelu_backward", "dw += ", "dw[...] = "),
    ),
    Mutant(
        "PReLU: the first channel's slope for all",
        nn.PReLU,
        "torch parity",
        edit_kernel("prelu_forward", "w[:, None]", "w[0]"),
    ),
    Mutant(
        "ELU: no α in the backward",
        nn.ELU,
        "derivative",
        edit_kernel("elu_backward", "alpha * np.exp", "np.exp"),
    ),
    Mutant(
        "SELU: constants of four digits",
        nn.SELU,
        "torch parity",
        edit(nn.SELU, "_arguments", "self.alpha, self.scale", "1.6733, 1.0507"),
    ),
    Mutant(
        "GELU: the derivative of the other approximation",
        nn.GELU,
        "derivative",
        edit(nn.GELU, "_backward", "{self.kernel}_backward", "gelu_tanh_backward"),
    ),
    Mutant(
        "GELU: the other approximation, forward and backward",
        nn.GELU,
        "torch parity",
        edit(nn.GELU, "__init__", '"gelu" if approximate == "none" else "gelu_tanh"', '"gelu_tanh"'),
    ),
    Mutant(
        "GELU: the tanh's cubic term without its factor 3 in the backward",
        nn.GELU,
        "derivative",
        edit_kernel("gelu_tanh_backward", "(1 + 3 * 0.044715 * x * x)", "(1 + 0.044715 * x * x)"),
    ),
    Mutant(
        "SiLU: backward without σ's own derivative",
        nn.SiLU,
        "derivative",
        edit_kernel("silu_backward", "(1 + x * (1 - s))", "1"),
    ),
    Mutant(
        "Tanh: 1 - y for 1 - y²",
        nn.Tanh,
        "derivative",
        edit_kernel("tanh_backward", "1 - y * y", "1 - y"),
    ),
    Mutant(
        "Tanh: one array for all outputs",
        nn.Tanh,
        "pullbacks in any order",
        edit(
            nn.Tanh, "_forward", "y = np.empty_like(x)", "y = vars(self).setdefault(f'_y{x.shape}', np.empty_like(x))"
        ),
    ),
    Mutant(
        "Sigmoid: writes to the output that it has saved",
        nn.Sigmoid,
        "memory contract",
        edit_kernel("sigmoid_backward", "dx[...] = dy * y * (1 - y)", "y *= 1 - y; dx[...] = dy * y"),
    ),
    Mutant(
        "Sigmoid: the gradient in the cotangent's memory",
        nn.Sigmoid,
        "memory contract",
        edit(nn.Sigmoid, "_backward", "dx = np.empty_like(dy)", "dx = dy"),
    ),
    Mutant(
        "SiLU: the output in the input's memory",
        nn.SiLU,
        "memory contract",
        edit(nn.SiLU, "_forward", "y = np.empty_like(x)", "y = x"),
    ),
    Mutant(
        "Hardtanh: passes the gradient outside its bounds",
        nn.Hardtanh,
        "derivative",
        edit_kernel("hardtanh_backward", "np.where((x <= low) | (x >= high), 0, dy)", "dy"),
    ),
    Mutant(
        "Hardtanh: the bounds of the default, whatever is asked for",
        nn.Hardtanh,
        "torch parity",
        edit(nn.Hardtanh, "_arguments", "self.min_val, self.max_val", "-1.0, 1.0"),
    ),
    Mutant(
        "Softplus: without 1/β",
        nn.Softplus,
        "torch parity",
        edit_kernel("softplus_forward", " / beta)", ")"),
    ),
    Mutant(
        "Softplus: the threshold for x, not for βx",
        nn.Softplus,
        "torch parity",
        edit_kernel("softplus_forward", "np.where(z > threshold", "np.where(x > threshold"),
    ),
    Mutant(
        "Softmax: the identity as its backward, as if the loss had done it",
        nn.Softmax,
        "derivative",
        edit_kernel("softmax_backward", "y * (dy - (y * dy).sum(axis=1, keepdims=True))", "dy"),
    ),
    Mutant(
        "Softmax: the diagonal of its Jacobian alone",
        nn.Softmax,
        "derivative",
        edit_kernel("softmax_backward", "dy - (y * dy).sum(axis=1, keepdims=True)", "dy * (1 - y)"),
    ),
    Mutant(
        "Softmax: along the batch",
        nn.Softmax,
        "samples are independent",
        edit(nn.Softmax, "__init__", "self.dim = dim", "self.dim = 0"),
    ),
    Mutant(
        "LogSoftmax: backward without the sum",
        nn.LogSoftmax,
        "derivative",
        edit_kernel("log_softmax_backward", "- np.exp(y) * dy.sum(axis=1, keepdims=True)", ""),
    ),
    Mutant(
        "LogSoftmax: the sum of all rows",
        nn.LogSoftmax,
        "derivative",
        edit_kernel("log_softmax_backward", "dy.sum(axis=1, keepdims=True)", "dy.sum()"),
    ),
]

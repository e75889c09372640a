"""Wrong layers: Linear, Embedding, Dropout, Flatten and Identity."""

from minigrad import nn
from tests.mutants.mutant import Mutant, both, edit, edit_kernel

LINEAR = [
    Mutant(
        "Linear: no gradient of the bias",
        nn.Linear,
        "derivative",
        edit(nn.Linear, "_backward_parameters", "self.bias.grad += dy_rows.sum(axis=0)", "pass"),
    ),
    Mutant(
        "Linear: the bias gets the mean over the batch, not the sum",
        nn.Linear,
        "torch parity",
        edit(nn.Linear, "_backward_parameters", "dy_rows.sum(axis=0)", "dy_rows.mean(axis=0)"),
    ),
    Mutant(
        "Linear: `=` for `+=` in the gradient of the bias",
        nn.Linear,
        "gradients add",
        edit(nn.Linear, "_backward_parameters", "self.bias.grad += ", "self.bias.grad[...] = "),
    ),
    Mutant(
        "Linear: the gradient of the bias is a new array each time",
        nn.Linear,
        "gradients add",
        edit(nn.Linear, "_backward_parameters", "self.bias.grad += ", "self.bias.grad = self.bias.grad + "),
    ),
    Mutant(
        "Linear: the gradient of the weight as of its transpose",
        nn.Linear,
        "derivative",
        edit(
            nn.Linear,
            "_backward_parameters",
            "self.weight.add_product(dy_rows.T, rows)",
            "self.weight.grad += (rows.T @ dy_rows).reshape(self.weight.shape)",
        ),
    ),
    Mutant(
        "Linear: the gradient of the weight wrong by 0.05 %",
        nn.Linear,
        "derivative",
        edit(nn.Linear, "_backward_parameters", "dy_rows.T, rows", "dy_rows.T, rows * 1.0005"),
    ),
    Mutant(
        "Linear: divides the gradient by the batch's size, as the loss does already",
        nn.Linear,
        "torch training",
        edit(nn.Linear, "_backward_parameters", "dy_rows.T, rows", "dy_rows.T, rows / len(rows)"),
    ),
    Mutant(
        "Linear: adds weight decay to the gradient, as the optimizer does already",
        nn.Linear,
        "torch parity",
        edit(nn.Linear, "_backward_parameters", "rows)", "rows); self.weight.grad += 1e-4 * self.weight.data"),
    ),
    Mutant(
        "Linear: x is kept in the layer, where the next forward writes over it",
        nn.Linear,
        "pullbacks in any order",
        both(
            edit(nn.Linear, "_forward", "return y, x", "self._x = x; return y, None"),
            edit(nn.Linear, "_backward", "_parameters(x, dy)", "_parameters(self._x, dy)"),
        ),
    ),
    Mutant(
        "Linear: float64 comes out where float32 goes in",
        nn.Linear,
        "memory contract",
        edit(nn.Linear, "_forward", "y = x @", "y = x.astype(np.float64) @"),
    ),
    Mutant(
        "Linear: float32 inside, whatever comes",
        nn.Linear,
        "torch parity",
        edit(nn.Linear, "_forward", "y = x @", "y = x.astype(np.float32).astype(x.dtype) @"),
    ),
    Mutant(
        "Linear: half precision in the backward of float32",
        nn.Linear,
        "derivative in float32",
        edit(nn.Linear, "_backward", "dy @", "(dy if dy.dtype == np.float64 else dy.astype(np.float16)) @"),
    ),
]

EMBEDDING = [
    Mutant(
        "Embedding: a row that comes twice gets one of its gradients",
        nn.Embedding,
        "derivative",
        edit_kernel("embedding_backward", "np.add.at(dw, rows[keep], dy[keep])", "dw[rows[keep]] += dy[keep]"),
    ),
    Mutant(
        "Embedding: the padding row is trained",
        nn.Embedding,
        "torch parity",
        edit_kernel("embedding_backward", "rows != padding", "rows >= 0"),
    ),
    Mutant(
        "Embedding: a padding row counted from the end is not found",
        nn.Embedding,
        "torch training",
        edit(nn.Embedding, "_backward", "else self.padding_idx", "else self.padding_idx - self.num_embeddings"),
    ),
]

DROPOUT = [
    Mutant(
        "Dropout: what is kept is not scaled up",
        nn.Dropout,
        "reference",
        edit(nn.Dropout, "_apply", "self.scale", "1.0"),
    ),
    Mutant(
        "Dropout: drops in evaluation",
        nn.Dropout,
        "evaluation leaves no trace",
        edit(nn.Dropout, "_forward", "not self.training or", ""),
    ),
    Mutant(
        "Dropout: a new mask in the backward",
        nn.Dropout,
        "derivative",
        edit(nn.Dropout, "_backward", "self._apply(saved, dy)", "self._apply(stream_key(self.seed, self.step), dy)"),
    ),
    Mutant(
        "Dropout: no mask in the backward",
        nn.Dropout,
        "derivative",
        edit(nn.Dropout, "_backward", "self._apply(saved, dy)", "dy / (1 - self.p)"),
    ),
    Mutant(
        "Dropout: p is the part that is kept",
        nn.Dropout,
        "reference",
        edit(nn.Dropout, "_apply", "self.threshold", "2**32 - self.threshold"),
    ),
    Mutant(
        "Dropout: the mask of the last forward, whichever is pulled back",
        nn.Dropout,
        "pullbacks in any order",
        edit(
            nn.Dropout, "_backward", "self._apply(saved, dy)", "self._apply(stream_key(self.seed, self.step - 1), dy)"
        ),
    ),
]

SHAPE = [
    Mutant(
        "Flatten: in Fortran's order",
        nn.Flatten,
        "torch parity",
        edit(nn.Flatten, "_forward", "(x.shape))", "(x.shape), order='F')"),
    ),
    Mutant(
        "Flatten: the backward in Fortran's order",
        nn.Flatten,
        "derivative",
        edit(nn.Flatten, "_backward", "dy.reshape(saved)", "dy.reshape(saved, order='F')"),
    ),
    Mutant(
        "Flatten: the gradient stays flat",
        nn.Flatten,
        "memory contract",
        edit(nn.Flatten, "_backward", "dy.reshape(saved)", "dy"),
    ),
    Mutant(
        "Identity: doubles the gradient where it lies",
        nn.Identity,
        "memory contract",
        edit(nn.Identity, "_backward", "return dy", "dy *= 2; return dy"),
    ),
]

MUTANTS = [*LINEAR, *EMBEDDING, *DROPOUT, *SHAPE]

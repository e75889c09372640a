"""Wrong normalisations."""

from minigrad import nn
from tests.mutants.mutant import Mutant, both, edit, edit_kernel

BATCH_NORM = [
    Mutant(
        "BatchNorm1d: backward without the mean of g",
        nn.BatchNorm1d,
        "derivative",
        edit_kernel("batch_norm_backward", "(dbeta[c] + x_hat * dgamma[c])", "(x_hat * dgamma[c])"),
    ),
    Mutant(
        "BatchNorm1d: backward without the x̂ term",
        nn.BatchNorm1d,
        "derivative",
        edit_kernel("batch_norm_backward", "(dbeta[c] + x_hat * dgamma[c])", "dbeta[c]"),
    ),
    Mutant(
        "BatchNorm1d: backward through the batch's statistics in evaluation",
        nn.BatchNorm1d,
        "derivative",
        edit_kernel("batch_norm_backward", "if uses_batch else dy", ""),
    ),
    Mutant(
        "BatchNorm1d: backward without γ",
        nn.BatchNorm1d,
        "torch parity",
        edit_kernel("batch_norm_backward", "g * (gamma[c] * inv_std[c])", "g * inv_std[c]"),
    ),
    Mutant(
        "BatchNorm1d: dγ = Σ dy x, not Σ dy x̂",
        nn.BatchNorm1d,
        "torch training",
        edit(nn.BatchNorm1d, "_backward", "self.bias, dgamma", "self.bias, (dy_rows * rows).sum(0)"),
    ),
    Mutant(
        "BatchNorm1d: eps outside the root",
        nn.BatchNorm1d,
        "torch parity",
        edit_kernel("batch_norm_statistics", "np.sqrt(wide.var(axis=0) + eps)", "(np.sqrt(wide.var(axis=0)) + eps)"),
    ),
    Mutant(
        "BatchNorm1d: normalises with the unbiased variance",
        nn.BatchNorm1d,
        "torch parity",
        edit_kernel("batch_norm_statistics", "np.sqrt(wide.var(axis=0)", "np.sqrt(wide.var(axis=0, ddof=1)"),
    ),
    Mutant(
        "BatchNorm1d: tracks the biased variance",
        nn.BatchNorm1d,
        "torch parity",
        edit(nn.BatchNorm1d, "_batch_statistics", "M / (M - 1)", "1.0"),
    ),
    Mutant(
        "BatchNorm1d: momentum is the share that stays",
        nn.BatchNorm1d,
        "torch training",
        edit(nn.BatchNorm1d, "_count", "self.momentum or 0.0", "1 - self.momentum"),
    ),
    Mutant(
        "BatchNorm1d: the plain average counts one batch too few",
        nn.BatchNorm1d,
        "torch training",
        edit(
            nn.BatchNorm1d,
            "_count",
            "1 / int(self.num_batches_tracked)",
            "1 / max(1, int(self.num_batches_tracked) - 1)",
        ),
    ),
    Mutant(
        "BatchNorm1d: the batch's statistics in evaluation",
        nn.BatchNorm1d,
        "samples are independent",
        edit(nn.BatchNorm1d, "_forward", "fixed = to_rows(x, 1), self.fixed", "fixed = to_rows(x, 1), None"),
    ),
    Mutant(
        "BatchNorm1d: evaluation moves the running statistics",
        nn.BatchNorm1d,
        "evaluation leaves no trace",
        edit(
            nn.BatchNorm1d,
            "_forward",
            "else:\n",
            "else:\n        self.running_mean += 0.1 * (rows.mean(0) - self.running_mean)\n",
        ),
    ),
    Mutant(
        "BatchNorm1d: saves the running mean itself, which the next forward may move",
        nn.BatchNorm1d,
        "memory contract",
        edit(nn.BatchNorm1d, "_forward", "fixed[0].copy()", "fixed[0]"),
    ),
    Mutant(
        "BatchNorm1d: saved values in the layer",
        nn.BatchNorm1d,
        "pullbacks in any order",
        both(
            edit(
                nn.BatchNorm1d,
                "_forward",
                "(rows, mean, inv_std, fixed is None)",
                "setattr(self, '_kept', (rows, mean, inv_std, fixed is None))",
            ),
            edit(nn.BatchNorm1d, "_backward", "= saved", "= self._kept"),
        ),
    ),
]

LAYER_NORM = [
    Mutant(
        "LayerNorm: the mean of the whole batch",
        nn.LayerNorm,
        "samples are independent",
        edit_kernel("layer_norm_forward", "wide.mean(axis=1)", "wide.mean()"),
    ),
    Mutant(
        "LayerNorm: backward without the mean of g",
        nn.LayerNorm,
        "derivative",
        edit_kernel("layer_norm_backward", "- g.mean(axis=1, keepdims=True)", ""),
    ),
    Mutant(
        "LayerNorm: backward without the x̂ term",
        nn.LayerNorm,
        "derivative",
        edit_kernel("layer_norm_backward", "- x_hat * slope", ""),
    ),
    Mutant(
        "LayerNorm: the means of dy, not of γ dy",
        nn.LayerNorm,
        "derivative",
        edit_kernel("layer_norm_backward", "slope = (g *", "slope = (dy *"),
    ),
    Mutant(
        "LayerNorm: the default eps, whatever is asked for",
        nn.LayerNorm,
        "torch parity",
        edit(nn.LayerNorm, "_forward", "self.eps", "1e-5"),
    ),
    Mutant(
        "LayerNorm: γ and β in each other's place",
        nn.LayerNorm,
        "torch parity",
        edit(nn.LayerNorm, "_forward", "gamma, beta =", "beta, gamma ="),
    ),
    Mutant(
        "LayerNorm: no γ in evaluation",
        nn.LayerNorm,
        "evaluation differs only where declared",
        edit(nn.LayerNorm, "_forward", "affine(self.weight,", "affine(self.weight if self.training else None,"),
    ),
]

MUTANTS = [*BATCH_NORM, *LAYER_NORM]

"""Wrong containers."""

from minigrad import nn
from minigrad.nn import containers
from minigrad.nn.module import Module
from tests.mutants.mutant import Mutant, both, edit

MUTANTS = [
    Mutant(
        "Sequential: the backward from the first layer to the last",
        nn.Sequential,
        "derivative",
        edit(nn.Sequential, "_backward", "reversed(list(self)), reversed(saved)", "self, saved"),
    ),
    Mutant(
        "Sequential: without the input's gradient, none for the first layer",
        nn.Sequential,
        "without input gradient",
        edit(nn.Sequential, "_backward_parameters", "layers[first]._backward_parameters(saved[first], dy)", "pass"),
    ),
    Mutant(
        "Sequential: the saved values of the last forward, whichever is pulled back",
        nn.Sequential,
        "pullbacks in any order",
        both(
            edit(nn.Sequential, "_forward", "saves = []", "self._kept = saves = []"),
            edit(nn.Sequential, "_backward", "reversed(saved)", "reversed(self._kept)"),
        ),
    ),
    Mutant(
        "Sequential: BatchNorm inside is not told of evaluation",
        nn.Sequential,
        "torch parity",
        edit(Module, "train", "self.modules()", "[self]"),
    ),
    Mutant(
        "Sequential: a layer that is shared has its parameters twice",
        nn.Sequential,
        "torch parity",
        edit(Module, "named_parameters", "and id(value) not in seen", ""),
    ),
    Mutant(
        "Sum: the last branch's gradient alone",
        nn.Sum,
        "derivative",
        edit(nn.Sum, "_backward", "strict=True)])", "strict=True)][-1:])"),
    ),
    Mutant(
        "Sum: += on what the first branch returned, which the branch has saved",
        nn.Sum,
        "derivative",
        edit(containers, "_add_all", "reduce(np.add, arrays)", "reduce(lambda a, b: np.add(a, b, out=a), arrays)"),
    ),
    Mutant(
        "Sum: of one branch returns the branch's array",
        nn.Sum,
        "memory contract",
        edit(containers, "_add_all", "arrays[0].copy()", "arrays[0]"),
    ),
    Mutant(
        "Sum: the mean of the branches",
        nn.Sum,
        "torch parity",
        edit(nn.Sum, "_forward", "_add_all(self, outputs)", "_add_all(self, outputs) / len(outputs)"),
    ),
    Mutant(
        "Residual: no gradient of the shortcut",
        nn.Residual,
        "derivative",
        edit(nn.Residual, "_backward", ", self.shortcut._backward(shortcut_saved, dy)]", "]"),
    ),
    Mutant(
        "Residual: the body's gradient through the shortcut",
        nn.Residual,
        "derivative",
        edit(nn.Residual, "_backward", "self.shortcut._backward(shortcut_saved", "self.body._backward(body_saved"),
    ),
    Mutant(
        "Residual: += on what the body returned, which the body has saved",
        nn.Residual,
        "derivative",
        edit(nn.Residual, "_forward", "_add_all(self, [y, x])", "np.add(y, x, out=y)"),
    ),
    Mutant(
        "Residual: += on the cotangent",
        nn.Residual,
        "memory contract",
        edit(
            nn.Residual,
            "_backward",
            "_add_all(self, [self.body._backward(body_saved, dy), self.shortcut._backward(shortcut_saved, dy)])",
            "np.add(self.shortcut._backward(shortcut_saved, dy), self.body._backward(body_saved, dy), out=dy)",
        ),
    ),
    Mutant(
        "Concat: the cuts one place too far to the left",
        nn.Concat,
        "derivative",
        edit(nn.Concat, "_parts", "np.split(dy, ", "np.split(np.roll(dy, 1, self.axis), "),
    ),
    Mutant(
        "Concat: the first branch's gradient alone",
        nn.Concat,
        "derivative",
        edit(nn.Concat, "_backward", "strict=True)])", "strict=True)][:1])"),
    ),
]

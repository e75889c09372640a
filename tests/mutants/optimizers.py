"""Wrong optimizers."""

from minigrad import optim
from minigrad.optim import Optimizer
from minigrad.optim.flat import Block
from tests.mutants.mutant import Mutant, edit, edit_kernel

SGD = [
    Mutant(
        "SGD: no dampening",
        optim.SGD,
        "torch parity",
        edit_kernel("sgd_update", "(1 - dampening) * g", "g"),
    ),
    Mutant(
        "SGD: dampening in the first step too",
        optim.SGD,
        "torch parity",
        edit_kernel("sgd_update", "g if is_first else", ""),
    ),
    Mutant(
        "SGD: Nesterov's step without the gradient of now",
        optim.SGD,
        "torch parity",
        edit_kernel("sgd_update", "g + momentum * momentum_buffer", "(1 + momentum) * momentum_buffer"),
    ),
    Mutant(
        "SGD: maximize turns the sign of the penalties too",
        optim.SGD,
        "torch parity",
        edit_kernel(
            "sgd_update",
            "(-grad if maximize else grad) + _penalty(w, weight_decay, l1)",
            "(grad + _penalty(w, weight_decay, l1)) * (-1 if maximize else 1)",
        ),
    ),
    Mutant(
        "SGD: the penalty l1 w, not l1 sign(w)",
        optim.SGD,
        "l1 penalty",
        edit_kernel("sgd_update", "_penalty(w, weight_decay, l1)", "(weight_decay + l1) * w"),
    ),
    Mutant(
        "SGD: l1 pushes a weight away from 0",
        optim.SGD,
        "l1 penalty",
        edit_kernel("sgd_update", "_penalty(w, weight_decay, l1)", "(weight_decay * w + l1 * np.where(w < 0, -1, 1))"),
    ),
    Mutant(
        "SGD: no step where the gradient is 0",
        optim.SGD,
        "zero gradients",
        edit_kernel("sgd_update", "w -= lr * g", "w -= lr * g * (grad != 0)"),
    ),
    Mutant(
        "SGD: adds the penalties in the gradient's memory",
        optim.SGD,
        "gradients are only read",
        edit_kernel(
            "sgd_update",
            "g = (-grad if maximize else grad) + _penalty(w, weight_decay, l1)",
            "grad *= -1 if maximize else 1; grad += _penalty(w, weight_decay, l1); g = grad",
        ),
    ),
    Mutant(
        "SGD: multiplies by lr in the momentum's memory",
        optim.SGD,
        "torch parity",
        edit_kernel("sgd_update", "w -= lr * g", "g *= lr; w -= g"),
    ),
    Mutant(
        "SGD: begins anew with each state of PyTorch, which counts no steps",
        optim.SGD,
        "torch's state",
        edit(
            optim.SGD,
            "_update",
            'first = "momentum_buffer" not in block.state',
            "first = block.step == 0; block.step += 1",
        ),
    ),
]

ADAM = [
    Mutant(
        "Adam: no bias correction of the first moment",
        optim.Adam,
        "torch parity",
        edit_kernel("adam_update", "lr / (1 - beta1**step)", "lr"),
    ),
    Mutant(
        "Adam: no bias correction of the second moment",
        optim.Adam,
        "torch parity",
        edit_kernel("adam_update", " / (1 - beta2**step) ** 0.5", ""),
    ),
    Mutant(
        "Adam: ε inside the root",
        optim.Adam,
        "torch parity",
        edit_kernel(
            "adam_update",
            "np.sqrt(second) / (1 - beta2**step) ** 0.5 + eps",
            "np.sqrt(second / (1 - beta2**step) + eps)",
        ),
    ),
    Mutant(
        "Adam: ε before the bias correction",
        optim.Adam,
        "torch parity",
        edit_kernel(
            "adam_update",
            "np.sqrt(second) / (1 - beta2**step) ** 0.5 + eps",
            "(np.sqrt(second) + eps) / (1 - beta2**step) ** 0.5",
        ),
    ),
    Mutant(
        "Adam: β₁ and β₂ in each other's place",
        optim.Adam,
        "torch parity",
        edit_kernel("adam_update", "g, penalty =", "beta1, beta2 = beta2, beta1; g, penalty ="),
    ),
    Mutant(
        "Adam: amsgrad's maximum of corrected moments",
        optim.Adam,
        "torch parity",
        edit_kernel(
            "adam_update",
            "np.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)",
            "np.maximum(max_exp_avg_sq, exp_avg_sq / (1 - beta2**step), out=max_exp_avg_sq) * (1 - beta2**step)",
        ),
    ),
    Mutant(
        "Adam: counts two steps for one",
        optim.Adam,
        "torch parity",
        edit(optim.Adam, "_update", "block.step += 1", "block.step += 2"),
    ),
    Mutant(
        "Adam: the square of the gradient before the penalty",
        optim.Adam,
        "torch parity",
        edit_kernel("adam_update", "(1 - beta2) * g * g", "(1 - beta2) * grad * grad"),
    ),
    Mutant(
        "AdamW: the penalties go through the moments, as in Adam",
        optim.AdamW,
        "torch parity",
        edit_kernel("adam_update", "if decoupled:", "if False:"),
    ),
    Mutant(
        "AdamW: decay without the learning rate",
        optim.AdamW,
        "torch parity",
        edit_kernel("adam_update", "w -= lr * penalty", "w -= penalty"),
    ),
    Mutant(
        "AdamW: decay after the step, not before",
        optim.AdamW,
        "torch parity",
        edit_kernel(
            "adam_update",
            "** 0.5 + eps)",
            "** 0.5 + eps) + decoupled * lr * (_penalty(w, weight_decay, l1) - penalty)",
        ),
    ),
]

OTHERS = [
    Mutant(
        "RMSprop: ε inside the root",
        optim.RMSprop,
        "torch parity",
        edit_kernel("rmsprop_update", "np.sqrt(second) + eps", "np.sqrt(second + eps)"),
    ),
    Mutant(
        "RMSprop: v + a² where it is centered",
        optim.RMSprop,
        "torch parity",
        edit_kernel("rmsprop_update", "square_avg - grad_avg", "square_avg + grad_avg"),
    ),
    Mutant(
        "RMSprop: the momentum dampens",
        optim.RMSprop,
        "torch parity",
        edit_kernel("rmsprop_update", "momentum_buffer + g", "momentum_buffer + (1 - momentum) * g"),
    ),
    Mutant(
        "RMSprop: α is the share that is taken",
        optim.RMSprop,
        "torch parity",
        edit_kernel("rmsprop_update", "g = (-grad", "alpha = 1 - alpha; g = (-grad"),
    ),
    Mutant(
        "Adagrad: lr decays one step early",
        optim.Adagrad,
        "torch parity",
        edit_kernel("adagrad_update", "(step - 1)", "step"),
    ),
    Mutant(
        "Adagrad: the sum begins at 0, whatever is asked for",
        optim.Adagrad,
        "torch parity",
        edit(optim.Adagrad, "_update", 'fill=group["initial_accumulator_value"]', "fill=0.0"),
    ),
    Mutant(
        "Adagrad: divides by the sum's fourth root",
        optim.Adagrad,
        "torch parity",
        edit_kernel("adagrad_update", "np.sqrt(square_sum)", "np.sqrt(np.sqrt(square_sum))"),
    ),
]

# Of what all optimizers inherit, shown on one of them.
BASE = [
    Mutant(
        "Optimizer: the state is not saved",
        optim.RMSprop,
        "resume",
        edit(Block, "entries", "part[i].copy()", "0 * part[i]"),
    ),
    Mutant(
        "Optimizer: the state is not a copy",
        optim.RMSprop,
        "resume",
        edit(Block, "entries", "part[i].copy()", "part[i]"),
    ),
    Mutant(
        "Optimizer: the number of steps is not loaded",
        optim.Adam,
        "torch's state",
        edit(Block, "load", "self.step = _step(first)", "pass"),
    ),
    Mutant(
        "Optimizer: the first group's options for all",
        optim.SGD,
        "torch parity",
        edit(Optimizer, "step", "self._update(block, group)", "self._update(block, self.param_groups[0])"),
    ),
    Mutant(
        "Optimizer: clears the gradients of the first group alone",
        optim.SGD,
        "torch parity",
        edit(Optimizer, "zero_grad", "in self.param_groups", "in self.param_groups[:1]"),
    ),
    Mutant(
        "Optimizer: clears the gradients after a step",
        optim.SGD,
        "gradients are only read",
        edit(Optimizer, "step", "self._update(block, group)", "self._update(block, group); block.grad.fill(0)"),
    ),
]

MUTANTS = [*SGD, *ADAM, *OTHERS, *BASE]

"""Wrong in what all modules inherit, shown on a layer where it matters."""

from minigrad import nn
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.nn.recording import SavedStack
from tests.mutants.mutant import Mutant, edit

MUTANTS = [
    Mutant(
        "Module: an input is taken as it lies in memory",
        nn.Tanh,
        "any memory layout",
        edit(Module, "_input", "for_kernels(x)", "x"),
    ),
    Mutant(
        "Module: a cotangent is taken as it lies in memory",
        nn.Tanh,
        "any memory layout",
        edit(Module, "_pull", "for_kernels(dy)", "dy"),
    ),
    Mutant(
        "Module: without the input's gradient none at all",
        nn.PReLU,
        "without input gradient",
        edit(Module, "_backward_parameters", "self._backward(saved, dy)", "pass"),
    ),
    Mutant(
        "Module: the first saved value is the last one",
        nn.Tanh,
        "last in, first out",
        edit(SavedStack, "last", ".list[-1]", ".list[0]"),
    ),
    Mutant(
        "Module: no_grad keeps what the backward needs",
        nn.Tanh,
        "evaluation leaves no trace",
        edit(Module, "__call__", "if is_recording():", "if True:"),
    ),
    Mutant(
        "Module: the state is not a copy",
        nn.Linear,
        "state round trip",
        edit(Module, "state_dict", ".copy()", ""),
    ),
    Mutant(
        "Module: a state is loaded without the buffers",
        nn.BatchNorm1d,
        "state round trip",
        edit(Module, "load_state_dict", "else value for", "else value.copy() for"),
    ),
    Mutant(
        "Module: a copy takes the saved values along",
        nn.Linear,
        "deepcopy is independent",
        edit(SavedStack, "__reduce__", "SavedStack, ()", "(lambda: self), ()"),
    ),
    Mutant(
        "Module: the repr of a layer begins with its arguments",
        nn.Linear,
        "repr names the class",
        edit(Module, "__repr__", "{type(self).__name__}({self.extra_repr()})", "({self.extra_repr()})"),
    ),
    Mutant(
        "Module: to() converts the values and not the gradients",
        nn.Linear,
        "memory contract",
        edit(Module, "to", "value.grad.astype(dtype)", "value.grad"),
    ),
    Mutant(
        "Parameter: zero_grad clears nothing",
        nn.Linear,
        "torch training",
        edit(Parameter, "zero_grad", "self._is_cleared = True", "pass"),
    ),
    Mutant(
        "Parameter: a product is added to what zero_grad has cleared",
        nn.Linear,
        "torch training",
        edit(Parameter, "add_product", "np.matmul(a, b, out=self._grad)", "self._grad += a @ b"),
    ),
    Mutant(
        "Parameter: a product replaces the gradient",
        nn.Linear,
        "gradients add",
        edit(Parameter, "add_product", "self._grad += a @ b", "self._grad[...] = a @ b"),
    ),
]

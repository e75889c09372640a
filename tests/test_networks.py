"""Deep random networks against finite differences and PyTorch: outputs, gradients, and the weights after training."""

import copy
import dataclasses
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, assume, find, given, reject, settings
from hypothesis import strategies as st

from minigrad import nn, optim
from minigrad.gradcheck import KinkError, gradcheck
from tests.backend import once
from tests.cases import loss as targets
from tests.cases.network import Layer, Network, output_shape
from tests.discovery import classes_of
from tests.networks import VOCABULARY, flags, networks, options, tenths

Arrays = dict[str, np.ndarray]


def normal(shape: tuple[int, ...], dtype: Any = np.float64, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference, relative to the largest value or 1."""
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    return float(np.max(np.abs(ours - theirs), initial=0) / max(1.0, np.max(np.abs(theirs), initial=0)))


def assert_close(ours: Arrays, theirs: Arrays, bound: float) -> None:
    assert ours.keys() == theirs.keys()
    errors = {name: distance(ours[name], theirs[name]) for name in ours}
    wrong = {name: error for name, error in errors.items() if not error <= bound}
    assert not wrong


def gradients(module: nn.Module) -> Arrays:
    return {name: parameter.grad.copy() for name, parameter in module.named_parameters()}


def kinks(layer: Any) -> tuple[float, ...]:
    """Return where the derivative of a layer of either library jumps."""
    match type(layer).__name__:
        case "ReLU" | "LeakyReLU" | "PReLU" | "ELU" | "SELU":
            return (0.0,)
        case "Hardtanh" | "ReLU6":
            return layer.min_val, layer.max_val
        case "Hardswish":
            return -3.0, 3.0
        case "Softplus":
            return (layer.threshold / layer.beta,)
        case _:
            return ()


class Pair:
    """A network in both libraries, on the same values."""

    def __init__(self, network: Network, dtype: Any = np.float64) -> None:
        self.ours = network.module(dtype)
        self.theirs = network.twin(self.ours)
        self.rounding = network.rounding(dtype)
        self.from_kinks: tuple[list[np.ndarray], list[np.ndarray]] = [], []
        for layer in self.theirs.modules():
            layer.register_forward_hook(lambda layer, inputs, y: self._note(1, layer, inputs[0].detach().numpy()))

    def _note(self, library: int, layer: Any, x: np.ndarray) -> None:
        self.from_kinks[library].extend(x - kink for kink in kinks(layer))

    def forward(self, x: np.ndarray, tensor: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
        """Return both outputs. Reject an example where rounding alone puts a value on two sides of a kink."""
        self.from_kinks = [], []
        with nn.observe(self.ours, lambda path, layer, x, y: self._note(0, layer, x)):
            outputs = self.ours(x), self.theirs(tensor)
        for ours, theirs in zip(*self.from_kinks, strict=True):
            if (np.sign(ours) != np.sign(theirs)).any() and distance(ours, theirs) <= self.rounding:
                reject()
        return outputs

    def states(self) -> tuple[Arrays, Arrays]:
        return self.ours.state_dict(), {name: value.numpy() for name, value in self.theirs.state_dict().items()}


# ---------------------------------------------------------------------------------------------------- the strategy


def test_every_class_is_in_the_vocabulary() -> None:
    # PyTorch has no convolution that pads as TensorFlow does.
    assert {cls.__name__ for cls in classes_of(nn.Module)} == {*VOCABULARY, "Conv2dSame"}


@once
@pytest.mark.parametrize("kind", sorted(VOCABULARY))
def test_every_class_is_drawn(kind: str) -> None:
    def has_kind(network: Network) -> bool:
        return any(use.kind == kind for use in network.layer.uses())

    # The first that is found is enough: whatever the profile, it may look for long.
    until_found = settings(max_examples=1000, phases=[Phase.generate], database=None, deadline=None)
    assert find(networks(), has_kind, settings=until_found, random=Random(0))


def test_rounding_knows_what_is_normalised() -> None:
    """One feature a row has no variance: √eps alone divides it. Running statistics divide by what they are."""

    def network(*layers: Layer) -> Network:
        return Network(Layer(0, "Sequential", layers, {}), (5, 3, 1), False, 1)

    alone = Layer(1, "LayerNorm", ((1,),), {"eps": 1e-4, "elementwise_affine": False})
    largest = np.abs(network(alone).input()).max()
    assert network(alone).gain() == pytest.approx(largest / 1e-2)
    assert network(Layer(1, "BatchNorm1d", (3,), {"eps": 1e-4})).gain() < 2 * largest  # by the running variance
    assert network(alone).rounding(np.float64) == pytest.approx(16 * 2.0**-53 * 2 * largest * 100)
    assert network(alone, Layer(2, "LayerNorm", ((1,),), {"eps": 1e-20})).rounding(np.float64) <= 1e-10


# -------------------------------------------------------------------------------------------------- the properties


@given(networks(), st.sampled_from([np.float64, np.float32]))
def test_equals_torch(network: Network, dtype: Any) -> None:
    pair, x = Pair(network, dtype), network.input(dtype)
    tensor = torch.from_numpy(x.copy())
    tensor.requires_grad_(tensor.is_floating_point())
    y, expected = pair.forward(x, tensor)
    dy = normal(y.shape, dtype)
    dx = pair.ours.backward(dy)
    expected.backward(torch.from_numpy(dy))
    ours = gradients(pair.ours) | {"y": y}
    theirs = {name: parameter.grad.numpy() for name, parameter in pair.theirs.named_parameters()}
    theirs["y"] = expected.detach().numpy()
    if tensor.grad is not None:
        ours["dx"], theirs["dx"] = dx, tensor.grad.numpy()
    assert_close(ours, theirs, pair.rounding)
    assert_close(*pair.states(), pair.rounding)


@given(networks(most=10, padding=False))  # a padding row counts in the forward, and by definition gets no gradient
def test_backward_is_the_derivative(network: Network) -> None:
    try:
        gradcheck(network.module(), network.input())
    except KinkError:
        reject()


@given(networks(), st.permutations(range(3)))
def test_gradients_add_in_any_order(network: Network, order: list[int]) -> None:
    module, twin = network.module(), network.module()
    inputs = [network.input(number=number) for number in range(3)]
    cotangents, expected = [], []
    for number, x in enumerate(inputs):  # one after the other: what a layer kept of the last cannot matter
        cotangents.append(normal(twin(x).shape, seed=number))
        expected.append(twin.backward(cotangents[number]))
    pullbacks = [module.vjp(x)[1] for x in inputs]
    for number in order:
        np.testing.assert_array_equal(pullbacks[number](cotangents[number]), expected[number])
    once, rounding = gradients(module), network.rounding(np.float64)
    assert_close(once, gradients(twin), rounding)
    for number in order:
        pullbacks[number](cotangents[number], input_grad=False)
    assert_close(gradients(module), {name: 2 * dw for name, dw in once.items()}, rounding)


@given(networks())
def test_copies_are_the_same_function(network: Network) -> None:
    """Bit for bit, and apart: where two shared an array, a gradient would be there twice and statistics move twice."""
    module, x = network.module(), network.input()
    loaded = dataclasses.replace(network, seed=network.seed + 1).module()
    loaded.load_state_dict(module.state_dict())
    copies = [module, copy.deepcopy(module), loaded]
    outputs = [each(x) for each in copies]
    dy = normal(outputs[0].shape)
    results = [
        {"y": y, "dx": each.backward(dy)} | gradients(each) | {f"state of {k}": v for k, v in each.state_dict().items()}
        for each, y in zip(copies, outputs, strict=True)
    ]
    for result in results[1:]:
        assert_close(result, results[0], 0)


# -------------------------------------------------------------------------------------------------------- training

# Options of both libraries (minigrad's own l1: tests/test_optim.py). Where a true gradient is 0, as of a bias before a
# BatchNorm, each library finds rounding errors of its own, 1e-13 say, of which g / (√v + eps) makes ±1 with PyTorch's
# eps of 1e-8. With an eps of at least 0.1 they stay below 1e-12.
rates = st.sampled_from([0.001, 0.01, 0.1])
common = {"lr": rates, "weight_decay": tenths(0, 3), "maximize": flags}
epsilon = {"eps": tenths(1, 5)}
adam = options(**common, **epsilon, betas=st.tuples(tenths(0, 9), tenths(5, 9)), amsgrad=flags)
OPTIMIZERS = {
    "SGD": options(**common, momentum=tenths(0, 9), dampening=tenths(0, 9))
    | options(**common, momentum=tenths(1, 9), nesterov=st.just(True)),
    "Adam": adam,
    "AdamW": adam,
    "RMSprop": options(**common, **epsilon, alpha=tenths(5, 9), momentum=tenths(0, 9), centered=flags),
    "Adagrad": options(**common, **epsilon, lr_decay=tenths(0, 3), initial_accumulator_value=tenths(0, 5)),
}
# Options of a loss, and what draws its target.
LOSSES = {
    "CrossEntropyLoss": (options(label_smoothing=tenths(0, 9)), (targets.indices, targets.probabilities)),
    "NLLLoss": (options(), (targets.indices,)),
    "MSELoss": (options(), (targets.values,)),
    "L1Loss": (options(), (targets.values,)),
    "HuberLoss": (options(delta=tenths(1, 20)), (targets.values,)),
    "SmoothL1Loss": (options(beta=tenths(0, 20)), (targets.values,)),
    "BCEWithLogitsLoss": (options(), (targets.fractions,)),
}


@st.composite
def optimizers(draw: Any) -> tuple[str, dict[str, Any]]:
    """Draw the name and options of an optimizer."""
    name = draw(st.sampled_from(sorted(OPTIMIZERS)))
    return name, draw(OPTIMIZERS[name])


@st.composite
def losses(draw: Any) -> tuple[str, dict[str, Any], Any]:
    """Draw the name and options of a loss, and what draws its target."""
    name = draw(st.sampled_from(sorted(LOSSES)))
    drawn, kinds = LOSSES[name]
    return name, draw(drawn) | {"reduction": draw(st.sampled_from(["mean", "sum"]))}, draw(st.sampled_from(kinds))


def test_every_optimizer_and_loss_is_drawn() -> None:
    assert {cls.__name__ for cls in classes_of(optim.Optimizer)} == set(OPTIMIZERS)
    assert {cls.__name__ for cls in classes_of(nn.Loss)} == set(LOSSES)


@given(networks(), optimizers(), losses(), st.integers(3, 6))
def test_training_equals_torch(network: Network, optimizer: Any, loss: Any, steps: int) -> None:
    """Gradients are clipped to norm 1 on the way, so that no run diverges: that would amplify any rounding.

    Two gradients then differ by rounding, some 1e-15. A step makes at most lr / eps = 1 of that (lr for SGD), momentum
    ten times as much, and the curvature of the loss some more with every step: 1e-10 leaves a factor of 1e4 for it.
    """
    pair, x = Pair(network), network.input()
    assume(list(pair.ours.parameters()))
    name, drawn = optimizer
    ours = getattr(optim, name)(pair.ours.parameters(), **drawn)
    theirs = getattr(torch.optim, name)(pair.theirs.parameters(), **drawn)
    name, drawn, draw_target = loss
    our_loss, their_loss = getattr(nn, name)(**drawn), getattr(torch.nn, name)(**drawn)
    target = draw_target(np.random.default_rng(network.seed), output_shape(network.layer, network.shape))
    for _ in range(steps):
        y, expected = pair.forward(x, torch.from_numpy(x))
        our_loss(y, target)
        ours.zero_grad()
        pair.ours.backward(our_loss.backward(), input_grad=False)
        optim.clip_grad_norm_(pair.ours.parameters(), 1.0)
        ours.step()
        theirs.zero_grad()
        their_loss(expected, torch.from_numpy(target)).backward()
        torch.nn.utils.clip_grad_norm_(pair.theirs.parameters(), 1.0)
        theirs.step()
    assert_close(*pair.states(), 1e-10)

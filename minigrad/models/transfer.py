"""Transfer learning: another head on a model, a frozen rest, and learning rates that fall towards the input."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from minigrad import nn
from minigrad.nn.rng import generator

M = TypeVar("M", bound=nn.Module)


def replace_head(
    model: M,
    num_classes: int,
    hidden: Sequence[int] = (),
    *,
    dropout: float = 0.0,
    rng: np.random.Generator | int | None = None,
) -> M:
    """Put a new classifier in the place of the last Linear, as `model.fc = nn.Linear(...)` does; return the model.

    The new one is a Linear, or with hidden layers for each of them Linear, ReLU [Dropout], and a last Linear, in a
    Sequential at the same place (`fc.0.weight` in the state). It has the dtype and the mode of the old one, and is
    trained, whatever is frozen. An optimizer has to be made afterwards.

    Arguments:
        model: any whose last layer with parameters, wherever it lies, is a Linear.
        num_classes: outputs.
        hidden: units of each hidden layer.
        dropout: probability of a zero behind each hidden layer, in [0, 1]; 0 leaves the layers out.
        rng: generator or seed of the initial weights and the dropout masks.

    Raises:
        ValueError: for a model that ends otherwise, a size below 1, or a dropout without a hidden layer.

    >>> from minigrad.models import cnn
    >>> model = cnn(image_size=8, filters=[4]).requires_grad_(False)
    >>> replace_head(model, 3, hidden=[5], rng=0)[-1]
    Sequential(
      (0): Linear(64, 5, bias=True)
      (1): ReLU()
      (2): Linear(5, 3, bias=True)
    )
    """
    owners = [(name, module) for name, module in model.named_modules() if module.own_parameters()]
    name, last = owners[-1] if owners else ("", None)
    if not name or not isinstance(last, nn.Linear):
        ending = "no parameters" if last is None else f"{model.path_of(last)} as its last layer with parameters"
        raise ValueError(f"replace_head: want a Linear at the end, inside the model; it has {ending}")
    if dropout and not hidden:
        raise ValueError("replace_head: a dropout lies behind hidden layers, and there are none")
    rng = generator(rng)
    layers: list[nn.Module] = []
    sizes = [last.in_features, *hidden]
    for inputs, outputs in zip(sizes, hidden, strict=False):
        layers += [nn.Linear(inputs, outputs, rng=rng), nn.ReLU()]
        layers += [nn.Dropout(dropout, rng=rng)] if dropout else []
    linear = nn.Linear(sizes[-1], num_classes, rng=rng)
    head = nn.Sequential(*layers, linear) if layers else linear
    model.set_submodule(name, head.to(last.weight.dtype).train(last.training))
    return model


def freeze_backbone(model: M) -> M:
    """Freeze all but the head, which is trained, and return the model.

    The head is the last child that has parameters: `fc` of a ResNet, the last layer of a cnn or an mlp, or what
    `replace_head` has put there. What freezing means: see `Module.requires_grad_`, which also takes it back.

    Raises:
        ValueError: for a model that has nothing but a head.

    >>> from minigrad.models import resnet20
    >>> model = freeze_backbone(resnet20(rng=0))
    >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ['fc.weight', 'fc.bias']
    """
    head = _parts("freeze_backbone", model)[-1][1]
    model.requires_grad_(False)
    head.requires_grad_()
    return model


def head_name(model: nn.Module) -> str:
    """Return the name of the head, which `freeze_backbone` leaves, as it begins the keys of its state: `fc`."""
    return _parts("head_name", model)[-1][0]


def layer_groups(model: nn.Module, lr: float, decay: float) -> list[dict[str, Any]]:
    """Return groups for an optimizer: lr for the head, and for each part in front of it `decay` times the one behind.

    The parts are the model's children that have parameters: for a ResNet `fc`, `layer4`, ..., `bn1`, `conv1`.

    Arguments:
        model: any.
        lr: of the head, which is the first group.
        decay: in (0, 1].

    Raises:
        ValueError: for a decay out of range, or a model that has nothing but a head.

    >>> from minigrad.models import resnet20
    >>> [(group["name"], group["lr"]) for group in layer_groups(resnet20(rng=0), lr=0.8, decay=0.5)]
    [('fc', 0.8), ('layer3', 0.4), ('layer2', 0.2), ('layer1', 0.1), ('bn1', 0.05), ('conv1', 0.025)]
    """
    if not 0 < decay <= 1:
        raise ValueError(f"layer_groups: want a decay above 0 and at most 1, got {decay}")
    groups: list[dict[str, Any]] = []
    seen: set[int] = set()
    for k, (name, part) in enumerate(reversed(_parts("layer_groups", model))):
        parameters = [parameter for parameter in part.parameters() if id(parameter) not in seen]
        seen.update(map(id, parameters))
        groups.append({"name": name, "params": parameters, "lr": lr * decay**k})
    return groups


def _parts(function: str, model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the children that have parameters, by name; of a single one, its own."""
    parts = [(name, child) for name, child in model.named_children() if any(child.parameters())]
    if not parts:
        raise ValueError(
            f"{function}: want a model of two children or more that have parameters, got {type(model).__name__}"
        )
    if len(parts) == 1:
        ((prefix, only),) = parts
        return [(f"{prefix}.{name}", part) for name, part in _parts(function, only)]
    return parts

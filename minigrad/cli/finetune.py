"""`minigrad finetune`: its options. What it does with them is what `minigrad train` does, from weights on."""

import argparse
from pathlib import Path

from minigrad.cli import parser as kinds
from minigrad.cli.parser import Commands, Parser, add_command
from minigrad.cli.train import STRUCTURE, add_data, add_dataset, add_model, add_run, add_training, given, start
from minigrad.models import PRETRAINED

EXAMPLE = """\
examples:
  minigrad finetune fashion-mnist --weights runs/mnist --freeze --head-hidden 128 --out runs/head
  minigrad finetune fashion-mnist --weights runs/mnist --lr 1e-3 --lr-decay 0.5 --out runs/all
  minigrad finetune mnist --model resnet20 --weights resnet20.pth
  minigrad finetune fashion-mnist --model efficientnet_lite0 --weights imagenet --image-size 64 --freeze

The classifier at the end of the model is left out, and a new one is trained; with --freeze it alone is. What is frozen
costs no backward pass, and its BatchNorm layers keep their statistics. OUT is a folder as `minigrad train` writes it:
evaluate and predict take it, and so does finetune."""


def add(commands: Commands) -> None:
    """Add the command `finetune`."""
    what = "train a network further that has learnt from other images"
    parser = add_command(commands, "finetune", run, what, EXAMPLE)
    add_dataset(parser)
    _add_transfer(parser)
    group = parser.add_argument_group("model", "What a file of WEIGHTS is of. A run folder says it itself.")
    add_model(group, default=None)
    add_training(parser)
    add_data(parser)
    add_run(parser)


def _add_transfer(parser: Parser) -> None:
    group = parser.add_argument_group("transfer")
    group.add_argument(
        "--weights",
        required=True,
        metavar="WEIGHTS",
        help="what to begin with: folder of a run, file (.safetensors, or PyTorch's .pth, .pt), or name: "
        + ", ".join(f"{name} of {model}" for model, named in PRETRAINED.items() for name in named),
    )
    group.add_argument(
        "--image-size",
        type=kinds.pixels,
        metavar="PIXELS",
        help="height and width to which images are brought (default: those that the weights were made with, if "
        "that is known, or their own; smaller ones are faster)",
    )
    group.add_argument(
        "--head-hidden",
        nargs="*",
        type=kinds.count,
        default=[],
        metavar="UNITS",
        help="units of each hidden layer of the new classifier (default: no hidden layer)",
    )
    group.add_argument(
        "--head-dropout",
        type=kinds.below_one,
        default=0.0,
        metavar="P",
        help="share of units dropped behind each of them in training",
    )
    group.add_argument(
        "--freeze", action=argparse.BooleanOptionalAction, default=False, help="train the new classifier alone"
    )
    group.add_argument(
        "--lr-decay",
        type=kinds.share,
        default=1.0,
        metavar="FACTOR",
        help="of the learning rate, from each part of the model (as layer4 of a resnet) to the one in front of it",
    )


def run(args: argparse.Namespace) -> int:
    """Load, train, measure, write and say what came out."""
    if Path(args.weights).is_dir():
        for name in given(args, ("model", *STRUCTURE)):
            args.parser.error(f"argument {kinds.flag(name)}: {args.weights} says it itself")
    elif args.model is None:
        args.parser.error("argument --model: wanted where --weights is not the folder of a run")
    if args.head_dropout and not args.head_hidden:
        args.parser.error("argument --head-dropout: wants --head-hidden")
    from minigrad.cli.pretrained import pretrained_model

    return start(args, pretrained_model)

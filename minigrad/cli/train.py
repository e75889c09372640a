"""`minigrad train`: its options, and the order of what it does."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minigrad import optim
from minigrad.cli import parser as kinds
from minigrad.cli.parser import Commands, Parser, add_command
from minigrad.cli.recipes import RECIPES
from minigrad.cli.run_folder import MODELS
from minigrad.data import CATALOG
from minigrad.locks import writing_to
from minigrad.models import ACTIVATIONS

EXAMPLE = """\
example:
  minigrad train fashion-mnist --model mlp --hidden 512 256 --batch-norm --dropout 0.2 --label-smoothing 0.1 \\
    --optimizer adam --lr 1e-3 --weight-decay 1e-4 --epochs 20 --batch-size 64 --seed 0 --out runs/demo

The model of the epoch with the best accuracy on the validation images is kept; the test images are looked at once,
at the end. OUT then holds model.safetensors, config.json, history.json, metrics.json, curves.png and confusion.png.
Ctrl-C ends a run early and keeps its best model; the same command with --resume goes on with it."""

OPTIMIZERS: dict[str, type[optim.Optimizer]] = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
}
# Which models take the options of their structure.
STRUCTURE: dict[str, tuple[str, ...]] = {
    "hidden": ("mlp", "cnn"),
    "activation": ("mlp",),
    "batch_norm": ("mlp",),
    "dropout": ("mlp", "cnn", "vgg"),
    "filters": ("cnn", "vgg"),
    "kernel_size": ("cnn",),
}
WITH_MOMENTUM = ("sgd", "rmsprop")
SCHEDULES = ("constant", "cosine", "one-cycle", "step")
LEARNING_RATES = {"sgd": 0.1, "adagrad": 0.01}  # of the others: 0.001
# What does not change the result of a run, and is not part of its configuration.
ASIDE = ("run", "parser", "data", "out", "progress", "quiet", "resume")


def add(commands: Commands) -> None:
    """Add the command `train`."""
    parser = add_command(commands, "train", run, "train a network, and keep the best one", EXAMPLE)
    add_dataset(parser)
    parser.add_argument(
        "--recipe",
        choices=tuple(RECIPES),
        metavar="NAME",
        help="take the defaults of the options below from a recipe (see `minigrad recipes`)",
    )
    add_model(parser.add_argument_group("model"), default="mlp")
    add_training(parser)
    add_data(parser)
    add_run(parser)


def add_dataset(parser: Parser) -> None:
    """Add the argument that names the data set."""
    parser.add_argument("dataset", choices=tuple(CATALOG), metavar="DATASET", help=f"one of {', '.join(CATALOG)}")


def add_model(group: Any, default: str | None) -> None:
    """Add the options that say what the model is, --model and those of STRUCTURE, to a group of options."""
    yes_no = argparse.BooleanOptionalAction
    group.add_argument(
        "--model", choices=tuple(MODELS), default=default, metavar="NAME", help=f"one of {', '.join(MODELS)}"
    )
    group.add_argument(
        "--hidden",
        nargs="*",
        type=kinds.count,
        metavar="UNITS",
        help="units of each hidden layer of an mlp (default: 256), or at the end of a cnn (default: none); "
        "no number, no hidden layer",
    )
    group.add_argument(
        "--activation",
        choices=tuple(ACTIVATIONS),
        default="relu",
        metavar="NAME",
        help=f"after each hidden layer of an mlp: {', '.join(ACTIVATIONS)}",
    )
    group.add_argument("--batch-norm", action=yes_no, default=False, help="in an mlp, normalise before each activation")
    group.add_argument(
        "--dropout",
        type=kinds.below_one,
        default=0.0,
        metavar="P",
        help=f"share of units dropped in training ({', '.join(STRUCTURE['dropout'])})",
    )
    group.add_argument(
        "--filters",
        nargs="+",
        type=kinds.count,
        metavar="N",
        help="of each convolution of a cnn (default: 32 64), or pair of them of a vgg (default: 32 64 128)",
    )
    group.add_argument(
        "--kernel-size", type=kinds.count, default=3, metavar="N", help="of the convolutions of a cnn, in pixels a side"
    )


def add_training(parser: Parser) -> None:
    """Add the options that say how it is trained."""
    group = parser.add_argument_group("training")
    group.add_argument("--epochs", type=kinds.count, default=10, metavar="N", help="passes over the training images")
    group.add_argument("--batch-size", type=kinds.count, default=64, metavar="N", help="images in a step")
    group.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default="adam", help="rule of the steps")
    group.add_argument(
        "--lr", type=kinds.positive, metavar="RATE", help="learning rate (default: sgd 0.1, adagrad 0.01, others 0.001)"
    )
    group.add_argument(
        "--momentum", type=kinds.below_one, default=0.0, metavar="M", help=f"of {' and '.join(WITH_MOMENTUM)}"
    )
    group.add_argument(
        "--schedule",
        choices=SCHEDULES,
        default="constant",
        help="of the learning rate; one-cycle takes it as the highest one, step divides it by 10 twice",
    )
    group.add_argument(
        "--weight-decay",
        type=kinds.not_negative,
        default=0.0,
        metavar="W",
        help="L2 penalty; adam scales it with the gradient, adamw does not",
    )
    group.add_argument("--l1", type=kinds.not_negative, default=0.0, metavar="W", help="L1 penalty")
    group.add_argument(
        "--label-smoothing", type=kinds.below_one, default=0.0, metavar="S", help="share of a label spread over all"
    )
    group.add_argument("--clip-norm", type=kinds.positive, metavar="NORM", help="largest L2 norm of all gradients")
    group.add_argument(
        "--ema", type=kinds.below_one, metavar="DECAY", help="average the weights, keeping this share in each step"
    )
    group.add_argument(
        "--early-stopping", type=kinds.count, metavar="N", help="stop after N epochs without a better validation"
    )
    group.add_argument("--seed", type=kinds.seed, default=0, metavar="N", help="of everything that is random")


def add_data(parser: Parser) -> None:
    """Add the options that say on which images."""
    group = parser.add_argument_group("data")
    group.add_argument("--data", metavar="FOLDER", help="look for the data set here first")
    group.add_argument(
        "--validation",
        type=kinds.count_or_share,
        default=0.1,
        metavar="PART",
        help="training images set aside to choose the model by: a number, or a share below 1",
    )
    group.add_argument(
        "--normalize",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="bring pixels to mean 0 and deviation 1 (otherwise they are between 0 and 1)",
    )
    group.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="change the training images at random in each epoch, as suits the data set (digits are not mirrored)",
    )
    group.add_argument(
        "--limit", type=kinds.count, metavar="N", help="use only N training images, and as small a part of the others"
    )


def add_run(parser: Parser) -> None:
    """Add the options that do not change what comes out."""
    group = parser.add_argument_group("run")
    group.add_argument("--out", metavar="FOLDER", help="where to write (default: runs/DATASET)")
    group.add_argument("--resume", action="store_true", help="go on with the interrupted run in OUT")
    group.add_argument("--eager", action="store_true", help="train layer by layer, not with compiled steps")
    group.add_argument("--no-progress", dest="progress", action="store_false", help="say nothing before the end")
    group.add_argument("--quiet", "-q", action="store_true", help="say nothing but errors")


def run(args: argparse.Namespace) -> int:
    """Train, measure, write and say what came out."""
    from minigrad.cli.training import new_model

    return start(args, new_model)


def start(args: argparse.Namespace, begin: Any) -> int:
    """Do it with the model that `begin` makes: see `training.train`."""
    check(args)
    from minigrad.cli import training
    from minigrad.train.callbacks import require_writable

    out = Path(args.out or f"runs/{args.dataset}")
    options = {name: value for name, value in vars(args).items() if name not in ASIDE}
    options["lr"] = args.lr or LEARNING_RATES.get(args.optimizer, 1e-3)
    show = (lambda text: None) if args.quiet else print
    progress = args.progress and not args.quiet
    require_writable(out, "--out")
    with writing_to(out):
        training.train(options, out, args.data, begin, resume=args.resume, show=show, progress=progress)
    return 0


def given(args: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Return those of the options that have another value than their default."""
    return [name for name in names if getattr(args, name) != args.parser.get_default(name)]


def check(args: argparse.Namespace) -> None:
    """Exit where options contradict each other."""
    for name in given(args, STRUCTURE):
        if args.model not in STRUCTURE[name]:
            args.parser.error(f"argument {kinds.flag(name)}: of {', '.join(STRUCTURE[name])}, not of {args.model}")
    if args.momentum and args.optimizer not in WITH_MOMENTUM:
        args.parser.error(f"argument --momentum: {args.optimizer} has none, only {' and '.join(WITH_MOMENTUM)}")
    if args.augment and CATALOG[args.dataset].augmentation is None:
        args.parser.error(f"argument --augment: it is not known what the images of {args.dataset} may go through")
    if args.batch_norm and args.batch_size == 1:
        args.parser.error("argument --batch-norm: cannot normalise over batches of one image")

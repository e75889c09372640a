"""`minigrad predict`: what the model of a run sees in images."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from minigrad.cli import parser as kinds
from minigrad.cli.parser import Commands, add_command

EXAMPLE = """\
example: minigrad predict runs/demo shoe.jpg drawing.png t10k-images-idx3-ubyte.gz --top 3

An image (PNG, JPEG, ...; needs Pillow) is made grey and brought to the size of the model's images. The models of
MNIST and Fashion-MNIST know things that are light on a dark ground: for others say --invert. Arrays (.npy) hold bytes,
or floats from 0 to 1."""


def add(commands: Commands) -> None:
    """Add the command `predict`."""
    parser = add_command(commands, "predict", run, "say what the model of a run sees in images", EXAMPLE)
    parser.add_argument("run_folder", metavar="RUN_FOLDER", help="folder that `minigrad train` wrote")
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="an image, an IDX file (.gz too), or a .npy file; - is standard input"
    )
    parser.add_argument("--top", type=kinds.count, default=1, metavar="K", help="name the K most probable classes")
    parser.add_argument("--invert", action="store_true", help="the images are dark on a light ground")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print a line for each image: where it is from, and the most probable classes."""
    from minigrad.cli.images import read_images
    from minigrad.cli.measure import probabilities
    from minigrad.cli.run_folder import load_run

    config, model = load_run(args.run_folder)
    found = []
    for file in args.files:
        rows = probabilities(config, model, read_images(file, config.shape, args.invert)).tolist()
        found += [
            {"file": file, "index": index, "classes": most_probable(config.classes, row, args.top)}
            for index, row in enumerate(rows)
        ]
    print(json.dumps(found) if args.json else _as_text(found))
    return 0


def most_probable(classes: Sequence[str], probabilities: Sequence[float], top: int) -> list[dict[str, Any]]:
    """Return the `top` most probable classes, the most probable one first.

    >>> most_probable(["bag", "shoe"], [0.25, 0.75], 1)
    [{'class': 'shoe', 'label': 1, 'probability': 0.75}]
    """
    order = sorted(range(len(classes)), key=lambda k: -probabilities[k])
    return [{"class": classes[k], "label": k, "probability": probabilities[k]} for k in order[:top]]


def _as_text(found: list[dict[str, Any]]) -> str:
    names = [f"{image['file']}[{image['index']}]" for image in found]
    width = max(map(len, names))
    lines = [
        "  ".join([f"{name:{width}}", *(f"{best['class']} {best['probability']:.1%}" for best in image["classes"])])
        for name, image in zip(names, found, strict=True)
    ]
    return "\n".join(lines)

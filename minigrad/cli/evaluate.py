"""`minigrad evaluate`: how good the model of a run is."""

import argparse
import json

from minigrad.cli.parser import Commands, add_command

EXAMPLE = "example: minigrad evaluate runs/demo --split validation"
SPLITS = ("test", "validation", "train")


def add(commands: Commands) -> None:
    """Add the command `evaluate`."""
    parser = add_command(commands, "evaluate", run, "measure the model of a run on its data", EXAMPLE)
    parser.add_argument("run_folder", metavar="RUN_FOLDER", help="folder that `minigrad train` wrote")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which images, as in training")
    parser.add_argument("--data", metavar="FOLDER", help="look for the data set here first")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print loss and accuracy."""
    from minigrad.cli.measure import measure
    from minigrad.cli.run_folder import load_parts, load_run

    config, model = load_run(args.run_folder)
    measured = measure(config, model, getattr(load_parts(config.options, args.data), args.split))
    if args.json:
        print(json.dumps({"run": args.run_folder, "dataset": config.dataset, "split": args.split} | measured.summary()))
        return 0
    smoothing = config.options["label_smoothing"]
    print(f"{args.run_folder} on {measured.images:,} {args.split} images of {config.dataset}")
    print(f"loss      {measured.loss:.4f}" + (f"  (with label smoothing {smoothing})" if smoothing else ""))
    print(f"accuracy  {measured.accuracy:.2%}")
    return 0

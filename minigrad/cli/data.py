"""`minigrad data`: obtaining data sets, checking them, finding them."""

import argparse

from minigrad.cli.parser import Commands, add_command
from minigrad.data import CATALOG, DatasetError, fetch, find, verify, where


def add(commands: Commands) -> None:
    """Add the command `data`."""
    parser = commands.add_parser("data", help="obtain, check or find data sets", description="Data sets.")
    actions = parser.add_subparsers(metavar="ACTION", required=True, title="actions")
    names = f"one of {', '.join(CATALOG)}"
    fetching = add_command(actions, "fetch", run_fetch, "download a data set, unless it is there, and check it")
    fetching.add_argument("name", choices=tuple(CATALOG), metavar="NAME", help=names)
    fetching.add_argument("--to", metavar="FOLDER", help="where to put it (default: the user's cache)")
    verifying = add_command(actions, "verify", run_verify, "check the content of data sets")
    verifying.add_argument(
        "name", nargs="?", metavar="NAME", help=f"{names}, or a folder (default: all that are found)"
    )
    finding = add_command(actions, "where", run_where, "say where data sets are looked for and found")
    finding.add_argument("name", nargs="?", choices=tuple(CATALOG), metavar="NAME", help=f"{names} (default: all)")


def run_fetch(args: argparse.Namespace) -> int:
    """Download a data set."""
    print(f"{args.name} is in {fetch(args.name, args.to)}")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Print what each file is; the code is 1 if one is not right."""
    names = [args.name] if args.name else [name for name in CATALOG if find(name)]
    if not names:
        raise DatasetError("no data set was found; `minigrad data where` says where they are looked for")
    checks = [check for name in names for check in verify(name)]
    for check in checks:
        print(f"{'ok   ' if check.ok else 'WRONG'}  {check.dataset}  {check.path if check.ok else check.problem}")
    return 0 if all(check.ok for check in checks) else 1


def run_where(args: argparse.Namespace) -> int:
    """Print all places in order, and which is taken."""
    for name in [args.name] if args.name else CATALOG:
        print(name)
        taken = find(name)
        for place, is_there in where(name):
            mark = "taken" if place.folder == taken else "found" if is_there else "-"
            print(f"  {mark:5}  {place}")
    return 0

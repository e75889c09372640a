"""`minigrad warmup`: compiling all kernels before they are needed."""

import argparse
import sys
from time import perf_counter

from minigrad.cli.parser import Commands, add_command


def add(commands: Commands) -> None:
    """Add the command `warmup`."""
    what = "compile all kernels now, once on this machine, instead of each when it is first needed"
    parser = add_command(commands, "warmup", run, what)
    parser.add_argument("--all", action="store_true", help="for float64 too, not only for float32")
    parser.add_argument("--quiet", "-q", action="store_true", help="say nothing but errors")


def run(args: argparse.Namespace) -> int:
    """Compile, showing a bar, and say how many there were and how long it took."""
    from minigrad import engine
    from minigrad.cli.errors import CommandError
    from minigrad.engine.warmup import tasks
    from minigrad.files import user_cache
    from minigrad.kernels.compiling import listening

    if engine.why_nothing():
        raise CommandError(f"there is nothing to compile: {engine.why_nothing()}")
    from rich.console import Console
    from rich.progress import Progress

    compiled: list[str] = []
    start = perf_counter()
    work = [(task, dtype) for dtype in ("float32", "float64")[: 1 + args.all] for task in tasks()]
    console = Console(quiet=args.quiet or not sys.stdout.isatty())
    with listening(compiled.append), Progress(console=console, transient=True) as bar:
        for task, dtype in bar.track(work, description="compiling"):
            task.run(dtype)
    if not args.quiet:
        seconds = perf_counter() - start
        print(f"{len(compiled)} kernels compiled in {seconds:.1f} s; they are kept in {user_cache()}")
    return 0

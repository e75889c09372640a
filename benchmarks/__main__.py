"""The benchmark suite: measure, and print the tables that `python -m benchmarks.report` puts into the README.

    python -m benchmarks [--only PART ...] [--rounds 7]

Every part writes one JSON file to benchmarks/results. Nothing else may run on the machine meanwhile.
"""

import argparse
import time

from benchmarks import plots, report
from benchmarks.harness import write
from benchmarks.parts import PARTS


def main() -> None:
    """Measure, write, print, draw; then fill the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="PART", nargs="+", choices=PARTS, default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    for name in options.only:
        start = time.monotonic()
        result = write(name, PARTS[name].measure(options.rounds))
        print(f"\n{PARTS[name].table(result)}\n\n{name}: {time.monotonic() - start:.0f} s\n", flush=True)
    plots.draw()
    report.main([])


if __name__ == "__main__":
    main()

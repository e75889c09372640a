"""`python -m tests.mutants` prints which checks catch each mutant; the exit code is 1 if one survives."""

import sys

from tests.mutants import MUTANTS, catchers


def main() -> int:
    """Print the report."""
    width = max(len(mutant.name) for mutant in MUTANTS)
    survivors = []
    for mutant in MUTANTS:
        caught_by = catchers(mutant)
        verdict = "" if mutant.caught_by in caught_by else f" -- SURVIVES {mutant.caught_by!r}"
        print(f"{mutant.name:{width}}  {', '.join(caught_by)}{verdict}", flush=True)
        survivors += [mutant.name] if verdict else []
    print(f"{len(MUTANTS) - len(survivors)} of {len(MUTANTS)} mutants are caught")
    return int(bool(survivors))


if __name__ == "__main__":
    sys.exit(main())

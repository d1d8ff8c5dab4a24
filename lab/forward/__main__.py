"""Run the parts that are named: `python -m lab forward [sdk] [faults] [cost] [table]`.

All that measure by default; `table` puts what `faults` measured last into docs/forwarding.md.
"""

import subprocess
import sys

_MEASURING = ("sdk", "faults", "cost")
_PARTS = (*_MEASURING, "table")


def main() -> None:
    """Run them one after the other; each writes its figures to results/."""
    names = sys.argv[1:] or _MEASURING
    if unknown := set(names) - set(_PARTS):
        sys.exit(f"no such part: {', '.join(unknown)}")
    command = (sys.executable, "-m")
    missed = [
        name
        for name in names
        if subprocess.run((*command, f"lab.forward.{name}"), check=False).returncode
    ]
    if missed:
        sys.exit(f"limits were missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()

"""Run the parts that are named, all by default: `python -m lab forward [sdk] [faults] [cost]`."""

import subprocess
import sys

_PARTS = ("sdk", "faults", "cost")


def main() -> None:
    """Run them one after the other; each writes its figures to results/."""
    names = sys.argv[1:] or _PARTS
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

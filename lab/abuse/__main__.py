"""Run the measurements one after the other, then print their figures as a table in Markdown."""

import argparse
import json
import subprocess
import sys

from lab.abuse.exporter import RESULTS

_BRIEF = ("slow", "strangers", "cardinality", "overload", "timing")
_ALL = (*_BRIEF, "leak")


def table() -> str:
    """Return the figures of results/ in Markdown."""
    lines = ["| abuse | measured | promised |", "| --- | --- | --- |"]
    for name in _ALL:
        file = RESULTS / f"{name}.json"
        if file.exists():
            result = json.loads(file.read_text())
            machine = result["machine"]
            lines.append(
                f"| **{result['title']}** | *{machine['seconds']} s, "
                f"{machine['busy_share']:.0%} of {machine['processors']} cores busy* | |"
            )
            for row in result["rows"]:
                mark = "" if row["met"] else " **missed**"
                lines.append(f"| {row['what']} | {row['measured']}{mark} | {row['limit']} |")
    return "\n".join(lines)


def main() -> None:
    """Run those that are named, all but the leak check by default; `--table` runs none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(_ALL))
    parser.add_argument("--table", action="store_true", help="print what was measured before")
    options = parser.parse_args()
    missed = [
        name
        for name in (() if options.table else options.names or _BRIEF)
        if subprocess.run([sys.executable, "-m", f"lab.abuse.{name}"], check=False).returncode
    ]
    print(table())
    if missed:
        sys.exit(f"limits were missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()

"""`python -m dashboards.generator`: write the dashboards beside this package."""

import argparse
import json
from pathlib import Path

from dashboards.generator import exporter, failures, outcomes
from dashboards.generator.colour import Json

DIRECTORY = Path(__file__).resolve().parents[1]


def dashboards() -> dict[str, str]:
    """Return the text of each dashboard by the name of its file."""
    built = (outcomes.dashboard(), failures.dashboard(), exporter.dashboard())
    return {f"{dashboard['uid']}.json": _text(dashboard) for dashboard in built}


def _text(dashboard: Json) -> str:
    return json.dumps(dashboard, indent=2) + "\n"


def main() -> None:
    """Write them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=DIRECTORY, help="directory (%(default)s)")
    options = parser.parse_args()
    for name, text in dashboards().items():
        (options.output / name).write_text(text)


if __name__ == "__main__":
    main()

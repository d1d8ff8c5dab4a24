"""The documents: their links lead somewhere, and the commands by which data are saved save them."""

import random
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from testkit.calls import counted, ended_call, expected
from testkit.exporter import StartExporter

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "deploy/**/*.md", "alerts/**/*.md", "dashboards/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
LONGEST_README = 150  # lines


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings, for links to end in."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_what_is_there(document: Path) -> None:
    """Every link to a file names one of the tree, and a part of it one of its headings."""
    for link in LINK.findall(document.read_text()):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, part = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not part or part in anchors(target), link


def test_the_readme_is_short() -> None:
    """The README fits on a few screens; the rest is in docs/."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= LONGEST_README


def commands(heading: str) -> list[list[str]]:
    """The shell commands of a part of docs/operate.md."""
    text = (ROOT / "docs" / "operate.md").read_text()
    part = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_backups_have_every_call(exporter: StartExporter) -> None:
    """A copy of the stopped ledger, and one that SQLite made meanwhile, have the counters."""
    copied, by_sqlite = commands("Back up and move")
    dice = random.Random(7)
    calls = [ended_call(dice) for _ in range(20)]
    running = exporter()
    for call in calls:
        assert running.send(call).status == 204
    home = running.process.stdout.parent
    subprocess.run(by_sqlite, cwd=home, check=True)
    running.stop()
    subprocess.run(copied, cwd=home, check=True)
    for name in ("ledger-copy", "ledger-copy.sqlite3"):
        place = home.parent / f"of {name}" / "data"
        if (home / name).is_dir():
            shutil.copytree(home / name, place)
        else:
            place.mkdir(parents=True)
            shutil.copy(home / name, place / "ledger.sqlite3")
        again = exporter(name=place.parent.name)
        assert counted(again.metrics()) == expected(calls)
        assert again.send(calls[0]).status == 204
        assert counted(again.metrics()) == expected(calls)

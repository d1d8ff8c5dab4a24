"""CONTRIBUTING.md leads to files that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "bandwidth_voice_exporter"
WHOLE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
TEXT = WHOLE.partition("## Where things are")[2].partition("\n## ")[0]
FILES = re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:\.[a-z]+|/))`", TEXT)


def test_every_file_that_it_names_is_there() -> None:
    """A file or folder is named from the package or from the repository's root on."""
    assert len(FILES) > 30
    assert [
        name for name in FILES if not ((PACKAGE / name).exists() or (ROOT / name).exists())
    ] == []


def test_each_way_has_at_most_ten_hops() -> None:
    """The ways of a delivery, a scrape and a restart are short enough to follow."""
    hops = [int(number) for number in re.findall(r"^(\d+)\. `", TEXT, re.MULTILINE)]
    assert hops.count(1) == 3
    assert max(hops) <= 10
    assert all(
        f"`{room}/" in TEXT for room in ("http", "webhook", "voice", "ledger", "metrics", "ops")
    )

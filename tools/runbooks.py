"""Render each runbook into the HTML that the exporter's pages show: it needs no renderer then."""

import re
from pathlib import Path

from markdown_it import MarkdownIt

DIRECTORY = Path(__file__).resolve().parents[1] / "src" / "bandwidth_voice_exporter" / "runbooks"

_REFERENCE = re.compile(r'(<a href="[A-Za-z]+)\.md"')
_FAILURES = re.compile(r"<code>http://EXPORTER:\d+/(failures[^<]*)</code>")


def rendered(text: str) -> str:
    """Return a runbook as HTML; it refers to others, and to the failures, as pages beside it."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    body = _FAILURES.sub(r'<a href="../\1">\g<0></a>', _REFERENCE.sub(r'\1"', body))
    return body.replace("<pre>", '<pre tabindex="0">')  # what scrolls is reached by keyboard


def main() -> None:
    """Write them all beside their sources."""
    for old in DIRECTORY.glob("*.html"):
        old.unlink()
    for source in DIRECTORY.glob("*.md"):
        source.with_suffix(".html").write_text(rendered(source.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()

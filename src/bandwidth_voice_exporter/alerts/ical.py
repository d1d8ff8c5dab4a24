"""The dates of an iCalendar file (RFC 5545) of whole days."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

_EVENT = re.compile(r"^BEGIN:VEVENT$(.*?)^END:VEVENT$", re.MULTILINE | re.DOTALL)
_DATE = r"^{}(?:;VALUE=DATE)?:(\d{{8}})$"
_BEGIN, _END = (re.compile(_DATE.format(name), re.MULTILINE) for name in ("DTSTART", "DTEND"))


def days(file: Path) -> tuple[date, ...]:
    """Read the days of all events; raises ValueError for events that repeat or have hours."""
    text = file.read_text("utf-8").replace("\r\n", "\n").replace("\n ", "")
    return tuple(sorted({day for event in _EVENT.findall(text) for day in _of_event(event, file)}))


def _of_event(event: str, file: Path) -> Iterator[date]:
    begin, end = _BEGIN.search(event), _END.search(event)
    if begin is None or "\nRRULE" in event:
        raise ValueError(f"{file}: an event is no whole day, or repeats: {event.strip()}")
    first = _date(begin[1])
    # The end is the first day that is open again.
    after = _date(end[1]) if end else first + timedelta(days=1)
    for number in range((after - first).days):
        yield first + timedelta(days=number)


def _date(text: str) -> date:
    return date.fromisoformat(text)

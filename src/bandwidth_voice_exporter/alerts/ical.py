"""The dates of an iCalendar file (RFC 5545) of whole days.

An event that is not of whole days is refused by its name and its file: days that went missing
without a word would be pages on a holiday.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import msgspec

_FOLD = re.compile(rb"(?:\r\n|\r|\n)[ \t]")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_TEXT = r'(?:"[^"]*"|[^";:])*'
_LINE = re.compile(rf"([\w-]+)((?:;[\w-]+={_TEXT})*):(.*)", re.DOTALL)
_PARAMETER = re.compile(rf";([\w-]+)=({_TEXT})")
_DATE = re.compile(r"[0-9]{8}")
_DURATION = re.compile(r"\+?P([0-9]{1,3})([DW])")
_REPEATS = ("RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID")
_MOST_DAYS = 366  # more in one event are a slip of the pen


class _Line(msgspec.Struct, frozen=True):
    """A property; its name and its parameters' names and values are in upper case."""

    name: str
    parameters: Mapping[str, str]
    value: str


def days(file: Path) -> tuple[date, ...]:
    """Read the days of all events; raises ValueError for what are no whole days, OSError."""
    try:
        # A fold may be within a character.
        text = _FOLD.sub(b"", file.read_bytes()).decode("utf-8-sig")
        return tuple(sorted({day for event in _all_of(text) for day in _of_event(event)}))
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: it is not in UTF-8: save it so ({error})") from error
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _all_of(text: str) -> tuple[tuple[_Line, ...], ...]:
    events = tuple(_events(text))
    if not events:
        raise ValueError("there is no event (VEVENT) in it")
    return events


def _events(text: str) -> Iterator[tuple[_Line, ...]]:
    """Yield the properties of each event, without those of what is within it, such as alarms."""
    within: list[str] = []
    event: list[_Line] = []
    for line in map(_read, filter(str.strip, _NEWLINE.split(text))):
        kind = line.value.strip().upper()
        if not within and (line.name, kind) != ("BEGIN", "VCALENDAR"):
            raise ValueError("it is no iCalendar file, which begins with BEGIN:VCALENDAR")
        if line.name == "BEGIN":
            within.append(kind)
            event = [] if kind == "VEVENT" else event
        elif line.name == "END":
            if within.pop() != kind:
                raise ValueError(f"END:{kind} ends what has not begun{_behind(event)}")
            if kind == "VEVENT":
                yield tuple(event)
        elif within[-1] == "VEVENT":
            event.append(line)
    if within:
        raise ValueError(f"it is cut off: END:{within[-1]} is missing{_behind(event)}")


def _read(line: str) -> _Line:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(f"it is no iCalendar file of lines NAME:VALUE: {line[:80]!r}")
    parameters = {
        name.upper(): value.strip('"').upper() for name, value in _PARAMETER.findall(found[2])
    }
    return _Line(found[1].upper(), parameters, found[3])


def _behind(event: list[_Line]) -> str:
    return f", after the event {_called(tuple(event))}" if event else ""


def _called(event: tuple[_Line, ...]) -> str:
    """Return what people know an event by."""
    told = {line.name: line.value for line in reversed(event)}
    return repr(told.get("SUMMARY") or told.get("DTSTART") or told.get("UID") or "without a name")


def _of_event(event: tuple[_Line, ...]) -> Iterator[date]:
    if any(line.name == "STATUS" and line.value.strip().upper() == "CANCELLED" for line in event):
        return
    try:
        first, number = _span(event)
        yield from (first + timedelta(days=day) for day in range(number))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"the event {_called(event)}: {error}") from error


def _span(event: tuple[_Line, ...]) -> tuple[date, int]:
    """Return the first day of an event, and how many days it has."""
    told: dict[str, _Line] = {}
    for line in event:
        if line.name in _REPEATS:
            raise ValueError(f"it repeats ({line.name}): write an event for each time")
        if line.name in {"DTSTART", "DTEND", "DURATION"} and line.name in told:
            raise ValueError(f"it has {line.name} twice")
        told[line.name] = line
    if "DTSTART" not in told:
        raise ValueError("it has no DTSTART, such as DTSTART;VALUE=DATE:20261225")
    first = _date(told["DTSTART"])
    if "DTEND" in told and "DURATION" in told:
        raise ValueError("it has both DTEND and DURATION: leave one of them out")
    number = 1
    if "DURATION" in told:
        number = _duration(told["DURATION"].value.strip())
    elif "DTEND" in told:
        # The end is the first day that is open again.
        number = (_date(told["DTEND"]) - first).days
        if number < 1:
            raise ValueError(
                f"DTEND, {told['DTEND'].value.strip()}, is the first day that is open again, "
                f"and not after DTSTART, {told['DTSTART'].value.strip()}"
            )
    if number > _MOST_DAYS:
        raise ValueError(f"it has {number} days, which is more than a year")
    return first, number


def _date(line: _Line) -> date:
    value = line.value.strip()
    if not _DATE.fullmatch(value) or line.parameters.get("VALUE", "DATE") != "DATE":
        raise ValueError(f"{line.name}, {value}, is no whole day, such as 20261225")
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{line.name}, {value}, is no date: {error}") from error


def _duration(value: str) -> int:
    found = _DURATION.fullmatch(value.upper())
    number = int(found[1]) * {"D": 1, "W": 7}[found[2]] if found else 0
    if not number:
        raise ValueError(f"DURATION, {value}, is no number of whole days or weeks, such as P3D")
    return number

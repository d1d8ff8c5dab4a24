"""How times, durations and numbers are written for people. All times are UTC."""

import re
from datetime import UTC, datetime, timedelta

from bandwidth_voice_exporter.voice import SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400  # seconds
_UNITS = (("day", _DAY), ("hour", _HOUR), ("minute", _MINUTE), ("second", 1))


def natural(name: str) -> tuple[list[str | int], str]:
    """Return by what names are sorted as a person does it: app4 comes before app10."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], name


def iso(micros: int | None) -> str:
    """Return a time as ISO 8601 in milliseconds; nothing where there is none."""
    if micros is None:
        return ""
    try:
        moment = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day(micros: int) -> str:
    """Return the date of a time."""
    return iso(micros)[:10]


def clock(micros: int) -> str:
    """Return the time of day, to the second."""
    return iso(micros)[11:19]


def age(micros: int) -> str:
    """Return a span as its largest unit: 12 seconds, 3 minutes."""
    seconds = max(0, micros // SECOND)
    for unit, size in _UNITS:
        if seconds >= size or size == 1:
            return f"{seconds // size} {unit}{'' if seconds // size == 1 else 's'}"
    raise AssertionError("a second is the smallest unit")


def span(micros: int | None) -> str:
    """Return a duration: 0.4 s, 28.3 s, 2:05 min, 1:02:05 h."""
    if micros is None:
        return ""
    seconds = micros / SECOND
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def number(value: float) -> str:
    """Return a whole number with its thousands apart."""
    return f"{int(value):,}"


def many(value: float, what: str) -> str:
    """Return a number of things: 1 call, 2 calls, 3 deliveries."""
    if value == 1:
        return f"1 {what}"
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number(value)} {plural}"


def size(value: float) -> str:
    """Return a number of bytes."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{int(value)} B"


def share(part: int, whole: int) -> str:
    """Return a part in percent."""
    return f"{100 * part / whole:.1f} %" if whole else ""

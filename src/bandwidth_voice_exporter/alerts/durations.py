"""Durations as Prometheus writes them, and dividing those of an expression."""

import re

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"(\d+)(ms|[smhdw])")
_DURATION = r"(?:\d+(?:ms|[smhdw]))+"
# A range, an offset, the step of a subquery: nowhere else does PromQL have a duration.
_PLACE = re.compile(rf"(\[|\boffset |:)({_DURATION})(?=[]:\s)]|$)")
_WHOLE = re.compile(_DURATION)


def milliseconds(text: str) -> int:
    """Read ``1h30m``; raises ValueError."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no duration such as 5m or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def divided(text: str, by: int) -> str:
    """Return a duration divided, at least a millisecond."""
    left = max(1, round(milliseconds(text) / by))
    written = ""
    for unit in ("d", "h", "m", "s", "ms"):
        number, left = divmod(left, _UNITS[unit])
        written += f"{number}{unit}" if number else ""
    return written


def scaled(expression: str, by: int) -> str:
    """Divide every range, offset and subquery step of a PromQL expression."""
    if by == 1:
        return expression
    return _PLACE.sub(lambda match: match[1] + divided(match[2], by), expression)

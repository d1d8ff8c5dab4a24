"""Times as HTTP's headers have them."""

import email.utils
from collections.abc import Mapping

from bandwidth_voice_exporter.voice import SECOND, now


def time_of(text: str) -> int | None:
    """Return a header's time in microseconds since 1970; None where it has none."""
    try:
        return round(email.utils.parsedate_to_datetime(text).timestamp() * SECOND)
    except (ValueError, OverflowError):
        return None


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After, which may be a time on the clock that answered."""
    text = headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    until = time_of(text)
    if until is None:
        return None
    answered = time_of(headers.get("Date", ""))
    return max(0, until - (now() if answered is None else answered)) / SECOND

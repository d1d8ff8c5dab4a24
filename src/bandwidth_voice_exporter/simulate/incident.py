"""A stretch of time in which a share of the calls ends with one cause."""

import msgspec

from bandwidth_voice_exporter.settings import duration

DIRECTIONS = ("inbound", "outbound")
_REQUIRED = ("cause", "after", "for", "share")
_OPTIONAL = ("direction", "application")


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Of the calls that start in the ``lasts`` seconds from ``after``, a share gets ``cause``."""

    cause: str
    after: float
    lasts: float
    share: float
    direction: str | None = None
    application: str | None = None

    def covers(self, start: float, direction: str, application: str) -> bool:
        """Say whether a call that starts at ``start`` (simulated seconds) can be hit."""
        return (
            self.after <= start < self.after + self.lasts
            and self.direction in {None, direction}
            and self.application in {None, application}
        )


def parse_incident(text: str, after: str | None = None) -> Incident:
    """Read ``cause=…,after=…,for=…,share=…[,direction=…][,application=…]``; raise ValueError.

    ``after`` is the duration where the text has none.
    """
    values = _pairs(text)
    if after is not None:
        values.setdefault("after", after)
    missing = [key for key in _REQUIRED if key not in values]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing in {text!r}")
    direction = values.get("direction")
    if direction is not None and direction not in DIRECTIONS:
        raise ValueError(f"direction: {direction!r} is neither inbound nor outbound")
    return Incident(
        cause=values["cause"],
        after=_duration("after", values["after"]),
        lasts=_duration("for", values["for"]),
        share=_share(values["share"]),
        direction=direction,
        application=values.get("application"),
    )


def _pairs(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key not in _REQUIRED + _OPTIONAL:
            known = ", ".join(_REQUIRED + _OPTIONAL)
            raise ValueError(f"{key!r} is not a key of an incident: {known}")
        if key in values:
            raise ValueError(f"{key} is given twice")
        if not value:
            raise ValueError(f"{key} has no value")
        values[key] = value
    return values


def _duration(key: str, text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise ValueError(f"{key}: {text!r} is {error}") from None


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share: {text!r} is not a number from 0 to 1")
    return share

"""A query for calls: filters, ids and a place in the list, from a query string.

A list is of failures, newest first. A query by id finds every call that has it.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from bandwidth_voice_exporter.settings import duration, hint
from bandwidth_voice_exporter.voice import (
    DOMAIN_OF_CAUSE,
    FAULT_DOMAINS,
    HANGUP,
    SECOND,
    UNCLASSIFIED,
    CallEnded,
    fault_domain,
    labels,
)

ID_COLUMNS = ("call_id", "error_id", "sip_call_id", "parent_call_id")
ANY_ID = "q"
_KIND = ("cause", "fault_domain", "application", "direction")
_ONCE = ("from", "to", *ID_COLUMNS, ANY_ID, "older", "newer", "limit")
PARAMETERS = (*_KIND, *_ONCE)

PAGE = 50
MOST = 1000

# Label values that stand for many: there is no call that has one of them.
_COLLECTIVE = {
    "cause": (labels.OTHER,),
    "application": (labels.OTHER,),
    "error_id": (labels.OTHER, labels.NONE),
}
_LONGEST = 256  # characters of a value
_MOST_GIVEN = 100  # values in all


class QueryError(ValueError):
    """A query string that asks for nothing sensible; the message says which parameter."""


class Place(msgspec.Struct, frozen=True, order=True):
    """A call's place in the list: when it was received (microseconds), and its row."""

    received: int
    row: int

    def __str__(self) -> str:
        """Return the form that it has in a link."""
        return f"{self.received}-{self.row}"


OLDEST = Place(0, 0)  # older than any


class Query(msgspec.Struct, frozen=True):
    """The calls wanted; an empty field is no condition. Times in microseconds.

    A call must have each of ``ids``, by column; with ``is_any_id`` one of them will do. ``notes``
    name the parameters that could not be used as given.
    """

    causes: tuple[str, ...] = ()
    fault_domains: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    ids: Mapping[str, str] = {}
    is_any_id: bool = False
    older: Place | None = None
    newer: Place | None = None
    limit: int = PAGE
    notes: tuple[str, ...] = ()

    @property
    def has_kind(self) -> bool:
        """Whether only some kinds of call are wanted."""
        return bool(self.causes or self.fault_domains or self.applications or self.directions)

    @property
    def known_causes(self) -> tuple[str, ...] | None:
        """The causes that can match; None where they cannot all be named."""
        if self.causes:
            return self.causes
        if not self.fault_domains or UNCLASSIFIED in self.fault_domains:
            return None
        return tuple(
            cause for cause, domain in DOMAIN_OF_CAUSE.items() if domain in self.fault_domains
        )

    @property
    def bounds(self) -> tuple[Place, Place]:
        """The places between which the wanted calls lie."""
        low = Place(self.since or 0, -1)
        high = Place(2**62 if self.until is None else self.until + 1, -1)
        return max(low, self.newer or low), min(high, self.older or high)

    def wants_kind(self, cause: str, application: str, direction: str) -> bool:
        """Whether calls of a kind match."""
        return (
            (not self.causes or cause in self.causes)
            and (not self.fault_domains or fault_domain(cause) in self.fault_domains)
            and (not self.applications or application in self.applications)
            and (not self.directions or direction in self.directions)
        )

    def wants(self, place: Place, call: CallEnded) -> bool:
        """Whether a call at a place matches."""
        low, high = self.bounds
        is_one = any if self.is_any_id else all
        return (
            low < place < high
            and self.wants_kind(call.cause, call.application, call.direction)
            and is_one(getattr(call, column) == text for column, text in self.ids.items())
        )


def parse(given: Sequence[tuple[str, str]], names: Mapping[str, str], now: int) -> Query:
    """Make a query of a query string's pairs; ``names`` are applications' names by id.

    ``now`` is in microseconds. Raises QueryError.
    """
    values, notes = _without_collective(_grouped(given))
    once = {name: found[0] for name, found in values.items() if name in _ONCE}
    ids = {column: once[column] for column in ID_COLUMNS if column in once}
    if ANY_ID in once:
        if ids:
            raise QueryError(f"{ANY_ID}: not together with {next(iter(ids))}")
        ids = dict.fromkeys(ID_COLUMNS, once[ANY_ID])
    if "older" in once and "newer" in once:
        raise QueryError("older: not together with newer")
    identifiers = {name: identifier for identifier, name in names.items()}
    return Query(
        causes=values.get("cause", ()),
        fault_domains=_known("fault_domain", values.get("fault_domain", ()), FAULT_DOMAINS),
        applications=tuple(
            identifiers.get(text, text.lower()) for text in values.get("application", ())
        ),
        directions=values.get("direction", ()),
        since=_time("from", once, now),
        until=_time("to", once, now),
        ids=ids,
        is_any_id=ANY_ID in once,
        older=_place("older", once),
        newer=_place("newer", once),
        limit=_limit(once),
        notes=notes,
    )


def _grouped(given: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    if len(given) > _MOST_GIVEN:
        raise QueryError(f"more than {_MOST_GIVEN} parameters")
    values: dict[str, tuple[str, ...]] = {}
    for name, value in given:
        if name not in PARAMETERS:
            raise QueryError(f"no such parameter{hint(name[:_LONGEST], PARAMETERS)}")
        if len(value) > _LONGEST:
            raise QueryError(f"{name}: longer than {_LONGEST} characters")
        text = value.strip()
        if text and name in _ONCE and name in values:
            raise QueryError(f"{name}: given twice")
        if text:
            values[name] = (*values.get(name, ()), text)
    return values


def _without_collective(
    values: Mapping[str, tuple[str, ...]],
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Take out label values that stand for many, and say so: dashboards link to them too."""
    kept = dict(values)
    notes = []
    for name, collective in _COLLECTIVE.items():
        for text in collective:
            if text in kept.get(name, ()):
                del kept[name]
                notes.append(
                    f"{name} {text} is a metric's word for many: the list is not limited by it."
                )
                break
    if HANGUP in kept.get("cause", ()) or fault_domain(HANGUP) in kept.get("fault_domain", ()):
        notes.append(f"{HANGUP} is the normal end: such calls are found by their ids, not listed.")
    return kept, tuple(notes)


def _known(name: str, texts: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    for text in texts:
        if text not in known:
            raise QueryError(f"{name}: not one of {', '.join(known)}")
    return texts


def _time(name: str, once: Mapping[str, str], now: int) -> int | None:
    """Read a time as ISO 8601 (UTC where it says no zone), as milliseconds, or as so long ago."""
    text = once.get(name)
    if text is None:
        return None
    try:
        if re.fullmatch(r"\d{10,14}", text, re.ASCII):
            return int(text) * 1000
        if re.fullmatch(r"[\d.]+[a-z].*", text, re.ASCII):
            return now - round(duration(text) * SECOND)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * SECOND)
    except (ValueError, OverflowError):
        raise QueryError(
            f"{name}: not a time such as 2026-03-01T12:00, 1772366400000 (milliseconds) or 15m"
        ) from None


def _place(name: str, once: Mapping[str, str]) -> Place | None:
    text = once.get(name)
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,18})-(\d{1,18})", text, re.ASCII)
    if not match:
        raise QueryError(f"{name}: not a place that a page has linked to")
    return Place(int(match[1]), int(match[2]))


def _limit(once: Mapping[str, str]) -> int:
    text = once.get("limit", str(PAGE))
    if not (re.fullmatch(r"\d{1,9}", text, re.ASCII) and 1 <= int(text) <= MOST):
        raise QueryError(f"limit: not a number from 1 to {MOST}")
    return int(text)

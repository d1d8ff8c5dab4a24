"""Listed calls beside the ledger's: read in a thread, in few bytes."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import TypeVar

import msgspec

from bandwidth_voice_exporter.ledger import Reader
from bandwidth_voice_exporter.reconcile import listing
from bandwidth_voice_exporter.reconcile.coverage import TRANSFER, Group
from bandwidth_voice_exporter.reconcile.listing import ListEntry
from bandwidth_voice_exporter.voice import (
    COUNTED_TYPES,
    TRANSFER_DISCONNECT,
    CallEnded,
    Pseudonyms,
    labels,
)

_AT_ONCE = 50  # calls
_PAUSE = 0.001  # seconds at least

_T = TypeVar("_T")

encoded = msgspec.msgpack.Encoder().encode
decoded = msgspec.msgpack.Decoder(CallEnded).decode


class Listed(msgspec.Struct, frozen=True, gc=False):
    """An ended call: its kind, its end (microseconds), and whether a webhook reported it."""

    end: int
    key: Group
    is_counted: bool


class Catch:
    """The calls of a part of the list, each once, as far as it is asked for.

    ``span`` are the starts that are wanted; of what ended at ``settled`` or later a webhook may
    still tell; both in microseconds of Bandwidth's clock. ``listed`` are the ended calls; of these,
    ``missed``, encoded, are not in the ledger, and ``recorded`` are there without a webhook. Calls
    whose ids are ``open`` are to be asked for again; ``nameless`` are open too, and have no id that
    may be kept to ask for them.
    """

    def __init__(
        self, reader: Reader, pseudonyms: Pseudonyms, span: tuple[int, int], settled: int
    ) -> None:
        self.listed: list[Listed] = []
        self.recorded: Counter[Group] = Counter()
        self.missed: list[bytes] = []
        self.open: list[str] = []
        self.nameless: Counter[Group] = Counter()
        self._reader = reader
        self._pseudonyms = pseudonyms
        self._span = span
        self._settled = settled
        self._seen: set[int] = set()
        self._keys: dict[Group, Group] = {}

    def take(self, entries: Sequence[ListEntry], received: int) -> None:
        """Read some of the list, in a thread. Raises ReadError."""
        for some in paced(entries):
            self._take([call for one in some if (call := self._ended(one, received))])

    def _ended(self, one: ListEntry, received: int) -> CallEnded | None:
        call = listing.ended(one, received, self._pseudonyms)
        if call is None or not self._is_wanted(call):
            return None
        if one.has_ended and end_of(call) < self._settled:
            return call
        if call.call_id and labels.is_id(call.call_id) and _is_segment(call.call_id):
            self.open.append(call.call_id)
        else:
            self.nameless[key_of(call)] += 1
        return None

    def _is_wanted(self, call: CallEnded) -> bool:
        since, until = self._span
        if call.start_time is not None and not since <= call.start_time < until:
            return False
        if call.call_id is not None:
            seen = hash((call.event_type, call.call_id))
            if seen in self._seen:
                return False
            self._seen.add(seen)
        return True

    def _take(self, calls: Sequence[CallEnded]) -> None:
        ids = [call.call_id for call in calls if call.call_id is not None]
        there = self._reader.find(list(product(COUNTED_TYPES, ids))) if ids else {}
        # Whichever of the two a webhook says that it is, it is the same call.
        known_ids = {call_id: is_reconciled for (_, call_id), is_reconciled in there.items()}
        for call in calls:
            known = known_ids.get(call.call_id) if call.call_id else None
            key = key_of(call)
            key = self._keys.setdefault(key, key)
            self.listed.append(Listed(end_of(call), key, known is False))
            if known is None:
                self.missed.append(encoded(call))
            elif known:
                self.recorded[key] += 1


def paced(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield some items at a time, in a thread; the event loop has as long for its own between."""
    for start in range(0, len(items), _AT_ONCE):
        began = time.perf_counter()
        yield items[start : start + _AT_ONCE]
        time.sleep(max(_PAUSE, time.perf_counter() - began))


def _is_segment(text: str) -> bool:
    """Whether a text can be a part of a URL's path as it is."""
    return "/" not in text and text.strip(".") != ""


def key_of(call: CallEnded) -> Group:
    """Return the kind that a call's coverage is counted under."""
    is_leg = call.event_type == TRANSFER_DISCONNECT
    return call.application, TRANSFER if is_leg else call.direction


def end_of(call: CallEnded) -> int:
    """Return when a call ended, as far as the list says."""
    return call.end_time or call.start_time or 0

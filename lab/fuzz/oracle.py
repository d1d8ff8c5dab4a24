"""Properties that hold for any bytes that the decoder is given: one that breaks is a bug."""

import contextlib
import json
import re
from typing import Any

import msgspec

from bandwidth_voice_exporter.metrics.tally import Tally
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice import call, clock, event_types, labels, payload
from bandwidth_voice_exporter.voice.call import DIRECTIONS, CallEnded, Event
from bandwidth_voice_exporter.voice.causes import CAUSES, FAULT_DOMAINS
from bandwidth_voice_exporter.voice.field_errors import FIELD_REASONS

RECEIVED = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z
LIMITS = Limits(
    max_applications=3, max_new_causes=3, max_error_ids=5, max_new_error_ids_per_minute=3
)

_MONTH = 30 * 24 * 3600 * clock.SECOND
_HEX = "[0-9a-fA-F]"
_UUID = rf"{_HEX}{{8}}(?:-?{_HEX}{{4}}){{3}}-?{_HEX}{{12}}"
_ID = re.compile(rf"(?:c-{_HEX}{{8}}-)?{_UUID}")
_DIGITS = re.compile(r"\d{5}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,47}")
_NOTHING = (labels.MISSING, labels.INVALID)


class Oracle:
    """Reads any bytes as a webhook would, and asserts what must come of them.

    The tally goes on from one input to the next, until it is given up for a new one.
    """

    def __init__(self, *, look_every: int = 256, give_up_after: int = 8192) -> None:
        self._look_every = look_every
        self._give_up_after = give_up_after
        self._begin()
        self.calls = 0

    def check(self, data: bytes) -> None:
        """Read bytes as a body and as a query. Raises AssertionError where something is wrong."""
        self._event(payload.from_query(data))
        fields = _object(data)
        refusal = None
        try:
            read = self._event(payload.from_json(data))
        except payload.MalformedError as error:
            refusal = str(error)
        if refusal is not None:
            assert fields is None, f"refused, though it is an object: {refusal}"
            assert not _DIGITS.search(refusal.partition(" (line")[0]), refusal
            return
        if fields and fields.get("eventType") in event_types.COUNTED_TYPES:
            assert read.call is not None, "an event that was not counted"
            assert read.event_type == fields["eventType"]
            if fields.get("cause") in CAUSES:
                assert read.call.cause == fields["cause"]
            if fields.get("direction") in DIRECTIONS:
                assert read.call.direction == fields["direction"]

    def look(self) -> None:
        """Look at the tally as a whole."""
        counts, histograms = self._tally.counts, self._tally.histograms
        for name, series in counts.items():
            assert all(count.value >= 0 for count in series.values()), name
        for name, distributions in histograms.items():
            for histogram in distributions.values():
                assert histogram.sum >= 0, name
                assert min(histogram.counts) >= 0, name
        kinds = (
            counts["bandwidth_voice_calls_total"],
            counts["bandwidth_voice_transfer_legs_total"],
        )
        assert sum(count.value for kind in kinds for count in kind.values()) == self._folded
        for name, most in most_label_sets(LIMITS).items():
            seen = counts.get(name) or histograms[name]
            assert len(seen) <= most, f"{name}: {len(seen)} label sets, at most {most} expected"
            for key in seen:
                assert not any(_DIGITS.search(_ID.sub(" ", value)) for value in key), (name, key)
        msgspec.msgpack.encode(self._tally.totals().error_ids)

    def _event(self, fields: payload.Payload) -> Event:
        read = call.read_event(fields, RECEIVED)
        assert read.event_type in (*event_types.COUNTED_TYPES, *_NOTHING) or _is_word(
            read.event_type
        )
        for field, reason in read.field_errors:
            assert reason in FIELD_REASONS[field]
        if read.call is not None:
            _check_call(read.call)
            self._fold(read.call)
        return read

    def _fold(self, call: CallEnded) -> None:
        overflow = self._tally.fold(call)
        assert set(overflow) <= {"application", "cause", "code", "error_id"}
        self._folded += 1
        self.calls += 1
        if self._folded % self._look_every == 0:
            self.look()
        if self._folded >= self._give_up_after:
            self._begin()

    def _begin(self) -> None:
        self._tally = Tally(LIMITS, RECEIVED)
        self._folded = 0


def most_label_sets(limits: Limits) -> dict[str, int]:
    """Return the most label sets of each call metric: every combination that can come to be."""
    applications = len(limits.applications) + limits.max_applications + len(labels.RESERVED)
    directions = len(DIRECTIONS) + len(_NOTHING)
    causes = len(CAUSES) + limits.max_new_causes + len(labels.RESERVED)
    domains = len(FAULT_DOMAINS)
    return {
        "bandwidth_voice_calls_total": applications * directions * causes * 2,
        "bandwidth_voice_short_calls_total": applications * directions,
        "bandwidth_voice_call_talk_seconds_total": applications * directions,
        "bandwidth_voice_transfer_legs_total": directions * causes * 2,
        "bandwidth_voice_call_duration_seconds": directions * domains,
        "bandwidth_voice_call_setup_seconds": directions,
        "bandwidth_voice_call_unanswered_seconds": directions * domains,
        "bandwidth_voice_call_queue_seconds": directions,
        "bandwidth_voice_sip_rejections_total": 49 + 20 + 1,
        "bandwidth_voice_call_errors_total": directions * causes * 2 + limits.max_error_ids,
        "bandwidth_voice_last_event_timestamp_seconds": applications,
        "bandwidth_voice_webhook_delay_seconds": 1,
    }


def _check_call(call: CallEnded) -> None:
    assert call.received == RECEIVED
    assert call.event_type in event_types.COUNTED_TYPES
    assert type(call.answered) is bool
    assert call.direction in (*DIRECTIONS, *_NOTHING)
    assert call.cause in _NOTHING or _is_word(call.cause)
    assert call.application in _NOTHING or (
        re.fullmatch(_UUID, call.application) and call.application == call.application.lower()
    )
    for identifier in (call.call_id, call.parent_call_id, call.sip_call_id):
        assert identifier is None or re.fullmatch(r"[ -~]{1,256}", identifier)
    assert call.error_id is None or _is_error_id(call.error_id)
    assert call.sip_response_code is None or call.sip_response_code in range(300, 700)
    for span in (call.delay, call.queue, call.setup, call.talk, call.unanswered):
        assert span is None or (type(span) is int and 0 <= span <= _MONTH)
    for moment in (call.start_time, call.end_time):
        assert moment is None or (type(moment) is int and abs(moment) < 2**63)
    assert call.talk is None or call.answered
    assert call.unanswered is None or not call.answered
    if call.error_message is not None:
        call.error_message.encode()
        assert len(call.error_message) <= 500
        without_ids = _ID.sub(" ", call.error_message)
        if len(call.error_message) == 500:
            without_ids = without_ids[:-50]  # the end of the longest may be half an id
        assert not _DIGITS.search(without_ids), "a number in a message"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(call), type=CallEnded) == call


def _is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None and not _DIGITS.search(_ID.sub(" ", text))


def _is_error_id(text: str) -> bool:
    return re.fullmatch(_UUID, text) is not None or (
        _TOKEN.fullmatch(text) is not None and not _DIGITS.search(_ID.sub(" ", text))
    )


def _object(data: bytes) -> dict[str, Any] | None:
    """Return the object that the standard library, left as it is, reads in some bytes."""
    with contextlib.suppress(ValueError, RecursionError):
        fields = json.loads(data)
        return fields if isinstance(fields, dict) else None
    return None

"""The log of every request and its answer, free of personal data, and the calls that ended."""

from types import TracebackType
from typing import IO, Self

import msgspec

from bandwidth_voice_exporter.simulate.connection import Answer
from bandwidth_voice_exporter.simulate.payload import Payload, as_json
from bandwidth_voice_exporter.simulate.schedule import Planned


class JournalLine(msgspec.Struct, frozen=True, gc=False):
    """One line: a request and its answer; times in seconds, as they were reported."""

    sent_at: float  # unix seconds
    method: str
    attempt: int
    event_type: str
    call_id: str
    application: str | None
    direction: str
    cause: str
    answered: bool
    duration_seconds: float | None  # answer to end
    setup_seconds: float | None  # start to answer
    unanswered_seconds: float | None  # start to end of a call never answered
    queue_seconds: float | None
    error_id: str | None
    sip_response_code: int | None
    duplicate: bool
    status: int | None
    error: str | None


class Journal:
    """Two files of JSON lines, of requests and of ended calls; without a file it keeps nothing."""

    def __init__(self, file: IO[bytes] | None = None, calls: IO[bytes] | None = None) -> None:
        self._file = file
        self._calls = calls
        self._encoder = msgspec.json.Encoder()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in (self._file, self._calls):
            if file is not None:
                file.close()

    def ended(self, fields: Payload) -> None:
        """Add a call that ended, before its webhook is sent for the first time."""
        if self._calls is not None:
            self._calls.write(as_json(fields) + b"\n")
            self._calls.flush()  # a reader sees the call before the webhook's receiver does

    def write(self, delivery: Planned, attempt: int, sent_at: float, answer: Answer) -> None:
        """Add the line of a request that was answered or failed."""
        if self._file is None:
            return
        call = delivery.report.call
        entry = JournalLine(
            sent_at=sent_at,
            method=delivery.method,
            attempt=attempt,
            event_type=call.event_type,
            call_id=call.call_id,
            application=call.application,
            direction=call.direction,
            cause=call.cause,
            answered=call.answered,
            duration_seconds=_seconds(call.talk_ms),
            setup_seconds=_seconds(call.ring_ms if call.answered else None),
            unanswered_seconds=_seconds(None if call.answered else call.ring_ms),
            queue_seconds=_seconds(call.queue_ms),
            error_id=call.error_id,
            sip_response_code=call.sip_response_code,
            duplicate=delivery.duplicate,
            status=answer.status,
            error=answer.error,
        )
        self._file.write(self._encoder.encode(entry) + b"\n")

    def flush(self) -> None:
        """Hand the written lines to the operating system."""
        if self._file is not None:
            self._file.flush()


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000

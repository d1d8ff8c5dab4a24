"""Events of one turn of the event loop, read and recorded together."""

import asyncio

from bandwidth_voice_exporter.voice import payload
from bandwidth_voice_exporter.voice.call import CallEnded, Event
from bandwidth_voice_exporter.voice.pseudonym import Pseudonyms
from bandwidth_voice_exporter.webhook.intake import Intake

_FIRST = b'{"eventType": "disconnect", "callId": "c-1", "cause": "hangup"}'
_SECOND = b'{"eventType": "disconnect", "callId": "c-2", "cause": "busy"}'


class _Recorded:
    """A ledger that records what it is told to, but no call that is busy."""

    def __init__(self) -> None:
        self.calls: list[CallEnded] = []

    def record(self, call: CallEnded, recorded: asyncio.Future[bool]) -> None:
        if call.cause == "busy":
            raise RuntimeError("a bug")
        self.calls.append(call)
        recorded.set_result(True)

    def is_up(self) -> bool:
        return True


def _taken(
    ledger: _Recorded, *texts: bytes, cancelled: int | None = None
) -> list[tuple[Event, bool] | BaseException]:
    async def take() -> list[tuple[Event, bool] | BaseException]:
        intake = Intake(ledger, Pseudonyms(b"secret"), lambda: 5)
        arrivals = [intake.take(payload.from_json, text) for text in texts]
        if cancelled is not None:
            arrivals[cancelled].recorded.cancel()
        waited = (arrival.recorded for arrival in arrivals)
        results = await asyncio.gather(*waited, return_exceptions=True)
        return [
            result if isinstance(result, BaseException) else (arrival.event, result)
            for arrival, result in zip(arrivals, results, strict=True)
        ]

    return asyncio.run(take())


def test_event_is_given_back_once_it_is_recorded() -> None:
    """An event is given back with the time of its turn, once the ledger says it is recorded."""
    ledger = _Recorded()

    (taken,) = _taken(ledger, _FIRST)

    assert isinstance(taken, tuple)
    recorded, is_new = taken
    assert recorded.call == ledger.calls[0]
    assert (recorded.call.received, is_new) == (5, True)


def test_event_that_cannot_be_read_takes_no_other_with_it() -> None:
    """Only the sender of a body that is no event gets an error; the other event is recorded."""
    ledger = _Recorded()

    refused, taken = _taken(ledger, b"[]", _FIRST)

    assert isinstance(refused, payload.MalformedError)
    assert isinstance(taken, tuple)
    assert [call.call_id for call in ledger.calls] == ["c-1"]


def test_event_that_cannot_be_recorded_takes_no_other_with_it() -> None:
    """A bug in recording an event is told to its sender alone; the others are recorded."""
    ledger = _Recorded()

    failed, taken = _taken(ledger, _SECOND, _FIRST)

    assert isinstance(failed, RuntimeError)
    assert isinstance(taken, tuple)
    assert [call.call_id for call in ledger.calls] == ["c-1"]


def test_event_whose_sender_is_gone_is_not_recorded() -> None:
    """An event that nobody waits for any more before its turn is not recorded: it comes again."""
    ledger = _Recorded()

    gone, taken = _taken(ledger, _SECOND.replace(b"busy", b"hangup"), _FIRST, cancelled=0)

    assert isinstance(gone, asyncio.CancelledError)
    assert isinstance(taken, tuple)
    assert [call.call_id for call in ledger.calls] == ["c-1"]

"""The order of deliveries: every event once, some twice."""

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from random import Random

import msgspec

from bandwidth_voice_exporter.simulate.call import Call
from bandwidth_voice_exporter.simulate.payload import Payload, payload
from bandwidth_voice_exporter.simulate.seeded import seeded

_AGAIN_AFTER = (1.0, 20.0)


class CallReport(msgspec.Struct):
    """A call and the moment it was first reported at, in unix milliseconds."""

    call: Call
    ended_ms: int | None = None

    def payload(self, now_ms: int) -> Payload:
        """Return the fields; a call ended when it is first asked for, and stays so."""
        if self.ended_ms is None:
            self.ended_ms = now_ms
        return payload(self.call, self.ended_ms)


class Planned(msgspec.Struct, frozen=True):
    """A report to be sent ``at`` simulated seconds."""

    at: float
    report: CallReport
    method: str
    duplicate: bool


def schedule(
    calls: Iterable[Call], seed: int, duplicate_share: float, get_share: float
) -> Iterator[Planned]:
    """Yield the deliveries of ``calls`` in the order of their moments."""
    rng = seeded(f"{seed}/schedule")
    again: list[tuple[float, int, Planned]] = []
    for number, call in enumerate(calls):
        while again and again[0][0] <= call.end:
            yield heappop(again)[2]
        report = CallReport(call)
        yield Planned(call.end, report, _method(rng, get_share), duplicate=False)
        if rng.random() < duplicate_share:
            at = call.end + rng.uniform(*_AGAIN_AFTER)
            second = Planned(at, report, _method(rng, get_share), duplicate=True)
            heappush(again, (at, number, second))
    while again:
        yield heappop(again)[2]


def _method(rng: Random, get_share: float) -> str:
    return "GET" if rng.random() < get_share else "POST"

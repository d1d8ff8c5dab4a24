"""The events of one turn of the event loop: all of them are read, then all of them recorded.

The same code for many events in a row runs from the processor's cache.
"""

import asyncio
from collections.abc import Callable

from bandwidth_voice_exporter.ledger import Ledger
from bandwidth_voice_exporter.voice import Event, Payload, Pseudonyms, now, read_event


class Intake:
    """Takes events in; ``clock`` gives microseconds since 1970.

    ``received`` is the time at which it took the last ones.
    """

    def __init__(
        self, ledger: Ledger, pseudonyms: Pseudonyms, clock: Callable[[], int] = now
    ) -> None:
        self._ledger = ledger
        self._pseudonyms = pseudonyms
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._arrivals: list[Arrival] = []
        self.received = 0

    def take(self, decode: Callable[[bytes], Payload], text: bytes) -> "Arrival":
        """Take an event in: it is read and recorded soon, unless nobody waits for it any more."""
        if not self._arrivals:
            self._loop.call_soon(self._turn)
        arrival = Arrival(decode, text, self._loop.create_future())
        self._arrivals.append(arrival)
        return arrival

    def _turn(self) -> None:
        arrivals, self._arrivals = self._arrivals, []
        self.received = self._clock()
        for step in (self._read, self._record):
            for arrival in arrivals:
                if arrival.recorded.done():  # it failed, or its connection is closed
                    continue
                try:
                    step(arrival)
                except Exception as error:  # noqa: BLE001  # raised where the request waits
                    arrival.recorded.set_exception(error)

    def _read(self, arrival: "Arrival") -> None:
        payload = arrival.decode(arrival.text)
        arrival.event = read_event(payload, self.received, self._pseudonyms)

    def _record(self, arrival: "Arrival") -> None:
        if arrival.event.call is None:  # it is not about a call's end
            arrival.recorded.set_result(False)
        else:
            self._ledger.record(arrival.event.call, arrival.recorded)


class Arrival:
    """An event as it came, and the future that its request awaits; each may fail by itself.

    ``recorded`` is whether it is new, or raises the exception of ``decode`` or the ledger. If it
    has a result, there is ``event``.
    """

    __slots__ = ("decode", "event", "recorded", "text")

    event: Event

    def __init__(
        self, decode: Callable[[bytes], Payload], text: bytes, recorded: asyncio.Future[bool]
    ) -> None:
        self.decode = decode
        self.text = text
        self.recorded = recorded

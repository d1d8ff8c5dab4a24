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
        received = self.received = self._clock()
        for arrival in arrivals:
            arrival.read(received, self._pseudonyms)
        for arrival in arrivals:
            arrival.record(self._ledger)


class Arrival:
    """An event as it came, and the future that its request awaits; each may fail by itself.

    ``recorded`` is whether it is new, or raises the exception of ``decode`` or the ledger. If it
    has a result, there is ``event``.
    """

    __slots__ = ("_decode", "_text", "event", "recorded")

    event: Event

    def __init__(
        self, decode: Callable[[bytes], Payload], text: bytes, recorded: asyncio.Future[bool]
    ) -> None:
        self._decode = decode
        self._text = text
        self.recorded = recorded

    def read(self, received: int, pseudonyms: Pseudonyms) -> None:
        """Make an event of it, received at a time in microseconds."""
        try:
            self.event = read_event(self._decode(self._text), received, pseudonyms)
        except Exception as error:  # noqa: BLE001  # raised where the request waits
            self._fail(error)

    def record(self, ledger: Ledger) -> None:
        """Have the ledger record it, if it is about a call's end."""
        if self.recorded.done():
            return
        if self.event.call is None:
            self.recorded.set_result(False)
            return
        try:
            ledger.record(self.event.call, self.recorded)
        except Exception as error:  # noqa: BLE001  # raised where the request waits
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self.recorded.done():  # its connection may be closed
            self.recorded.set_exception(error)

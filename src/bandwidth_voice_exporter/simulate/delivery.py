"""Sending a schedule over a pool of connections, as Bandwidth would."""

import asyncio
import time
from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from bandwidth_voice_exporter.simulate.connection import Answer, WebhookClient
from bandwidth_voice_exporter.simulate.journal import Journal
from bandwidth_voice_exporter.simulate.payload import as_json, as_query
from bandwidth_voice_exporter.simulate.schedule import Planned
from bandwidth_voice_exporter.simulate.target import WebhookTarget

TIMEOUT_SECONDS = 15.0
_ATTEMPTS = 2
# A loop's timers are no finer than this: nearer deliveries go out at once.
_SHORTEST_SLEEP = 0.001


class Score(msgspec.Struct):
    """How the deliveries fared so far."""

    events: int = 0  # distinct ones
    deliveries: int = 0
    requests: int = 0
    accepted: int = 0  # deliveries answered 2xx, be it at the second attempt
    failed: int = 0


class Courier:
    """Delivers a schedule on time, or as fast as the other side takes it when behind."""

    def __init__(
        self,
        target: WebhookTarget,
        journal: Journal,
        *,
        connections: int,
        speed: float,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self.score = Score()
        self.position = 0.0  # simulated seconds: the moment of the newest delivery
        self._forms = target.forms()
        self._journal = journal
        self._speed = speed
        self._connections = [WebhookClient(target, timeout) for _ in range(connections)]
        self._due: asyncio.Queue[Planned | None] = asyncio.Queue(connections)
        self._dispatcher: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self, deliveries: Iterable[Planned]) -> None:
        """Deliver until the schedule ends or ``stop``, and wait for requests in flight."""
        async with asyncio.TaskGroup() as group:
            for connection in self._connections:
                group.create_task(self._work(connection))
            self._dispatcher = group.create_task(self._dispatch(deliveries))
            # Not awaited itself: its end by `stop` is no reason to cancel the workers.
            await asyncio.wait({self._dispatcher})
            for _ in self._connections:
                await self._due.put(None)

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True
        if self._dispatcher is not None:
            self._dispatcher.cancel()

    async def _dispatch(self, deliveries: Iterable[Planned]) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        for delivery in deliveries:
            if self._stopped:
                return
            self.position = delivery.at
            early = began + delivery.at / self._speed - clock()
            if early > _SHORTEST_SLEEP:
                await asyncio.sleep(early)
            # The queue is as long as the pool is wide: later deliveries wait in the schedule.
            await self._due.put(delivery)

    async def _work(self, connection: WebhookClient) -> None:
        try:
            while (delivery := await self._due.get()) is not None:
                if not self._stopped:
                    await self._deliver(connection, delivery)
        finally:
            await connection.close()

    async def _deliver(self, connection: WebhookClient, delivery: Planned) -> None:
        fields = delivery.report.payload(time.time_ns() // 1_000_000)
        score = self.score
        score.deliveries += 1
        score.events += not delivery.duplicate
        if not delivery.duplicate:
            self._journal.ended(fields)
        answer = Answer()
        for target in self._forms:
            is_get = delivery.method == "GET"
            request = target.get(as_query(fields)) if is_get else target.post(as_json(fields))
            answer = await self._send(connection, delivery, request)
            if answer.status != HTTPStatus.UNAUTHORIZED:
                break
        if answer.accepted:
            score.accepted += 1
        else:
            score.failed += 1

    async def _send(self, connection: WebhookClient, delivery: Planned, request: bytes) -> Answer:
        """Send a request, and once more after a connection exception."""
        answer = Answer()
        for attempt in range(1, _ATTEMPTS + 1):
            sent_at = time.time()
            answer = await connection.exchange(request)
            self.score.requests += 1
            self._journal.write(delivery, attempt, sent_at, answer)
            if not answer.connection_lost:
                break
        return answer

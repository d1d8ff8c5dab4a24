"""Calls received while the database is away: answered for, kept, and counted."""

import asyncio
from collections.abc import Sequence
from functools import partial

from bandwidth_voice_exporter.ledger.postgres import left
from bandwidth_voice_exporter.ledger.postgres.share import ReplicaShare
from bandwidth_voice_exporter.ledger.postgres.spool import Entry, Spool
from bandwidth_voice_exporter.ledger.postgres.target import LedgerTarget
from bandwidth_voice_exporter.ledger.recent import Recent
from bandwidth_voice_exporter.ledger.worker import Worker
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import LedgerInstruments
from bandwidth_voice_exporter.voice import CallEnded

_LEAVING_SECONDS = 10.0
_LEFT_AT_ONCE = 500  # calls in a commit


class Aside:
    """The spool of a replica, beside the event loop, and the legs that it saw last."""

    def __init__(
        self, spool: Spool, share: ReplicaShare, instruments: LedgerInstruments, log: Log
    ) -> None:
        self._spool = spool
        self._share = share
        self._instruments = instruments
        self._log = log
        self._recent = Recent()
        self._worker = Worker("spool")
        self._why: dict[str, str] = {}

    def remember(self, call: CallEnded) -> None:
        """Know a leg again, should the database be away then."""
        self._recent.add(call.event_type, call.call_id)

    async def put(self, calls: Sequence[CallEnded]) -> list[bool]:
        """Keep calls for the database's return; say of each whether it is new.

        They are counted, unless the totals of before are not known yet.
        """
        is_new = [self._recent.add(call.event_type, call.call_id) for call in calls]
        kept = [call for call, new in zip(calls, is_new, strict=True) if new]
        if not kept:
            return is_new
        is_counted = self._share.is_loaded
        entries = [Entry(one, is_counted, self._share.base) for one in kept]
        await self._worker.do(partial(self._spool.add, entries))
        if is_counted:
            for call in kept:
                self._share.fold(call)
        self._instruments.not_recorded.inc(len(kept))
        self.complain()
        return is_new

    async def first(self, most: int) -> list[Entry]:
        """Return the first that are not in the database yet. Raises StoreError."""
        return await self._worker.do(partial(self._spool.first, most))

    async def forget(self) -> None:
        """Drop the merged ones."""
        await self._worker.do(self._spool.forget)

    async def leave(self, target: LedgerTarget) -> None:
        """Leave what waits to the successor of this process, in the database, and end."""
        number = 0
        try:
            async with asyncio.timeout(_LEAVING_SECONDS):
                while entries := await self.first(_LEFT_AT_ONCE):
                    await left.put(target, [entry.call for entry in entries])
                    await self._worker.do(partial(self._spool.merge, entries))
                    number += len(entries)
                await self.forget()
        except Exception as error:  # noqa: BLE001  # the process ends, and says why
            self.complain("leave", error)
        if number:
            self._log.warning("calls are left for the successor to count", calls=number)
        await self.close()

    async def close(self) -> None:
        """End, and say how many calls still wait."""
        if waiting := await self._worker.do(self._spool.waiting):
            self._log.error("calls wait for the database, or are lost", calls=waiting)
        await self._worker.do(self._spool.close)
        self._worker.end()

    def complain(self, operation: str = "", error: Exception | None = None) -> None:
        """Say now and then that the database is away, and why: the last operation that failed."""
        if error:
            self._why = {"operation": operation, "reason": str(error)}
        message = "not durable: the database is away, calls wait for it"
        if self._log.is_due(message):
            self._log.error(message, spool=self._spool.failure or "works", **self._why)

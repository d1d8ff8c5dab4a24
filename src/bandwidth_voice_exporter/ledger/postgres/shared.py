"""The ledger in a database that others share: one task that writes, beats, and moves the spool."""

import asyncio
import time
from collections.abc import Container, Sequence

from bandwidth_voice_exporter.ledger.database import NewerSchemaError, StoreError
from bandwidth_voice_exporter.ledger.postgres import rows
from bandwidth_voice_exporter.ledger.postgres.aside import Aside
from bandwidth_voice_exporter.ledger.postgres.keeper import Keeper
from bandwidth_voice_exporter.ledger.postgres.link import Link
from bandwidth_voice_exporter.ledger.postgres.lock import InUseError, SupersededError
from bandwidth_voice_exporter.ledger.postgres.notes import SharedNotes
from bandwidth_voice_exporter.ledger.postgres.queue import Queue
from bandwidth_voice_exporter.ledger.postgres.session import Session
from bandwidth_voice_exporter.ledger.postgres.share import ReplicaShare
from bandwidth_voice_exporter.ledger.postgres.spool import Spool
from bandwidth_voice_exporter.ledger.postgres.target import (
    STATEMENT_SECONDS,
    LedgerRefusedError,
    explained,
)
from bandwidth_voice_exporter.ledger.replica import LEASE, Replica
from bandwidth_voice_exporter.ledger.runtime import Runtime
from bandwidth_voice_exporter.ledger.table import Numbered
from bandwidth_voice_exporter.metrics import LedgerOperation, Tally
from bandwidth_voice_exporter.voice import CallEnded

_COMMIT_ROWS = 1000
_MERGED_ROWS = 500  # of the spool at once, between which calls are answered
# Until a call is answered for without the database: half of what Bandwidth waits, less a commit.
_PATIENCE = 5.0
_PAUSE = 0.1  # between two tries within it
_LOOK_SECONDS = 1.0


class SharedLedger(SharedNotes):
    """A replica's share of a ledger. All calls in flight share a commit, then are folded.

    While the database is away calls are counted from the spool, and recorded once it is back.
    """

    def __init__(
        self, link: Link, share: ReplicaShare, spool: Spool, keeper: Keeper, runtime: Runtime
    ) -> None:
        super().__init__(link)
        self._instruments = runtime.instruments.ledger
        self._log = runtime.log
        self._share = share
        self._counting = share.counting
        self._aside = Aside(spool, share, self._instruments, self._log)
        self._keeper = keeper
        self._queue = Queue()
        self._look_at = 0.0
        self._failing_since: float | None = None
        self._is_closing = False
        self._loaded: asyncio.Future[Tally] = asyncio.get_running_loop().create_future()

    def is_up(self) -> bool:
        """Whether all counted calls are in the database."""
        return self._is_up

    def loaded(self) -> asyncio.Future[Tally]:
        """Return the totals, once the calls counted before are known."""
        return self._loaded

    def replicas(self) -> Sequence[Replica]:
        """Return all that share the ledger, as of the last look."""
        return self._keeper.replicas

    def record(self, call: CallEnded, recorded: asyncio.Future[bool]) -> None:
        """Count a call leg once it is recorded; False where it was there already."""
        self._queue.put(rows.keyed(call), recorded)

    async def begin(self) -> None:
        """Load the totals of before, if the database is there in time.

        Raises RefusedError, NewerSchemaError and InUseError, which waiting does not mend.
        """
        started, in_use = time.monotonic(), None
        while not self._is_up:
            try:
                await self._resume(_PATIENCE)
            except InUseError as error:  # by one that was killed with its machine, perhaps
                if in_use and error.sign != in_use.sign:
                    raise
                in_use = error
            except (LedgerRefusedError, NewerSchemaError):
                raise
            except StoreError as error:
                self._fail("open", error)
            waited = time.monotonic() - started
            if waited > _PATIENCE + LEASE * (in_use is not None):
                return
            if self._link.session is None:
                await asyncio.sleep(_PAUSE)

    async def run(self) -> None:
        """Write until ``close`` is called and everything is written. Raises SupersededError."""
        try:
            while not self._is_closing or self._queue:
                is_due = await self._queue.wait(self._look_at)
                async with self._turn:
                    if is_due:
                        await self._write()
                    if time.monotonic() >= self._look_at:
                        await self._look()
            await self._finish()
        except SupersededError:
            await self._aside.leave(self._link.target)
            raise
        finally:
            self._link.drop()

    def close(self) -> None:
        """Let ``run`` end once nothing is pending."""
        self._is_closing = True
        self._queue.end()

    async def _write(self) -> None:
        batch = self._queue.take(_COMMIT_ROWS)
        calls = [call for call, _ in batch]
        is_new = await self._record(calls) if self._is_up else None
        if is_new is None:
            is_new = await self._aside.put(calls)
        for (call, recorded), new in zip(batch, is_new, strict=True):
            self._aside.remember(call)
            if not recorded.done():
                recorded.set_result(new)

    async def _record(self, calls: list[CallEnded]) -> list[bool] | None:
        """Record calls and count those that are new; None where the database is away."""
        numbered = self._share.number(calls)
        started = time.monotonic()
        try:
            session, mine = await self._link.insert(numbered, _PATIENCE)
        except SupersededError:
            raise
        except StoreError as error:
            self._fail("append", error, numbered[0][0] - 1)
            return None
        lasted = time.monotonic() - started
        self._instruments.commit.observe(lasted)
        await self._count(session, numbered, mine)
        self._queue.committed(len(calls), lasted, self._keeper.living())
        return [row in mine for row, _ in numbered]

    async def _count(
        self, session: Session, numbered: Sequence[Numbered], mine: Container[int]
    ) -> None:
        calls = [call for row, call in numbered if row in mine]
        try:
            await self._share.let_in(session, calls, numbered[0][0] - 1)
        except Exception as error:  # noqa: BLE001  # they are recorded: their labels can wait
            self._link.drop()
            self._log.warning("new label values are not shared yet", reason=str(error))
        for call in calls:
            self._share.fold(call)

    async def _look(self) -> None:
        now = time.monotonic()
        self._look_at = now + _LOOK_SECONDS
        try:
            if not self._is_up:
                await self._resume(0)
                return
            async with asyncio.timeout(STATEMENT_SECONDS):
                session = await self._link.open(0)
                if session and await self._keeper.look(session, self._share):
                    self._look_at = now
            if session:
                await self._adopt(session)
                self._failing_since = None
        except SupersededError:
            raise
        except Exception as error:  # noqa: BLE001  # calls go on being answered whatever fails
            if self._is_up and self._link.session:
                self._stumble(error)
            self._link.drop()
            self._failing_since = self._failing_since or now
            if not self._is_up or now - self._failing_since > _PATIENCE:
                self._fail("recover", error)

    def _stumble(self, error: Exception) -> None:
        """Tell of a statement that may fail each time, though the next ones do not."""
        self._instruments.stumbled("upkeep")
        message = "the upkeep of the ledger failed"
        if self._log.is_due(message):
            self._log.warning(message, reason=str(explained(error)))

    async def _adopt(self, session: Session) -> None:
        """Record what an earlier process of the name left: those that are new are counted.

        No time limit may cancel it: calls whose insert is given up must be put aside, since only
        this process knows which rows they may have come to.
        """
        found = await session.left() if session.has_left else []
        calls = [call for _, call in found]
        if not calls:
            return
        if await self._record(calls) is None:
            await self._aside.put(calls)
        elif opened := self._link.session:
            await opened.forget_left(found)

    async def _resume(self, seconds: float) -> None:
        """Load, move some of the spool, or begin to record. Raises StoreError."""
        session = await self._link.open(seconds)
        if session is None:
            return
        if not self._link.counts:
            await self._share.load(session)
            self._link.counts = True
        if entries := await self._aside.first(_MERGED_ROWS):
            await self._share.merge(session, entries)
            self._look_at = time.monotonic()
            return
        await self._share.save(session)
        await self._aside.forget()
        self._begin_recording()

    def _begin_recording(self) -> None:
        self._is_up = True
        self._instruments.up.set(1)
        self._instruments.count_twice(self._share.counted_twice)
        if not self._share.is_loaded:
            self._share.is_loaded = True
            self._counting.follow_clock()
            self._loaded.set_result(self._counting.tally)
        self._log.info("the ledger records", replica=self._link.target.name)

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                while not self._is_up:
                    await self._resume(_PATIENCE)
                if session := await self._link.open(_PATIENCE):
                    await self._share.save(session)
        except Exception as error:  # noqa: BLE001  # the process ends, and says why
            self._fail("checkpoint", error)
        await self._aside.close()
        await self._link.close()

    def _fail(self, operation: LedgerOperation, error: Exception, base: int | None = None) -> None:
        if self._is_up:  # up to here the calls are in the database for sure
            self._share.base = self._share.last_row if base is None else base
        self._is_up, self._failing_since = False, None
        self._link.drop()
        self._instruments.failed(operation)
        self._aside.complain(operation, error)

"""The ledger on disk: one task that writes, looks after the database, and recovers it."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from functools import partial

from bandwidth_voice_exporter.ledger.alone import Alone
from bandwidth_voice_exporter.ledger.books import Books
from bandwidth_voice_exporter.ledger.counting import Counting
from bandwidth_voice_exporter.ledger.database import DamagedError, StoreError
from bandwidth_voice_exporter.ledger.home import Home
from bandwidth_voice_exporter.ledger.runtime import Runtime
from bandwidth_voice_exporter.ledger.store import Saved, Store
from bandwidth_voice_exporter.ledger.unrecorded import Unrecorded
from bandwidth_voice_exporter.ledger.upkeep import Retention, Upkeep
from bandwidth_voice_exporter.ledger.worker import Worker
from bandwidth_voice_exporter.metrics import LedgerOperation
from bandwidth_voice_exporter.voice import SECOND, CallEnded

_COMMIT_ROWS = 1000
_CHECKPOINT_ROWS = 10_000
_CHECKPOINT_SECONDS = 10.0
_UPKEEP_SECONDS = 1.0
_SURE_SECONDS = 3600.0  # for which the clock must not have been set to say how old a call is


class DurableLedger(Alone):
    """A ledger on disk. One task writes: all calls in flight share a commit, then are folded.

    While the disk fails, calls are counted in memory, and recorded once it works again.
    """

    def __init__(
        self,
        books: Books,
        *,
        home: Home,
        counting: Counting,
        retention: Retention,
        runtime: Runtime,
    ) -> None:
        super().__init__(counting.tally)
        self._books = books
        self._home, self._counting = home, counting
        self._clock, self._log = runtime.clock, runtime.log
        self._instruments = runtime.instruments.ledger
        self._upkeep = Upkeep(retention, self._instruments, self._log)
        self._pending: list[tuple[CallEnded, asyncio.Future[bool]]] = []
        self._unrecorded = Unrecorded()
        self._wake = asyncio.Event()
        self._writer = Worker("ledger")
        self._saved_at = self._upkeep_at = time.monotonic()
        self._is_closing, self._is_up = False, True
        self._instruments.up.set(1)
        if books.store:
            self._upkeep.measure(books.store)
        self._clock.on_step(self._stepped)
        self._why: dict[str, str] = {}
        if books.failure:
            self._fail("open", books.failure)

    def is_up(self) -> bool:
        """Whether all counted calls are on the disk."""
        return self._is_up

    def record(self, call: CallEnded, recorded: asyncio.Future[bool]) -> None:
        """Count a call leg once it is on the disk; False where it was there already."""
        self._pending.append((call, recorded))
        self._wake.set()

    async def note(self, name: str) -> bytes | None:
        """Return the note under a name. Raises StoreError."""
        return await self._writer.do(partial(self._working_store().note, name))

    async def put_note(self, name: str, note: bytes) -> None:
        """Keep a note, durably, in place of the one before. Raises StoreError."""
        await self._writer.do(partial(self._working_store().put_note, name, note))

    def _working_store(self) -> Store:
        if self._books.store is None or not self._is_up:
            raise StoreError("the ledger does not work")
        return self._books.store

    async def run(self) -> None:
        """Write until ``close`` is called and everything is written."""
        loop = asyncio.get_running_loop()
        while not self._is_closing or self._pending:
            timer = loop.call_later(_UPKEEP_SECONDS, self._wake.set)
            await self._wake.wait()
            timer.cancel()
            self._wake.clear()
            if self._pending:
                await self._write()
            if time.monotonic() >= self._upkeep_at:
                await self._keep_up()
            if self._pending:
                self._wake.set()
        await self._finish()

    def close(self) -> None:
        """Let ``run`` end once nothing is pending."""
        self._is_closing = True
        self._wake.set()

    async def _write(self) -> None:
        batch, self._pending = self._pending[:_COMMIT_ROWS], self._pending[_COMMIT_ROWS:]
        is_new = await self._append([call for call, _ in batch])
        for (call, recorded), new in zip(batch, is_new, strict=True):
            if new:
                self._counting.fold(call)
            if not recorded.done():
                recorded.set_result(new)

    async def _append(self, calls: list[CallEnded]) -> list[bool]:
        """Record calls if the disk lets it; say of each whether it is to be counted."""
        books = self._books
        if self._is_up and books.store:
            first = books.last_row + 1
            # Counted on whatever comes of it: a commit that failed may be on the disk all the same.
            books.last_row += len(calls)
            started = time.perf_counter()
            others = [call for call in calls if not self._unrecorded.has(call)]
            try:
                is_new = await self._writer.do(partial(books.store.append, first, others))
            except Exception as error:  # noqa: BLE001  # an answer is owed whatever fails
                self._fail("append", error)
            else:
                if any(is_new):
                    self._instruments.commit.observe(time.perf_counter() - started)
                news = iter(is_new)
                return [not self._unrecorded.has(call) and next(news) for call in calls]
        return await self._append_in_memory(calls)

    async def _append_in_memory(self, calls: list[CallEnded]) -> list[bool]:
        store = self._books.store
        is_there = await self._writer.do(lambda: [bool(store and store.has(one)) for one in calls])
        is_new = [
            not there and self._unrecorded.add(call)
            for call, there in zip(calls, is_there, strict=True)
        ]
        if any(is_new):
            self._instruments.not_recorded.inc(sum(is_new))
            self._complain()
        return is_new

    async def _keep_up(self) -> None:
        self._upkeep_at = time.monotonic() + _UPKEEP_SECONDS
        store = self._books.store
        with self._survived("upkeep"):
            if not self._is_up or store is None:
                await self._recover()
            else:
                await self._look_after(store)

    async def _look_after(self, store: Store) -> None:
        if not (store.is_in_place() and self._home.is_claimed()):
            raise StoreError(f"{store.path} or its lock is not there any more")
        if self._is_checkpoint_due():
            await self._save(store)
        is_sure = self._clock.held() >= _SURE_SECONDS * SECOND
        step = partial(self._upkeep.step, store, self._clock(), self._books.saved_row)
        if await self._writer.do(partial(step, is_sure=is_sure)):
            self._upkeep_at = time.monotonic()

    def _is_checkpoint_due(self) -> bool:
        behind = self._books.last_row - self._books.saved_row
        is_late = time.monotonic() - self._saved_at >= _CHECKPOINT_SECONDS
        return behind >= _CHECKPOINT_ROWS or (behind > 0 and is_late)

    async def _save(self, store: Store) -> None:
        saved = Saved(self._books.last_row, self._counting.encode())
        await self._writer.do(partial(store.save, saved))
        self._books.saved_row = saved.last_row
        self._saved_at = time.monotonic()

    def _stepped(self, by: int) -> None:
        message = "the clock was set: no call is pruned for its age for an hour"
        self._log.warning(message, seconds=round(by / SECOND))

    async def _recover(self) -> None:
        books = self._books
        calls = list(self._unrecorded.calls)
        try:
            last_row = await self._writer.do(
                partial(self._begin_again, calls, self._counting.encode())
            )
        except StoreError as error:
            self._fail("recover", error)
            return
        books.last_row = books.saved_row = last_row
        self._unrecorded.recorded(len(calls))
        self._is_up = True
        self._instruments.up.set(1)
        self._log.info("the ledger records again", recorded=len(calls))

    def _begin_again(self, calls: list[CallEnded], state: bytes) -> int:
        """Open the database, write what only memory holds, and return the last row."""
        books = self._books
        if books.store:
            books.store.close()

        def write(store: Store) -> int:
            books.store = store  # where it cannot be written it may still be asked
            last_row = max(books.last_row, store.last_row())
            saved = Saved(last_row + len(calls), state)
            store.append(last_row + 1, calls, saved)
            if self._unrecorded.has_lost:
                store.doubt(self._clock())
            return saved.last_row

        return self._home.open(write)

    async def _finish(self) -> None:
        with self._survived("checkpoint"):
            if not self._is_up:
                await self._recover()
            if self._is_up and self._books.store:
                await self._save(self._books.store)
        if calls := self._unrecorded.calls:
            self._log.error("calls that could not be recorded", calls=len(calls))
        if self._books.store:
            await self._writer.do(self._books.store.close)
        self._writer.end()

    @contextlib.contextmanager
    def _survived(self, operation: LedgerOperation) -> Iterator[None]:
        """Go on, whatever fails: calls are counted all the same, and the log says why."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # as this says
            self._fail(operation, error)

    def _fail(self, operation: LedgerOperation, error: Exception) -> None:
        self._is_up = False
        if isinstance(error, DamagedError):
            self._home.damage = error
        self._instruments.failed(operation)
        self._why = {"operation": operation, "reason": str(error)}
        self._complain()

    def _complain(self) -> None:
        message = "not durable: the ledger does not work, calls are counted in memory"
        if self._log.is_due(message):
            self._log.error(message, unrecorded=len(self._unrecorded.calls), **self._why)

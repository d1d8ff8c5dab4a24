"""The ledger on disk: one task that writes, looks after the database, and recovers it."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import msgspec

from bandwidth_voice_exporter.ledger.database import LOG_ROOM, DamagedError, StoreError
from bandwidth_voice_exporter.ledger.recent import Recent
from bandwidth_voice_exporter.ledger.store import Checkpoint, Store
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import KINDS, Kind, LedgerInstruments
from bandwidth_voice_exporter.voice import SECOND, CallEnded, Clock

# What waits in memory for a failing disk, in some 50 MB; calls beyond are counted, not recorded.
_MAX_UNRECORDED = 50_000

_BATCH = 1000  # rows in one commit
_CHECKPOINT_ROWS = 10_000
_CHECKPOINT_SECONDS = 10.0
_UPKEEP_SECONDS = 1.0
_FULL = 0.9  # of max_bytes less the log's room, where pruning by size begins
_SURE_SECONDS = 3600.0  # for which the clock must not have been set to say how old a call is
_HELD_SECONDS = 5.0  # longer than a look-up of the exporter's own reads
_ANY_TIME = 2**63 - 1  # microseconds

_Result = TypeVar("_Result")


class Retention(msgspec.Struct, frozen=True):
    """How long rows are kept (microseconds by kind), and how much disk they may take."""

    keep: dict[Kind, int]
    max_bytes: int


class Books(msgspec.Struct):
    """Where a durable ledger stands: the database, the row it counts on from, what is saved."""

    store: Store | None
    last_row: int
    saved_row: int


class DurableLedger:
    """A ledger on disk. One task writes: all calls in flight share a commit, then are folded.

    While the disk fails, calls are counted in memory, and recorded once it works again.
    """

    def __init__(  # noqa: PLR0913  # what it works with, each by name
        self,
        books: Books,
        *,
        fold: Callable[[CallEnded], object],
        encode: Callable[[], bytes],
        reopen: Callable[[DamagedError | None], Store],
        is_claimed: Callable[[], bool],
        retention: Retention,
        clock: Clock,
        counted: LedgerInstruments,
        log: Log,
        failure: StoreError | None = None,
    ) -> None:
        self._books = books
        self._fold = fold
        self._encode = encode
        self._reopen = reopen
        self._is_claimed = is_claimed
        self._retention = retention
        self._clock = clock
        self._instruments = counted
        self._log = log
        self._pending: list[tuple[CallEnded, asyncio.Future[bool]]] = []
        self._unrecorded: list[CallEnded] = []
        self._in_memory = Recent()  # what was counted while the disk failed, until it is recorded
        self._has_lost = False  # some of it never will be
        self._wake = asyncio.Event()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._saved_at = time.monotonic()
        self._upkeep_at = time.monotonic()
        self._held_since: float | None = None
        self._is_closing = False
        self._is_up = True
        self._damage: DamagedError | None = None
        counted.up.set(1)
        clock.on_step(self._stepped)
        if failure:
            self._fail("open", failure)

    def is_up(self) -> bool:
        """Whether what is counted is on the disk."""
        return self._is_up

    def record(self, call: CallEnded, recorded: asyncio.Future[bool]) -> None:
        """Count a call leg once it is on the disk; False where it was there already."""
        self._pending.append((call, recorded))
        self._wake.set()

    async def note(self, name: str) -> bytes | None:
        """Return what was noted under a name. Raises StoreError."""
        store = self._open_store()
        return await self._in_thread(partial(store.note, name))

    async def put_note(self, name: str, note: bytes) -> None:
        """Keep a note, durably, in place of the one before. Raises StoreError."""
        store = self._open_store()
        await self._in_thread(partial(store.put_note, name, note))

    def _open_store(self) -> Store:
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
        batch, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
        is_new = await self._append([call for call, _ in batch])
        for (call, recorded), new in zip(batch, is_new, strict=True):
            if new:
                self._fold(call)
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
            others = [call for call in calls if not self._is_in_memory(call)]
            try:
                is_new = await self._in_thread(partial(books.store.append, first, others))
            except Exception as error:  # noqa: BLE001  # an answer is owed whatever fails
                self._fail("append", error)
            else:
                if any(is_new):
                    self._instruments.commit.observe(time.perf_counter() - started)
                news = iter(is_new)
                return [not self._is_in_memory(call) and next(news) for call in calls]
        return await self._append_in_memory(calls)

    async def _append_in_memory(self, calls: list[CallEnded]) -> list[bool]:
        has = self._books.store.has if self._books.store else _has_none
        is_there = await self._in_thread(lambda: [has(call) for call in calls])
        is_new = [
            not there and self._in_memory.add(call.event_type, call.call_id)
            for call, there in zip(calls, is_there, strict=True)
        ]
        if any(is_new):
            room = _MAX_UNRECORDED - len(self._unrecorded)
            self._has_lost |= sum(is_new) > room
            self._unrecorded += [call for call, new in zip(calls, is_new, strict=True) if new][
                :room
            ]
            self._instruments.not_recorded.inc(sum(is_new))
            self._complain()
        return is_new

    def _is_in_memory(self, call: CallEnded) -> bool:
        return self._in_memory.has(call.event_type, call.call_id)

    async def _keep_up(self) -> None:
        self._upkeep_at = time.monotonic() + _UPKEEP_SECONDS
        store = self._books.store
        try:
            if not self._is_up or store is None:
                await self._recover()
            elif not (store.is_in_place() and self._is_claimed()):
                raise StoreError(f"{store.path} or its lock is not there any more")  # noqa: TRY301
            else:
                await self._look_after(store)
        except Exception as error:  # noqa: BLE001  # calls go on being counted whatever fails
            self._fail("upkeep", error)

    async def _look_after(self, store: Store) -> None:
        if self._is_checkpoint_due():
            await self._save(store)
        is_held = await self._in_thread(store.is_log_held)
        self._watch_log(store.log_bytes(), is_held=is_held)
        has_more = await self._prune(store)
        has_more |= await self._in_thread(store.tidy)
        if has_more:
            self._upkeep_at = time.monotonic()
        if not is_held:  # the pages would lengthen the log, and the file would stay as long
            await self._in_thread(store.shrink)
        self._instruments.rows.set(store.rows())
        self._instruments.bytes.set(store.file_bytes())

    def _is_checkpoint_due(self) -> bool:
        behind = self._books.last_row - self._books.saved_row
        is_late = time.monotonic() - self._saved_at >= _CHECKPOINT_SECONDS
        return behind >= _CHECKPOINT_ROWS or (behind > 0 and is_late)

    async def _save(self, store: Store) -> None:
        checkpoint = Checkpoint(self._books.last_row, self._encode())
        await self._in_thread(partial(store.save, checkpoint))
        self._books.saved_row = checkpoint.last_row
        self._saved_at = time.monotonic()

    async def _prune(self, store: Store) -> bool:
        """Take one step with each kind; say whether there is more to do."""
        begun = self._clock()
        is_sure = self._clock.held() >= _SURE_SECONDS * SECOND
        if not is_sure:
            store.look_again()
        limit = (self._retention.max_bytes - LOG_ROOM) * _FULL
        is_full = await self._in_thread(store.used_bytes) > limit
        has_more = False
        for kind in KINDS:
            # Normal calls go first; failures only where none of those is left.
            is_any = is_full and not has_more
            if not (is_any or is_sure):
                continue
            before = _ANY_TIME if is_any else begun - self._retention.keep[kind]
            through = self._books.saved_row
            step = await self._in_thread(partial(store.prune, kind, before, begun, through))
            if step.rows:
                self._instruments.pruned(kind, step.rows, step.before)
            has_more |= step.has_more
            is_full = is_full and not step.rows
        return has_more

    def _watch_log(self, log_bytes: int, *, is_held: bool) -> None:
        self._instruments.wal_bytes.set(log_bytes)
        if not is_held:
            self._held_since = None
            self._instruments.wal_held.set(0)
            return
        self._held_since = self._held_since or time.monotonic()
        if time.monotonic() - self._held_since < _HELD_SECONDS:
            return
        self._instruments.wal_held.set(1)
        message = "the write-ahead log grows: a reader of the ledger stays, end it"
        if self._log.is_due(message):
            self._log.warning(message, bytes=log_bytes)

    def _stepped(self, by: int) -> None:
        message = "the clock was set: no call is pruned for its age for an hour"
        self._log.warning(message, seconds=round(by / SECOND))

    async def _recover(self) -> None:
        books = self._books
        calls = list(self._unrecorded)
        try:
            last_row = await self._in_thread(partial(self._begin_again, calls, self._encode()))
        except (StoreError, OSError) as error:
            self._fail("recover", error)
            return
        books.last_row = books.saved_row = last_row
        del self._unrecorded[: len(calls)]
        if not self._has_lost:
            self._in_memory = Recent()
        self._damage = None
        self._is_up = True
        self._instruments.up.set(1)
        self._log.info("the ledger records again", recorded=len(calls))

    def _begin_again(self, calls: list[CallEnded], state: bytes) -> int:
        """Open the database, a new one where it is damaged, and write what only memory holds.

        Return the last row.
        """
        if self._books.store:
            self._books.store.close()
        while True:
            # Where it cannot be written it may still be asked.
            store = self._books.store = self._reopen(self._damage)
            try:
                last_row = max(self._books.last_row, store.last_row())
                checkpoint = Checkpoint(last_row + len(calls), state)
                store.append(last_row + 1, calls, checkpoint)
                if self._has_lost:
                    store.doubt(self._clock())
            except DamagedError as damage:
                store.close()
                if self._damage:
                    raise
                self._damage = damage
            else:
                return checkpoint.last_row

    async def _finish(self) -> None:
        try:
            if not self._is_up:
                await self._recover()
            if self._is_up and self._books.store:
                await self._save(self._books.store)
        except Exception as error:  # noqa: BLE001  # the process ends, and says what it could not do
            self._fail("checkpoint", error)
        if self._unrecorded:
            self._log.error("calls that could not be recorded", calls=len(self._unrecorded))
        if self._books.store:
            await self._in_thread(self._books.store.close)
        self._writer.shutdown()

    def _fail(self, operation: str, error: Exception) -> None:
        self._is_up = False
        if isinstance(error, DamagedError):
            self._damage = error
        self._instruments.up.set(0)
        self._instruments.errors.labels(operation).inc()
        self._complain(operation=operation, reason=str(error))

    def _complain(self, **fields: object) -> None:
        message = "not durable: the ledger does not work, calls are counted in memory"
        if self._log.is_due(message):
            self._log.error(message, unrecorded=len(self._unrecorded), **fields)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)


def _has_none(call: CallEnded) -> bool:
    del call
    return False

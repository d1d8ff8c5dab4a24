"""Which calls have been counted: each leg once, however often it is delivered."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from bandwidth_voice_exporter.event import DISCONNECT, CallEnded
from bandwidth_voice_exporter.instruments import LedgerInstruments
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.store import Checkpoint, Kind, Store, StoreError

# Half an hour of redeliveries at 100 calls a second, in some 30 MB.
RECENT = 200_000
# What waits in memory for a failing disk, in some 50 MB; calls beyond are counted, not recorded.
_MAX_UNRECORDED = 50_000

_BATCH = 1000  # rows in one commit
_CHECKPOINT_ROWS = 10_000
_CHECKPOINT_SECONDS = 10.0
_UPKEEP_SECONDS = 1.0
_FULL = 0.9  # of max_bytes, where pruning by size begins

_Result = TypeVar("_Result")


class Ledger(Protocol):
    """Where a call leg is recorded before it is answered for."""

    async def record(self, call: CallEnded) -> bool:
        """Record and count a call leg; False where it has been counted before."""
        ...

    def is_up(self) -> bool:
        """Whether what is counted is recorded as it should be."""
        ...


class Recent:
    """The most recent keys of counted legs, oldest forgotten first."""

    def __init__(self, cap: int = RECENT) -> None:
        self._cap = cap
        self._keys: dict[str, None] = {}

    def add(self, event_type: str, call_id: str | None) -> bool:
        """Remember a leg; False where it is remembered already. One without an id is always new."""
        if call_id is None:
            return True
        # One text a key, and the call's own for nearly all: a tuple would take half as much again.
        key = call_id if event_type == DISCONNECT else f"{event_type}\n{call_id}"
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._cap:
            del self._keys[next(iter(self._keys))]
        return True


class MemoryLedger:
    """A ledger that forgets with the process."""

    def __init__(self, fold: Callable[[CallEnded], object], cap: int = RECENT) -> None:
        self._fold = fold
        self._recent = Recent(cap)

    async def record(self, call: CallEnded) -> bool:
        """Count a call leg unless it is among the recent ones."""
        is_new = self._recent.add(call.event_type, call.call_id)
        if is_new:
            self._fold(call)
        return is_new

    def is_up(self) -> bool:
        """Memory does not fail."""
        return True


class Retention(msgspec.Struct, frozen=True):
    """How long rows are kept (microseconds by kind), and how much disk they may take."""

    keep: dict[Kind, int]
    max_bytes: int


class Books(msgspec.Struct):
    """Where a durable ledger stands: the database, the row it counts on from, what is saved."""

    store: Store
    last_row: int
    saved_row: int
    rows: int


class DurableLedger:
    """A ledger on disk. One task writes: all calls in flight share a commit, then are folded.

    While the disk fails, calls are counted in memory, and recorded once it works again.
    """

    def __init__(  # noqa: PLR0913  # what it works with, each by name
        self,
        books: Books,
        *,
        recent: Recent,
        fold: Callable[[CallEnded], object],
        encode: Callable[[], bytes],
        reopen: Callable[[], Store],
        retention: Retention,
        counted: LedgerInstruments,
        log: Log,
        failure: StoreError | None = None,
    ) -> None:
        self._books = books
        self._recent = recent
        self._fold = fold
        self._encode = encode
        self._reopen = reopen
        self._retention = retention
        self._instruments = counted
        self._log = log
        self._pending: list[tuple[CallEnded, asyncio.Future[bool]]] = []
        self._unrecorded: list[CallEnded] = []
        self._wake = asyncio.Event()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._saved_at = time.monotonic()
        self._upkeep_at = time.monotonic()
        self._is_closing = False
        self._is_up = True
        counted.up.set(1)
        if failure:
            self._fail("open", failure)

    def is_up(self) -> bool:
        """Whether what is counted is on the disk."""
        return self._is_up

    async def record(self, call: CallEnded) -> bool:
        """Count a call leg once it is on the disk; False where it was there already."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending.append((call, answer))
        self._wake.set()
        return await answer

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
        fresh = [
            (call, answer)
            for call, answer in batch
            if self._recent.add(call.event_type, call.call_id)
        ]
        is_new = await self._append([call for call, _ in fresh])
        for (call, answer), new in zip(fresh, is_new, strict=True):
            if new:
                self._fold(call)
            if not answer.done():
                answer.set_result(new)
        for _, answer in batch:
            if not answer.done():
                answer.set_result(False)

    async def _append(self, calls: list[CallEnded]) -> list[bool]:
        """Record calls if the disk lets it; say of each whether it is to be counted."""
        books = self._books
        first = books.last_row + 1
        if self._is_up and calls:
            books.last_row += len(calls)
            started = time.perf_counter()
            try:
                is_new = await self._in_thread(lambda: books.store.append(first, calls))
            except Exception as error:  # noqa: BLE001  # an answer is owed whatever fails
                self._fail("append", error)
            else:
                self._instruments.commit.observe(time.perf_counter() - started)
                books.rows += sum(is_new)
                return is_new
        if calls:
            room = _MAX_UNRECORDED - len(self._unrecorded)
            self._unrecorded += calls[:room]
            self._instruments.not_recorded.inc(len(calls))
            self._complain()
        return [True] * len(calls)

    async def _keep_up(self) -> None:
        self._upkeep_at = time.monotonic() + _UPKEEP_SECONDS
        if self._is_up and not self._books.store.is_in_place():
            self._fail("open", StoreError(f"{self._books.store.path} is not there any more"))
        if not self._is_up:
            await self._recover()
            return
        try:
            if self._is_checkpoint_due():
                await self._save()
            if await self._prune():
                self._upkeep_at = time.monotonic()
        except StoreError as error:
            self._fail("upkeep", error)
        self._instruments.rows.set(self._books.rows)
        self._instruments.bytes.set(self._books.store.file_bytes())

    def _is_checkpoint_due(self) -> bool:
        behind = self._books.last_row - self._books.saved_row
        is_late = time.monotonic() - self._saved_at >= _CHECKPOINT_SECONDS
        return behind >= _CHECKPOINT_ROWS or (behind > 0 and is_late)

    async def _save(self) -> None:
        books = self._books
        checkpoint = Checkpoint(books.last_row, self._encode())
        await self._in_thread(lambda: books.store.save(checkpoint))
        books.saved_row = checkpoint.last_row
        self._saved_at = time.monotonic()

    async def _prune(self) -> bool:
        """Take one step with each kind; say whether there is more to do."""
        books = self._books
        now = time.time_ns() // 1000
        limit = self._retention.max_bytes * _FULL
        is_full = await self._in_thread(books.store.used_bytes) > limit
        has_more = False
        for kind in ("normal", "failure"):
            before = now - self._retention.keep[kind]
            # Normal calls go first; failures only where none of those is left.
            by_size = is_full and not has_more
            prune = partial(books.store.prune, kind, now if by_size else before, books.saved_row)
            step = await self._in_thread(prune)
            if step.rows:
                books.rows -= step.rows
                self._instruments.pruned(kind, step.rows, step.before)
            has_more |= step.has_more
            is_full = is_full and not step.rows
        await self._in_thread(books.store.shrink)
        return has_more

    async def _recover(self) -> None:
        books = self._books
        calls = list(self._unrecorded)
        checkpoint = Checkpoint(books.last_row + len(calls), self._encode())
        try:
            store = await self._in_thread(self._reopen)
            try:
                await self._in_thread(lambda: store.append(books.last_row + 1, calls, checkpoint))
            except StoreError:
                await self._in_thread(store.close)
                raise
        except (StoreError, OSError) as error:
            self._fail("recover", error)
            return
        old, books.store = books.store, store
        await self._in_thread(old.close)
        books.last_row = books.saved_row = checkpoint.last_row
        books.rows = await self._in_thread(store.rows)
        self._unrecorded.clear()
        self._is_up = True
        self._instruments.up.set(1)
        self._log.info("the ledger records again", recorded=len(calls))

    async def _finish(self) -> None:
        if not self._is_up:
            await self._recover()
        if self._is_up:
            try:
                await self._save()
            except StoreError as error:
                self._fail("checkpoint", error)
        if self._unrecorded:
            self._log.error("calls that could not be recorded", calls=len(self._unrecorded))
        await self._in_thread(self._books.store.close)
        self._writer.shutdown()

    def _fail(self, operation: str, error: Exception) -> None:
        self._is_up = False
        self._instruments.up.set(0)
        self._instruments.errors.labels(operation).inc()
        self._complain(operation=operation, reason=str(error))

    def _complain(self, **fields: object) -> None:
        message = "not durable: the ledger does not work, calls are counted in memory"
        if self._log.is_due(message):
            self._log.error(message, unrecorded=len(self._unrecorded), **fields)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

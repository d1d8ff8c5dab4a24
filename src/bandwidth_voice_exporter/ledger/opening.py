"""What a start makes of what the last run left on the disk."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from bandwidth_voice_exporter.ledger.books import Books
from bandwidth_voice_exporter.ledger.counting import Counting
from bandwidth_voice_exporter.ledger.database import EmptyError, NewerSchemaError, StoreError
from bandwidth_voice_exporter.ledger.directory import Claim
from bandwidth_voice_exporter.ledger.durable import DurableLedger
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints
from bandwidth_voice_exporter.ledger.home import Home
from bandwidth_voice_exporter.ledger.memory import MemoryLedger, NotingLedger
from bandwidth_voice_exporter.ledger.reader import Reader
from bandwidth_voice_exporter.ledger.store import FILE, Saved, Store
from bandwidth_voice_exporter.ledger.upkeep import Retention
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments, Kind, Tally
from bandwidth_voice_exporter.settings import Settings
from bandwidth_voice_exporter.voice import SECOND, CallEnded, Clock


def load(home: Home, counting: Counting) -> Books:
    """Open a ledger, fold what its checkpoint does not hold, and save the result.

    Saved at once, a birth at this start is not one of the next start's too.

    One that can be read but not written gives its totals, and the reason; so does one that cannot
    be made. Raises NewerSchemaError, and StoreError where there is one that cannot be read: to go
    on without it would count from 0.
    """

    def read(store: Store) -> Books:
        try:
            return _read(store, counting)
        except StoreError:
            store.close()
            home.fingerprints.clear()  # what they were of is not counted
            raise

    try:
        books = home.open(read)
    except NewerSchemaError:
        raise
    except StoreError as error:
        return _without_writing(home, counting, error)
    try:
        if books.store:
            books.store.save(Saved(books.last_row, counting.encode()))
            books.saved_row = books.last_row
    except StoreError as error:
        books.failure = error
    return books


def _timed(home: Home, counting: Counting, log: Log) -> Books:
    started = time.perf_counter()
    books = load(home, counting)
    log.info(
        "ledger loaded",
        rows=books.store.rows() if books.store else 0,
        seconds=round(time.perf_counter() - started, 3),
        path=home.path,
    )
    return books


def _without_writing(home: Home, counting: Counting, failure: StoreError) -> Books:
    try:
        books = home.read(lambda store: _read(store, counting)) if home.path.exists() else Books()
    except EmptyError:
        books = Books()
    except StoreError:
        raise failure from None
    books.failure = failure
    return books


def _read(store: Store, counting: Counting) -> Books:
    saved = store.checkpoint()
    saved_row = last_row = saved.last_row if saved else 0

    def since() -> Iterator[CallEnded]:
        nonlocal last_row
        for row, call in store.calls_after(saved_row):
            last_row = row
            yield call

    counting.resume(saved.state if saved else None, since())
    return Books(store, last_row, saved_row)


def looked_into(directory: Path) -> Reader:
    """Return what a ledger is asked by, as far as it is written now, its exporter running or not.

    Raises StoreError.
    """
    path = directory / FILE
    if not path.exists():
        raise StoreError(f"{path}: there is no ledger")
    fingerprints = Fingerprints()
    Store(path, fingerprints, read_only=True).close()
    return Reader(path, fingerprints)


@contextlib.asynccontextmanager
async def opened(  # noqa: PLR0913  # what it works with, each by name
    claim: Claim | None,
    settings: Settings,
    *,
    fingerprints: Fingerprints,
    clock: Clock,
    instruments: Instruments,
    log: Log,
) -> AsyncIterator[tuple[NotingLedger, Tally]]:
    """Give the ledger in a claimed directory, loaded and writing, and its tally.

    Without a directory it is one that forgets. On the way out all is written. Raises StoreError.
    """
    counting = Counting(settings, clock, instruments, log)
    if claim is None:
        log.warning("no storage path: what is counted is lost when the exporter ends")
        instruments.ledger.in_memory.set(1)
        instruments.ledger.up.set(1)
        clock.on_step(counting.tally.step)
        yield MemoryLedger(counting.fold), counting.tally
        return
    _tell_of_filesystem(claim, instruments, log)
    home = Home(claim, fingerprints, log)
    books = await asyncio.to_thread(_timed, home, counting, log)
    clock.on_step(counting.tally.step)
    ledger = DurableLedger(
        books,
        home=home,
        counting=counting,
        retention=_retention(settings),
        clock=clock,
        instruments=instruments.ledger,
        log=log,
    )
    async with _running(ledger):
        yield ledger, counting.tally


def _tell_of_filesystem(claim: Claim, instruments: Instruments, log: Log) -> None:
    instruments.ledger.filesystem_unknown.set(bool(claim.unknown_filesystem))
    if claim.unknown_filesystem:
        log.warning(
            "the ledger is on a kind of file system that is not known to keep it",
            kind=claim.unknown_filesystem,
            directory=claim.directory,
        )


@contextlib.asynccontextmanager
async def _running(ledger: DurableLedger) -> AsyncIterator[None]:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(ledger.run())
            try:
                yield
            finally:
                ledger.close()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures


def _retention(settings: Settings) -> Retention:
    keep: dict[Kind, int] = {
        "failure": round(settings.storage_retention * SECOND),
        "normal": round(settings.storage_retention_normal * SECOND),
    }
    return Retention(keep, settings.storage_max_bytes)

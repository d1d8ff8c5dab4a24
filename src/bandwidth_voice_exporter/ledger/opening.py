"""What a start makes of what the last run left on the disk."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.ledger import store
from bandwidth_voice_exporter.ledger.database import (
    DamagedError,
    EmptyError,
    NewerSchemaError,
    StoreError,
    set_aside,
)
from bandwidth_voice_exporter.ledger.directory import Claim, StorageError
from bandwidth_voice_exporter.ledger.durable import Books, DurableLedger, Retention
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints
from bandwidth_voice_exporter.ledger.memory import MemoryLedger, NotingLedger
from bandwidth_voice_exporter.ledger.reader import Reader
from bandwidth_voice_exporter.ledger.store import Checkpoint, Store
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments, Limits, Tally, checkpoint
from bandwidth_voice_exporter.settings import Settings
from bandwidth_voice_exporter.voice import SECOND, CallEnded, Clock, now

Begin = Callable[[bytes | None, Iterable[CallEnded]], Tally]
Encode = Callable[[Tally], bytes]


class Loaded(msgspec.Struct):
    """What was on the disk, folded; ``failure`` says why it can only be read."""

    books: Books
    tally: Tally
    failure: StoreError | None = None


def load(path: Path, fingerprints: Fingerprints, begin: Begin, encode: Encode, log: Log) -> Loaded:
    """Open a ledger, fold what its checkpoint does not hold, and save the result.

    Saved at once, a birth at this start is not one of the next start's too.

    A damaged one is moved aside and an empty one begun. One that can be read but not written gives
    its totals, and the reason; so does one that cannot be made. Raises NewerSchemaError, and
    StoreError where there is one that cannot be read: to go on without it would count from 0.
    """
    try:
        loaded = _read(Store(path, fingerprints), begin)
    except NewerSchemaError:
        raise
    except (DamagedError, checkpoint.CheckpointError) as error:
        _set_aside(path, error, log)
        fingerprints.clear()
        loaded = _read(_begun_anew(path, fingerprints), begin)
    except StoreError as error:
        return _without_writing(path, fingerprints, begin, error)
    books = loaded.books
    try:
        if books.store:
            books.store.save(Checkpoint(books.last_row, encode(loaded.tally)))
    except StoreError as error:
        loaded.failure = error
    else:
        books.saved_row = books.last_row
    return loaded


def _without_writing(
    path: Path, fingerprints: Fingerprints, begin: Begin, failure: StoreError
) -> Loaded:
    try:
        if not path.exists():
            raise EmptyError  # noqa: TRY301
        loaded = _read(Store(path, fingerprints, read_only=True), begin)
    except EmptyError:
        return Loaded(Books(None, 0, 0), begin(None, ()), failure)
    except StoreError:
        raise failure from None
    loaded.failure = failure
    return loaded


def looked_into(directory: Path) -> Reader:
    """Return what a ledger is asked by, as far as it is written now, its exporter running or not.

    Raises StoreError.
    """
    path = directory / store.FILE
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
    counted: Instruments,
    log: Log,
) -> AsyncIterator[tuple[NotingLedger, Tally]]:
    """Give the ledger in a claimed directory, loaded and writing, and its tally.

    Without a directory it is one that forgets. On the way out all is written. Raises StoreError.
    """
    if claim is None:
        log.warning("no storage path: what is counted is lost when the exporter ends")
        counted.ledger.in_memory.set(1)
        counted.ledger.up.set(1)
        tally = Tally(_limits(settings), clock())
        clock.on_step(tally.step)
        yield MemoryLedger(_counting(tally, counted)), tally
        return
    if claim.unknown_filesystem:
        log.warning(
            "the ledger is on a kind of file system that is not known to keep it",
            kind=claim.unknown_filesystem,
            directory=claim.directory,
        )
    counted.ledger.filesystem_unknown.set(bool(claim.unknown_filesystem))
    async with _on_disk(
        claim, settings, fingerprints=fingerprints, clock=clock, counted=counted, log=log
    ) as ledger_and_tally:
        yield ledger_and_tally


@contextlib.asynccontextmanager
async def _on_disk(  # noqa: PLR0913  # as above
    claim: Claim,
    settings: Settings,
    *,
    fingerprints: Fingerprints,
    clock: Clock,
    counted: Instruments,
    log: Log,
) -> AsyncIterator[tuple[NotingLedger, Tally]]:
    path = claim.directory / store.FILE
    names = settings.labels_application

    def begin(state: bytes | None, since: Iterable[CallEnded]) -> Tally:
        tally, anew = checkpoint.resume(state, _limits(settings), names, clock(), since)
        for what in anew:
            log.warning("configuration changed: counted from 0 again", what=what)
        return tally

    def encode(tally: Tally) -> bytes:
        return checkpoint.encode(tally, names)

    def reopen(damage: DamagedError | None) -> Store:
        try:
            claim.renew()
            if damage:
                _set_aside(path, damage, log)
                return _begun_anew(path, fingerprints)
            return Store(path, fingerprints)
        except StorageError as error:
            raise StoreError(str(error)) from error
        except DamagedError as error:
            _set_aside(path, error, log)
            return _begun_anew(path, fingerprints)

    started = time.perf_counter()
    loaded = await asyncio.to_thread(load, path, fingerprints, begin, encode, log)
    clock.on_step(loaded.tally.step)
    ledger = DurableLedger(
        loaded.books,
        fold=_counting(loaded.tally, counted),
        encode=lambda: encode(loaded.tally),
        reopen=reopen,
        is_claimed=claim.is_held,
        retention=_retention(settings),
        clock=clock,
        counted=counted.ledger,
        log=log,
        failure=loaded.failure,
    )
    log.info(
        "ledger loaded",
        rows=loaded.books.store.rows() if loaded.books.store else 0,
        seconds=round(time.perf_counter() - started, 3),
        path=path,
    )
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(ledger.run())
            try:
                yield ledger, loaded.tally
            finally:
                ledger.close()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures


def _read(opened: Store, begin: Begin) -> Loaded:
    saved = opened.checkpoint()
    saved_row = last_row = saved.last_row if saved else 0

    def since() -> Iterator[CallEnded]:
        nonlocal last_row
        for row, call in opened.calls_after(saved_row):
            last_row = row
            yield call

    tally = begin(saved.state if saved else None, since())
    return Loaded(Books(opened, last_row, saved_row), tally)


def _set_aside(path: Path, error: Exception, log: Log) -> None:
    place = set_aside(path, datetime.now(UTC))
    log.error("the ledger is damaged: moved aside, begun anew", to=place, reason=str(error))


def _begun_anew(path: Path, fingerprints: Fingerprints) -> Store:
    """Open a new ledger in the place of one that was lost."""
    store = Store(path, fingerprints)
    try:
        store.doubt(now())
    except BaseException:
        store.close()
        raise
    return store


def _counting(tally: Tally, counted: Instruments) -> Callable[[CallEnded], None]:
    def fold(call: CallEnded) -> None:
        counted.overflow(tally.fold(call))

    return fold


def _limits(settings: Settings) -> Limits:
    return Limits(
        applications=tuple(settings.labels_application),
        max_applications=settings.labels_max_applications,
        max_new_causes=settings.labels_max_new_causes,
        max_error_ids=settings.errors_max_ids,
        max_new_error_ids_per_minute=settings.errors_max_new_per_minute,
        newborn_hold=round(settings.metrics_newborn_hold * SECOND),
        exemplars=not settings.no_exemplars,
        reconciles=settings.reconcile_record,
    )


def _retention(settings: Settings) -> Retention:
    return Retention(
        {
            "failure": round(settings.storage_retention * SECOND),
            "normal": round(settings.storage_retention_normal * SECOND),
        },
        settings.storage_max_bytes,
    )

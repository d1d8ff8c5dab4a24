"""Opens the ledger that the last run left on the disk."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType

from bandwidth_voice_exporter.ledger import key
from bandwidth_voice_exporter.ledger.asked import Reader
from bandwidth_voice_exporter.ledger.books import Books
from bandwidth_voice_exporter.ledger.counting import Counting
from bandwidth_voice_exporter.ledger.database import EmptyError, NewerSchemaError, StoreError
from bandwidth_voice_exporter.ledger.directory import Claim
from bandwidth_voice_exporter.ledger.durable import DurableLedger
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints
from bandwidth_voice_exporter.ledger.home import Home
from bandwidth_voice_exporter.ledger.memory import MemoryLedger, NotingLedger
from bandwidth_voice_exporter.ledger.reader import LocalReader
from bandwidth_voice_exporter.ledger.running import running
from bandwidth_voice_exporter.ledger.runtime import Runtime
from bandwidth_voice_exporter.ledger.store import FILE, Saved, Store
from bandwidth_voice_exporter.ledger.upkeep import Retention
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments, Kind
from bandwidth_voice_exporter.settings import Settings
from bandwidth_voice_exporter.voice import SECOND, CallEnded


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
            home.fingerprints.clear()  # the rows they were of are not counted
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


def check(settings: Settings) -> None:
    """Look whether a shared ledger that settings name may be opened, without connecting to it.

    Raises ModuleNotFoundError, and StoreError for a file of the connection's that will not do.
    """
    if settings.ledger_url:
        postgres().check(settings)


def postgres() -> ModuleType:
    """Return the part that is an extra of the package. Raises ModuleNotFoundError."""
    from bandwidth_voice_exporter.ledger import postgres  # noqa: PLC0415  # an extra

    return postgres


def reader_of(settings: Settings, fingerprints: Fingerprints) -> Reader | None:
    """Return what the ledger is asked by that settings name; None where calls are not kept."""
    if settings.ledger_url:
        shared: Reader = postgres().reader(settings)
        return shared
    path = settings.storage_path
    return LocalReader(path / FILE, fingerprints) if path else None


def secret_of(settings: Settings, claim: Claim | None) -> bytes:
    """Return the secret by which ids that are not kept are told apart. Raises StoreError."""
    if settings.ledger_key_file is None:
        return claim.secret if claim else key.made()
    try:
        secret = key.found(settings.ledger_key_file)
    except OSError as error:
        message = f"--ledger.key-file {settings.ledger_key_file}: {error.strerror}"
        raise StoreError(message) from error
    if secret is None:
        raise StoreError(
            f"--ledger.key-file {settings.ledger_key_file}: a key has from {key.SHORTEST} to "
            f"{key.LONGEST} bytes, such as openssl rand -hex 32 gives"
        )
    return secret


def looked_into(directory: Path) -> Reader:
    """Return what a ledger is asked by, as far as it is written now, its exporter running or not.

    Raises StoreError.
    """
    path = directory / FILE
    if not path.exists():
        raise StoreError(f"{path}: there is no ledger")
    fingerprints = Fingerprints()
    Store(path, fingerprints, read_only=True).close()
    return LocalReader(path, fingerprints)


@contextlib.asynccontextmanager
async def opened(
    claim: Claim | None, settings: Settings, fingerprints: Fingerprints, runtime: Runtime
) -> AsyncIterator[NotingLedger]:
    """Give the ledger that settings name, writing: a shared one, or that in a claimed directory.

    Without a directory it is one that forgets. On the way out all is written. Raises StoreError.
    """
    counting = Counting(settings, runtime.clock, runtime.instruments, runtime.log)
    if claim:
        _tell_of_filesystem(claim, runtime.instruments, runtime.log)
    if settings.ledger_url:
        async with postgres().opened(
            settings,
            folder=claim.directory if claim else None,
            keep=_retention(settings).keep,
            counting=counting,
            runtime=runtime,
        ) as shared:
            yield shared
        return
    async with _alone(claim, settings, counting, fingerprints, runtime) as ledger:
        yield ledger


@contextlib.asynccontextmanager
async def _alone(
    claim: Claim | None,
    settings: Settings,
    counting: Counting,
    fingerprints: Fingerprints,
    runtime: Runtime,
) -> AsyncIterator[NotingLedger]:
    if claim is None:
        runtime.log.warning("no storage path: all counts are lost when the exporter ends")
        runtime.instruments.ledger.in_memory.set(1)
        runtime.instruments.ledger.up.set(1)
        counting.follow_clock()
        yield MemoryLedger(counting.fold, counting.tally)
        return
    home = Home(claim, fingerprints, runtime.log)
    books = await asyncio.to_thread(_timed, home, counting, runtime.log)
    counting.follow_clock()
    ledger = DurableLedger(
        books, home=home, counting=counting, retention=_retention(settings), runtime=runtime
    )
    async with running(ledger):
        yield ledger


def _tell_of_filesystem(claim: Claim, instruments: Instruments, log: Log) -> None:
    instruments.ledger.filesystem_unknown.set(bool(claim.unknown_filesystem))
    if claim.unknown_filesystem:
        log.warning(
            "the ledger is on a kind of file system that is not known to keep it",
            kind=claim.unknown_filesystem,
            directory=claim.directory,
        )


def _retention(settings: Settings) -> Retention:
    keep: dict[Kind, int] = {
        "failure": round(settings.storage_retention * SECOND),
        "normal": round(settings.storage_retention_normal * SECOND),
    }
    return Retention(keep, settings.storage_max_bytes)

"""Opens the share that this replica counted before, here or on another machine."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from bandwidth_voice_exporter.ledger.counting import Counting
from bandwidth_voice_exporter.ledger.postgres.keeper import Keeper
from bandwidth_voice_exporter.ledger.postgres.link import Link
from bandwidth_voice_exporter.ledger.postgres.reader import SharedReader
from bandwidth_voice_exporter.ledger.postgres.share import ReplicaShare
from bandwidth_voice_exporter.ledger.postgres.shared import SharedLedger
from bandwidth_voice_exporter.ledger.postgres.spool import Spool
from bandwidth_voice_exporter.ledger.postgres.target import target_of
from bandwidth_voice_exporter.ledger.running import running
from bandwidth_voice_exporter.ledger.runtime import Runtime
from bandwidth_voice_exporter.metrics import Kind
from bandwidth_voice_exporter.settings import Settings


def check(settings: Settings) -> None:
    """Look at what a connection needs, without one. Raises StoreError."""
    target_of(settings).check()


def reader(settings: Settings) -> SharedReader:
    """Return what the shared ledger is asked by."""
    return SharedReader(target_of(settings))


@contextlib.asynccontextmanager
async def opened(
    settings: Settings,
    *,
    folder: Path | None,
    keep: dict[Kind, int],
    counting: Counting,
    runtime: Runtime,
) -> AsyncIterator[SharedLedger]:
    """Give the ledger, writing: loaded, or waiting for the database if that is away.

    Calls wait for it in a folder, or in memory. Raises StoreError if the database cannot be used.
    """
    with contextlib.closing(await asyncio.to_thread(Spool, folder)) as spool:
        ledger = SharedLedger(
            Link(target_of(settings)),
            ReplicaShare(counting, spool),
            spool,
            Keeper(keep, runtime.clock, runtime.instruments.ledger),
            runtime,
        )
        await ledger.begin()
        async with running(ledger):
            yield ledger

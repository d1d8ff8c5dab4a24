"""Ledgers within the test's own process, of any kind, as an exporter opens them."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from bandwidth_voice_exporter.ledger import (
    Fingerprints,
    NotingLedger,
    Reader,
    Runtime,
    opened,
    reader_of,
)
from bandwidth_voice_exporter.ledger.directory import Claim
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments, Tally, catalog, checkpoint
from bandwidth_voice_exporter.settings import resolve
from bandwidth_voice_exporter.voice import CallEnded, Clock


class KilledError(Exception):
    """Ends a ledger as a kill does: nothing is saved."""


@dataclass
class Opened:
    """A ledger that writes, what it is asked by, and what it counts."""

    ledger: NotingLedger
    reader: Reader | None
    instruments: Instruments

    async def record(self, calls: Sequence[CallEnded]) -> list[bool]:
        """Record calls at once; say of each whether it is new."""
        loop = asyncio.get_running_loop()
        waiting = []
        for call in calls:
            future: asyncio.Future[bool] = loop.create_future()
            self.ledger.record(call, future)
            waiting.append(future)
        return list(await asyncio.gather(*waiting))

    @property
    def tally(self) -> Tally:
        """The calls that it counts."""
        return self.ledger.loaded().result()

    def totals(self) -> bytes:
        """All that must survive a restart."""
        return checkpoint.encode(self.tally, {})

    def legs(self) -> int:
        """How many legs the totals have."""
        return counted(self).total()


def counted(one: Opened) -> Counter[str]:
    """Legs by cause."""
    counts = one.tally.counts
    causes = Counter(one.tally.by_cause())
    for (_, cause, *_), count in counts[catalog.TRANSFER_LEGS.name].items():
        causes[cause] += count.value
    return +causes


async def until(probe: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition, while ledgers go on."""
    async with asyncio.timeout(seconds):
        while not probe():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def replica(
    url: str,
    name: str,
    flags: Mapping[str, str] | None = None,
    *,
    is_killed: bool = False,
    clock: Clock | None = None,
) -> AsyncIterator[Opened]:
    """One that shares a ledger, until it ends, or is killed."""
    shared = {"ledger.url": url, "replica.name": name, **(flags or {})}
    with contextlib.suppress(KilledError):
        async with ledger(shared, clock) as one:
            yield one
            if is_killed:
                raise KilledError


@contextlib.asynccontextmanager
async def ledger(flags: dict[str, str], clock: Clock | None = None) -> AsyncIterator[Opened]:
    """The ledger that an exporter with these flags writes to."""
    settings = resolve(flags, {}, {})
    instruments, fingerprints = Instruments(), Fingerprints()
    claim = Claim(settings.storage_path, allow_network_fs=False) if settings.storage_path else None
    try:
        runtime = Runtime(clock or Clock(), instruments, Log())
        async with opened(claim, settings, fingerprints, runtime) as one:
            yield Opened(one, reader_of(settings, fingerprints), instruments)
    finally:
        if claim:
            claim.release()

"""A ledger and Bandwidth's list of the same calls, at a clock that a test sets; no program."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bandwidth_voice_exporter.ledger import FILE, Claim, Fingerprints, NotingLedger, Runtime, opened
from bandwidth_voice_exporter.ledger.reader import LocalReader
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments, Tally, catalog
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.reconcile.opening import compared
from bandwidth_voice_exporter.reconcile.task import Reconciler
from bandwidth_voice_exporter.settings import Settings, resolve
from bandwidth_voice_exporter.voice import SECOND, Clock, Pseudonyms, from_json, read_event
from testkit import call_list
from testkit.call_list import CallList

Event = Mapping[str, Any]

# The fields of a call that its webhook and the list agree on.
COMPARED = (
    *(catalog.CALLS, catalog.SHORT_CALLS, catalog.TALK, catalog.TRANSFER_LEGS),
    *(catalog.DURATION, catalog.SETUP, catalog.UNANSWERED, catalog.QUEUE),
)


class Time:
    """A clock: microseconds since 1970."""

    def __init__(self, begins: datetime) -> None:
        self.now = begins

    def __call__(self) -> int:
        return round(self.now.timestamp() * SECOND)

    def date(self) -> datetime:
        """The time as the list's server has it."""
        return self.now


class Site:
    """An exporter's ledger, and what compares it with the list."""

    def __init__(
        self,
        ledger: NotingLedger,
        tally: Tally,
        reconciler: Reconciler,
        instruments: Instruments,
        time: Time,
    ) -> None:
        self.ledger = ledger
        self.tally = tally
        self.instruments = instruments
        self._reconciler = reconciler
        self._time = time
        self._pseudonyms = Pseudonyms(b"key")

    async def tell(self, event: Event) -> bool:
        """Let a webhook tell of a call; say whether it is new."""
        (is_new,) = await self.tell_all([event])
        return is_new

    async def tell_all(self, events: Sequence[Event]) -> list[bool]:
        """Let webhooks tell of calls, all now."""
        waiting: list[asyncio.Future[bool]] = []
        for event in events:
            read = read_event(from_json(json.dumps(event).encode()), self._time(), self._pseudonyms)
            self.instruments.event(read.event_type, "counted", read.field_errors)
            assert read.call
            waiting.append(asyncio.get_running_loop().create_future())
            self.ledger.record(read.call, waiting[-1])
        return await asyncio.gather(*waiting)

    async def compare(self) -> dict[str, int]:
        """Compare once; return how many calls were found to be what."""
        before = self.instruments.by(catalog.RECONCILE_CALLS, "verdict")
        assert await self._reconciler.compare(), self.failures()
        after = self.instruments.by(catalog.RECONCILE_CALLS, "verdict")
        return {name: round(n - before[name]) for name, n in after.items() if n != before[name]}

    async def go_on(self) -> None:
        """Compare again and again."""
        await self._reconciler.run()

    async def fail(self) -> str:
        """Compare once, in vain; return the reason."""
        before = self.failures()
        assert not await self._reconciler.compare()
        (reason,) = (name for name, n in self.failures().items() if n != before.get(name, 0))
        return reason

    def failures(self) -> dict[str, float]:
        """Comparisons in vain by reason."""
        counts = self.instruments.by(catalog.RECONCILE_FAILURES, "reason")
        return {reason: number for reason, number in counts.items() if number}

    def totals(self) -> dict[str, Any]:
        """The sums of all calls, as far as webhook and list agree."""
        return totals(self.tally)


def totals(tally: Tally) -> dict[str, Any]:
    """A tally's sums, in all that webhook and list agree on."""
    found: dict[str, Any] = {}
    for metric in COMPARED:
        name = metric.name
        counts = {key: count.value for key, count in tally.counts.get(name, {}).items()}
        sums = {key: (one.counts, one.sum) for key, one in tally.histograms.get(name, {}).items()}
        found[name] = {key: n for key, n in counts.items() if n} | {
            key: one for key, one in sums.items() if any(one[0])
        }
    return found


def expected(events: Sequence[Event]) -> dict[str, Any]:
    """The sums of calls, each counted once."""
    tally = Tally(Limits(), 0)
    for event in events:
        call = read_event(from_json(json.dumps(event).encode()), 1).call
        assert call
        tally.fold(call)
    return totals(tally)


def settings(directory: Path, listed: CallList, *flags: str) -> Settings:
    """The settings of an exporter that compares at once, and keeps rows for a month."""
    given = (*listed.flags, call_list.credentials(directory), *flags)
    chosen = {
        "storage.path": str(directory / "data"),
        "storage.retention": "30d",
        "storage.retention-normal": "30d",
        "reconcile.record": "true",
    }
    pairs = (one.removeprefix("--").partition("=") for one in given)
    return resolve(chosen | {flag: value for flag, _, value in pairs}, {}, {})


@contextlib.asynccontextmanager
async def site(directory: Path, listed: CallList, time: Time, *flags: str) -> AsyncIterator[Site]:
    """An exporter's life: the same directory goes on with the same ledger."""
    chosen = settings(directory, listed, *flags)
    assert chosen.storage_path
    counted, log = Instruments(), Log()
    clock = Clock(time, time)
    fingerprints = Fingerprints()
    reader = LocalReader(chosen.storage_path / FILE, fingerprints)
    claim = Claim(chosen.storage_path, allow_network_fs=False)
    try:
        async with (
            opened(claim, chosen, fingerprints, Runtime(clock, counted, log)) as ledger,
            compared(
                chosen,
                ledger=ledger,
                reader=reader,
                pseudonyms=Pseudonyms(b"key"),
                clock=clock,
                instruments=counted,
                log=log,
            ) as reconciler,
        ):
            yield Site(ledger, ledger.loaded().result(), reconciler, counted, time)
    finally:
        claim.release()


def moment(hours: float = 0.0) -> datetime:
    """So many hours into a day."""
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hours)

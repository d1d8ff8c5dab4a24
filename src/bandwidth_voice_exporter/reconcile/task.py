"""Comparisons one after the other; one that fails is reported, and tried again later."""

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from bandwidth_voice_exporter.ledger import NotingLedger, Reader, ReadError, StoreError
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.reconcile import notes as noted
from bandwidth_voice_exporter.reconcile.ask_error import AskError
from bandwidth_voice_exporter.reconcile.client import CallsClient
from bandwidth_voice_exporter.reconcile.coverage import TRANSFER, Coverage, Group
from bandwidth_voice_exporter.reconcile.judge import Verdicts
from bandwidth_voice_exporter.reconcile.notes import Notes
from bandwidth_voice_exporter.reconcile.sweep import LISTED, Sweep
from bandwidth_voice_exporter.voice import SECOND, labels

_FAILED = "the calls could not be compared with Bandwidth's list"
_LEDGER = "the ledger cannot be asked, or cannot keep how far comparing has come"
_NEVER_TOLD = "no webhook reports these calls: Bandwidth is not configured to send them"
_SOME_TOLD = "webhooks report only some of these calls: they are not counted from the list"
_TOO_LATE = "calls of more than 7 days ago were not compared in time: the list has dropped them"
_CLOCKS = "this machine's clock and Bandwidth's differ: one of them is wrong"
_FAR = 60 * SECOND  # more than clocks that are kept right, and an answer, are off
_DAY = 24 * 3600.0  # seconds
_LONGEST_BACKOFF = 6  # intervals

# The setting at Bandwidth that asks for an event of such a call.
_ASKED_BY = {
    "inbound": "CallStatusCallbackUrl of the application",
    "outbound": "disconnectUrl of the call",
    TRANSFER: "transferDisconnectUrl of the Transfer",
}


class Schedule(msgspec.Struct, frozen=True):
    """When to compare: seconds before the first time, and between two."""

    first: float
    interval: float


class Reconciler:
    """Compares an account's calls with the ledger, again and again; ``names`` by application id."""

    def __init__(  # noqa: PLR0913  # its parts, each by name
        self,
        account: str,
        *,
        client: CallsClient,
        sweep: Sweep,
        ledger: NotingLedger,
        reader: Reader,
        schedule: Schedule,
        names: Mapping[str, str],
        max_applications: int,
        clock: Callable[[], int],
        instruments: Instruments,
        log: Log,
    ) -> None:
        self._note = f"reconcile {account}"
        self._client = client
        self._sweep = sweep
        self._ledger = ledger
        self._reader = reader
        self._schedule = schedule
        self._names = names
        self._applications = labels.Admitted(frozenset(names) | labels.RESERVED, max_applications)
        self._clock = clock
        self._instruments = instruments.reconcile
        self._instruments.bear()
        self._log = log
        self._dice = random.SystemRandom()
        self._is_first = True
        self._sums: Verdicts = Verdicts()

    async def run(self) -> None:
        """Go on until cancelled."""
        await asyncio.sleep(self._schedule.first)
        failures = 0
        while True:
            failures = 0 if await self.compare() else failures + 1
            pause = self._schedule.interval * min(2 ** max(0, failures - 1), _LONGEST_BACKOFF)
            await asyncio.sleep(pause * self._dice.uniform(0.9, 1.0))

    async def compare(self) -> bool:
        """Compare once; say whether it could be finished."""
        reason, detail, advice = "", "", ""
        try:
            await self._tried()
        except AskError as error:
            reason, detail, advice = error.reason, error.detail, error.advice
        except (ReadError, StoreError) as error:
            reason, detail, advice = "ledger", str(error), _LEDGER
        except Exception:  # noqa: BLE001  # a mistake here must not end the rest
            reason = "internal"
            self._log.exception(_FAILED)
        self._instruments.ended(reason)
        if reason not in ("", "internal"):
            self._log.warning(_FAILED, reason=reason, detail=detail, advice=advice)
        return not reason

    async def _tried(self) -> None:
        if not self._ledger.is_up():
            raise StoreError("the ledger does not work")
        if not await self._ledger.reserve_notes():
            await self._follow()
            return
        await self._client.arrive()
        ahead = self._client.ahead
        if abs(ahead) > _FAR and self._log.is_due(_CLOCKS, _DAY):
            self._log.warning(_CLOCKS, bandwidth_is_ahead_seconds=round(ahead / SECOND))
        notes = await self._begun()
        if self._is_first:
            notes.coverage.outage(notes.alive + ahead, self._clock() + ahead)
        if notes.mark < self._clock() + ahead - LISTED:
            self._log.warning(_TOO_LATE, since=datetime.fromtimestamp(notes.mark // SECOND, UTC))
        self._sums = Verdicts()
        await self._sweep.run(notes, self._written)
        self._instruments.success.set(self._clock() / SECOND)
        self._tell(*await asyncio.to_thread(_standing, notes.coverage))
        sums = self._sums.by_verdict()
        self._log.info("the calls are compared with Bandwidth's list", **sums)
        await self._look_at_queue()

    async def _follow(self) -> None:
        """Show how far another replica has come, which compares for all of them."""
        note = await self._ledger.note(self._note)
        if note and (notes := noted.decoded(note)):
            self._instruments.success.set(notes.alive / SECOND)
            self._instruments.compared.set(notes.mark / SECOND)
        self._instruments.coverage.clear()
        self._instruments.queue.clear()
        self._is_first = True

    async def _begun(self) -> Notes:
        """Return where to go on from: at first from the first call that was counted."""
        note = await self._ledger.note(self._note)
        found = noted.decoded(note) if note else None
        if found:
            return found
        now = self._clock()
        bounds = await asyncio.to_thread(self._reader.bounds)
        first = now if bounds.first is None else bounds.first
        notes = Notes(mark=first + self._client.ahead, alive=now)
        await self._ledger.put_note(self._note, noted.encoded(notes))
        return notes

    async def _written(self, notes: Notes, outcome: Verdicts) -> None:
        await self._ledger.put_note(self._note, noted.encoded(notes))
        self._is_first = False
        for key, verdicts in outcome.calls.items():
            for verdict, number in verdicts.items():
                self._sums.add(key, verdict, number)
        for verdict, number in outcome.by_verdict().items():
            self._instruments.calls.labels(verdict).inc(number)
        if outcome.missed_since is not None:
            self._sums.miss(outcome.missed_since)
            self._instruments.missed_since.set((self._sums.missed_since or 0) / SECOND)
        self._instruments.compared.set(notes.mark / SECOND)

    async def _look_at_queue(self) -> None:
        """Show Bandwidth's queue, where these credentials let one see it."""
        try:
            found = await self._client.statistics()
        except AskError:  # the calls are compared all the same
            self._instruments.queue.clear()
            return
        for kind, size in (
            ("waiting", found.current_call_queue_size),
            ("capacity", found.max_call_queue_size),
        ):
            if size is not None:
                self._instruments.queue.labels(kind).set(size)

    def _tell(self, ratios: Mapping[Group, float], verdicts: Mapping[Group, str]) -> None:
        """Show the coverage of webhooks, and log once a day the calls that they do not report."""
        shown: dict[tuple[str, str], float] = {}
        for (application, direction), ratio in ratios.items():
            admitted, _ = self._applications.admit(application)
            name = self._names.get(admitted, admitted)
            shown[name, direction] = min(ratio, shown.get((name, direction), 1.0))
            verdict = verdicts[application, direction]
            message = {"not_configured": _NEVER_TOLD, "partial": _SOME_TOLD}.get(verdict)
            if message and self._log.is_due(f"{message} {application} {direction}", _DAY):
                self._log.warning(
                    message,
                    application=self._names.get(application, application),
                    direction=direction,
                    asked_by=_ASKED_BY.get(direction, "unknown"),
                )
        self._instruments.coverage.clear()
        for key, ratio in shown.items():
            self._instruments.coverage.labels(*key).set(ratio)


def _standing(coverage: Coverage) -> tuple[dict[Group, float], dict[Group, str]]:
    return dict(coverage.ratios()), coverage.verdicts()

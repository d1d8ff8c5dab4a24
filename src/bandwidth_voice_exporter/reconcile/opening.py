"""Reconciliation as it is set: beside a running ledger, or once, by hand, beside its files."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial

from bandwidth_voice_exporter.ledger import NotingLedger, Reader
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.meanwhile import meanwhile
from bandwidth_voice_exporter.metrics import KINDS, Instruments, Kind, catalog
from bandwidth_voice_exporter.reconcile import secret
from bandwidth_voice_exporter.reconcile.client import Account, connected
from bandwidth_voice_exporter.reconcile.notes import Notes
from bandwidth_voice_exporter.reconcile.report import Report
from bandwidth_voice_exporter.reconcile.sweep import LISTED, Sweep, SweepTerms
from bandwidth_voice_exporter.reconcile.task import Reconciler, Schedule
from bandwidth_voice_exporter.settings import Settings, SettingsError
from bandwidth_voice_exporter.version import version
from bandwidth_voice_exporter.voice import SECOND, Pseudonyms

_AGENT = f"bandwidth-voice-exporter/{version()}"
_SLACK = 1.1
_SINCE = (
    "--since: longer than --reconcile.settle, as younger calls may not be listed yet, and 7d at "
    "most, for which Bandwidth lists calls"
)


def checked(settings: Settings) -> Account:
    """Return the account to ask. Raises SettingsError if settings or file cannot be used."""
    account, file = settings.reconcile_account, settings.reconcile_credentials_file
    if account is None or file is None:
        raise SettingsError("--reconcile.account and --reconcile.credentials-file are needed")
    try:
        secret.read(file)
    except secret.SecretError as error:
        raise SettingsError(f"--reconcile.credentials-file {error}") from None
    return Account(account, settings.reconcile_api_url, settings.reconcile_token_url, file)


@contextlib.asynccontextmanager
async def compared(  # noqa: PLR0913  # its parts, each by name
    settings: Settings,
    *,
    ledger: NotingLedger,
    reader: Reader,
    pseudonyms: Pseudonyms,
    clock: Callable[[], int],
    instruments: Instruments,
    log: Log,
) -> AsyncIterator[Reconciler]:
    """Give what compares an account's calls with a ledger. Raises SettingsError."""
    place = checked(settings)
    async with connected(place, _AGENT, clock) as client:
        sweep = Sweep(
            client=client,
            reader=reader,
            ledger=ledger,
            pseudonyms=pseudonyms,
            terms=_terms(settings, instruments),
            clock=clock,
        )
        yield Reconciler(
            place.account,
            client=client,
            sweep=sweep,
            ledger=ledger,
            reader=reader,
            # New series are shown at 0 before anything is counted in them.
            schedule=Schedule(_SLACK * settings.metrics_newborn_hold, settings.reconcile_interval),
            names=settings.labels_application,
            max_applications=settings.labels_max_applications,
            clock=clock,
            instruments=instruments,
            log=log,
        )


@contextlib.asynccontextmanager
async def running(reconciler: Reconciler) -> AsyncIterator[None]:
    """Compare again and again meanwhile."""
    async with meanwhile(reconciler.run()):
        yield


async def report(
    settings: Settings,
    since: float,
    *,
    reader: Reader,
    pseudonyms: Pseudonyms,
    clock: Callable[[], int],
) -> Report:
    """Compare the calls of some seconds until now, once, and record nothing.

    Raises AskError, ReadError and SettingsError.
    """
    if not settings.reconcile_settle < since <= LISTED / SECOND:
        raise SettingsError(_SINCE)
    async with connected(checked(settings), _AGENT, clock) as client:
        sweep = Sweep(
            client=client,
            reader=reader,
            ledger=None,
            pseudonyms=pseudonyms,
            terms=_terms(settings),
            clock=clock,
        )
        await client.arrive()
        since_asked = clock() + client.ahead - round(since * SECOND)
        bounds = await asyncio.to_thread(reader.bounds)
        # Of earlier calls it knows nothing; one in place of a damaged one says so itself.
        begins = 0 if bounds.doubted else (bounds.first or 0) + client.ahead
        mark = max(since_asked, begins)
        found = Report(mark, settings.labels_application, is_since_first=mark > since_asked)
        await sweep.run(Notes(mark=mark, alive=clock()), found.take)
    return found


def _without_id(instruments: Instruments) -> int:
    reasons = instruments.by(catalog.FIELD_ERRORS, "reason", field="callId")
    return round(sum(reasons.values()))


def _pruned_before(instruments: Instruments) -> dict[Kind, int]:
    before = instruments.by(catalog.LEDGER_PRUNED_BEFORE, "kind")
    return {kind: round(before[kind] * SECOND) for kind in KINDS}


def _terms(settings: Settings, instruments: Instruments | None = None) -> SweepTerms:
    """Return what to compare; without a running exporter's instruments nothing is recorded."""
    settle = round(settings.reconcile_settle * SECOND)
    kept: dict[Kind, int] = {
        "failure": round(settings.storage_retention * SECOND),
        "normal": round(settings.storage_retention_normal * SECOND),
    }
    if instruments is None:
        return SweepTerms(settle, kept, records=False)
    return SweepTerms(
        settle,
        kept,
        records=settings.reconcile_record,
        without_id=partial(_without_id, instruments),
        pruned_before=partial(_pruned_before, instruments),
    )

"""The package's extras, whose dependencies are imported only if they are asked for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from bandwidth_voice_exporter.ledger import (
    Fingerprints,
    NotingLedger,
    Reader,
    ReadError,
    StoreError,
    check_ledger,
    kept_secret,
    looked_into,
    reader_of,
    secret_of,
)
from bandwidth_voice_exporter.listeners import Parts
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.open_files import OpenFiles
from bandwidth_voice_exporter.settings import Settings, SettingsError
from bandwidth_voice_exporter.voice import Pseudonyms, now

if TYPE_CHECKING:
    from bandwidth_voice_exporter import forward


class CannotCompareError(Exception):
    """Bandwidth's list, or the ledger, could not be read; the message says why."""


def check(settings: Settings) -> None:
    """Check settings that would fail only at run time. Raises SettingsError, UnusableError."""
    try:
        check_ledger(settings)
    except ModuleNotFoundError as error:
        raise _needs(error, "--ledger.url", "postgres") from None
    except StoreError as error:
        raise SettingsError(str(error)) from None
    if settings.handlers:
        _forward().keys_of(settings, Log(), lambda: bool)
    if settings.reconcile_account:
        _reconcile().checked(settings)


def overheard(settings: Settings) -> list[str]:
    """Return the handlers' hosts that credentials go to over plain http."""
    return _forward().overheard(settings) if settings.handlers else []


def keys(parts: Parts) -> "forward.Keys | None":
    """Follow the handlers' credentials and certificates. Raises UnusableError."""
    if not parts.settings.handlers:
        return None
    found: forward.Keys = _forward().keys_of(
        parts.settings, parts.log, parts.instruments.follow_credentials
    )
    parts.followed.add(found.credentials)
    parts.followed.add(found.certificates)
    return found


@contextlib.asynccontextmanager
async def forwarding(
    settings: Settings,
    found: "forward.Keys | None",
    room: OpenFiles,
    instruments: Instruments,
    log: Log,
) -> AsyncIterator[Mapping[str, "forward.Relay"]]:
    """Yield what each path's requests are passed on by."""
    if found is None:
        yield {}
        return
    async with _forward().opened(settings, found, room.webhook, instruments, log) as relays:
        yield relays


@contextlib.asynccontextmanager
async def reconciling(
    parts: Parts, ledger: NotingLedger, pseudonyms: Pseudonyms
) -> AsyncIterator[None]:
    """Compare with Bandwidth's list meanwhile, where it is asked for."""
    if not parts.settings.reconcile_account or parts.reader is None:
        yield
        return
    reconcile = _reconcile()
    async with (
        reconcile.compared(
            parts.settings,
            ledger=ledger,
            reader=parts.reader,
            pseudonyms=pseudonyms,
            clock=parts.clock,
            instruments=parts.instruments,
            log=parts.log,
        ) as reconciler,
        reconcile.running(reconciler),
    ):
        yield


def report(settings: Settings, seconds: float) -> str:
    """Compare the calls of some seconds until now with Bandwidth's list; return the result.

    Raises SettingsError and CannotCompareError.
    """
    if not settings.reconcile_account:
        raise SettingsError(
            "reconcile: it needs --reconcile.account and --reconcile.credentials-file, as the "
            "exporter has them"
        )
    reconcile = _reconcile()
    try:
        reader, secret = _looked_into(settings)
        found = asyncio.run(
            reconcile.report(
                settings,
                seconds,
                reader=reader,
                pseudonyms=Pseudonyms(secret),
                clock=now,
            )
        )
    except reconcile.AskError as error:
        raise CannotCompareError(f"reconcile: {error}") from None
    except (ReadError, StoreError, OSError) as error:
        raise CannotCompareError(
            f"reconcile: {error}; run it as the exporter's user and with its --storage.path"
        ) from None
    return "\n".join(filter(None, (found.text(), f"{found.summary()}\n")))


def _looked_into(settings: Settings) -> tuple[Reader, bytes]:
    """Return what a ledger is asked by beside its exporters, and its secret. Raises StoreError."""
    if settings.storage_path and not settings.ledger_url:
        return looked_into(settings.storage_path), kept_secret(settings.storage_path)
    reader = reader_of(settings, Fingerprints())
    if reader is None:
        raise StoreError("there is no ledger: it needs --storage.path or --ledger.url")
    return reader, secret_of(settings, None)


def _forward() -> ModuleType:
    try:
        from bandwidth_voice_exporter import forward  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise _needs(error, "--forward.url and --forward.route", "forward") from None
    return forward


def _reconcile() -> ModuleType:
    try:
        from bandwidth_voice_exporter import reconcile  # noqa: PLC0415  # as above
    except ModuleNotFoundError as error:
        raise _needs(error, "--reconcile.account", "reconcile") from None
    return reconcile


def _needs(error: ModuleNotFoundError, flags: str, extra: str) -> SettingsError:
    verb = "need" if " and " in flags else "needs"
    return SettingsError(
        f"{flags} {verb} {error.name}: pip install 'bandwidth-voice-exporter[{extra}]'"
    )

"""The process: two listeners on one event loop, opened and closed in order."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager

import uvloop

from bandwidth_voice_exporter import extras, open_files, ops, signals, webhook
from bandwidth_voice_exporter.followed import Files
from bandwidth_voice_exporter.http import address_of, bound, watching
from bandwidth_voice_exporter.ledger import Claim, NotingLedger, Runtime, opened, secret_of
from bandwidth_voice_exporter.listeners import Parts, private_listener, public_listener
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.open_files import OpenFiles
from bandwidth_voice_exporter.settings import Address, Settings
from bandwidth_voice_exporter.voice import Pseudonyms

# 512 events on their way take this many objects. Looking through them at each turn of the event
# loop would find nothing to take away, and would take a thirtieth of the time.
_YOUNG_OBJECTS = 10_000


def run(
    settings: Settings, files: Files, log: Log, welcome: Callable[[Address, Address], None]
) -> None:
    """Serve until a signal ends it; ``welcome`` is called once both listeners are open.

    Raises OpenFilesError, ListenError, StorageError and StoreError where it cannot begin, and
    SettingsError as check() does.
    """
    room = open_files.room(settings.webhook_max_connections, settings.files_each)
    if room.notice:
        log.warning("fewer connections than set", reason=room.notice)
    if settings.storage_notice:
        log.warning("ledger where earlier versions had it", reason=settings.storage_notice)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, files, room, log, welcome))


async def _serve(
    settings: Settings,
    files: Files,
    room: OpenFiles,
    log: Log,
    welcome: Callable[[Address, Address], None],
) -> None:
    stop = asyncio.Event()
    parts = Parts.of(settings, files, room, log)
    state = parts.state
    keys = extras.keys(parts)
    signals.attend(asyncio.get_running_loop(), stop.set, parts.followed.read_again)
    with (
        _claimed(settings) as claim,
        bound(settings.webhook_listen_address, "webhook.listen-address") as public,
        bound(settings.web_listen_address, "web.listen-address") as private,
    ):
        async with (
            watching([file.look for file in parts.followed.files], log),
            private_listener(parts, private, address_of(public[0])),
            _ledger(claim, parts) as ledger,
            extras.forwarding(settings, keys, room, parts.instruments, log) as relays,
        ):
            state.is_healthy, state.replicas = ledger.is_up, ledger.replicas
            state.takes_events = True
            _tell_ready("ops listener ready", private, log)
            pseudonyms = Pseudonyms(secret_of(settings, claim))
            intake = webhook.Intake(ledger, pseudonyms, parts.clock)
            async with (
                ops.shown(ledger.loaded(), state, ops.recall_of(parts.reader, settings, log)),
                ops.inquiring(settings.web_alerts_url, state),
                public_listener(parts, public, intake, relays),
                extras.reconciling(parts, ledger, pseudonyms),
            ):
                _spare_garbage_collector()
                _tell_ready("webhook listener ready", public, log)
                welcome(address_of(public[0]), address_of(private[0]))
                await _ended(stop, state, log)
    log.info("stopped")


async def _ended(stop: asyncio.Event, state: ops.State, log: Log) -> None:
    await stop.wait()
    log.info("stopping")
    state.is_stopping = True


def _spare_garbage_collector() -> None:
    gc.freeze()  # loaded objects stay: looking through all of them takes 15 ms
    gc.set_threshold(_YOUNG_OBJECTS)


def _tell_ready(ready: str, sockets: Sequence[socket.socket], log: Log) -> None:
    for sock in sockets:
        log.info(ready, address=address_of(sock))


def _ledger(claim: Claim | None, parts: Parts) -> AbstractAsyncContextManager[NotingLedger]:
    runtime = Runtime(parts.clock, parts.instruments, parts.log)
    return opened(claim, parts.settings, parts.fingerprints, runtime)


@contextlib.contextmanager
def _claimed(settings: Settings) -> Iterator[Claim | None]:
    if settings.storage_path is None:
        yield None
        return
    claim = Claim(settings.storage_path, allow_network_fs=settings.storage_allow_network_fs)
    try:
        yield claim
    finally:
        claim.release()

"""A check of what a start on this machine would fail for, or warn of, without one."""

import errno
from collections.abc import Iterator

from bandwidth_voice_exporter import extras, open_files
from bandwidth_voice_exporter.http import ListenError, bound
from bandwidth_voice_exporter.ledger import StorageError, look_at
from bandwidth_voice_exporter.open_files import OpenFilesError
from bandwidth_voice_exporter.settings import Settings


def obstacles(settings: Settings) -> list[str]:
    """Return what would keep an exporter from starting; nothing is made, written or listened on.

    If an exporter is running with the same ledger, its addresses and ledger in use are no obstacle.
    """
    return [*_files(settings), *_places(settings)]


def notices(settings: Settings) -> Iterator[str]:
    """Yield what a start would warn of. Raises OpenFilesError where it would fail."""
    yield open_files.room(settings.webhook_max_connections, settings.files_each).notice
    yield settings.storage_notice
    yield settings.credentials_notice
    if not settings.keeps_calls:
        yield "all counts are lost when the exporter ends: there is no storage path"
    for host in extras.overheard(settings):
        yield f"credentials go to the handler {host} over plain http"


def _files(settings: Settings) -> Iterator[str]:
    try:
        open_files.room(settings.webhook_max_connections, settings.files_each)
    except OpenFilesError as error:
        yield str(error)


def _places(settings: Settings) -> Iterator[str]:
    runs = False
    if settings.storage_path:
        try:
            runs = look_at(
                settings.storage_path, allow_network_fs=settings.storage_allow_network_fs
            )
        except StorageError as error:
            yield str(error)
    for flag, addresses in (
        ("webhook.listen-address", settings.webhook_listen_address),
        ("web.listen-address", settings.web_listen_address),
    ):
        for address in addresses:
            try:
                with bound([address], flag):
                    pass
            except ListenError as error:
                if not (runs and error.errno == errno.EADDRINUSE):
                    yield str(error)

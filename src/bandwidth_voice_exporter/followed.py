"""The files that are followed while the exporter runs: credentials, TLS and users."""

from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from bandwidth_voice_exporter import webhook
from bandwidth_voice_exporter.http import Reading, Security, Watch, reading, security
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments, ListenerName
from bandwidth_voice_exporter.settings import Settings


class Files(msgspec.Struct, frozen=True):
    """The files that are followed while the exporter runs: credentials, TLS and users."""

    credentials: Reading[tuple[str, ...]] | None
    public: Reading[security.Loaded]
    private: Reading[security.Loaded]


def read_files(settings: Settings) -> Files:
    """Read them. Raises CredentialsError and WebConfigError."""
    credentials_file = settings.webhook_credentials_file
    return Files(
        credentials=(
            reading(partial(webhook.read_credentials, credentials_file))
            if credentials_file
            else None
        ),
        public=security.load(settings.webhook_config_file, may_have_users=False),
        private=security.load(settings.web_config_file, may_have_users=True),
    )


class Follower(Protocol):
    """A part of the exporter that follows a file."""

    def look(self) -> None:
        """Read the file again, if it changed."""

    def read_again(self) -> None:
        """Read the file again."""


class Followed:
    """The present values of the files; ``credentials`` is None where anybody may send."""

    def __init__(
        self, settings: Settings, first: Files, log: Log, instruments: Instruments
    ) -> None:
        self._log = log
        self.credentials = _credentials(settings, first.credentials, log, instruments)
        self.private = _security(settings.web_config_file, first.private, "ops", log, instruments)
        self.public = _security(
            settings.webhook_config_file, first.public, "webhook", log, instruments
        )
        self.files: list[Follower] = []
        for follower in (self.credentials, self.private, self.public):
            self.add(follower)

    def add(self, follower: Follower | None) -> None:
        """Follow one more, if it is one."""
        if follower:
            self.files.append(follower)

    def read_again(self) -> None:
        """Read all of them, changed or not."""
        self._log.info("reading files again")
        for file in self.files:
            file.read_again()


def _security(
    path: Path | None,
    first: Reading[security.Loaded],
    listener: ListenerName,
    log: Log,
    instruments: Instruments,
) -> Security:
    return Security(
        path,
        first,
        log,
        listener=listener,
        may_have_users=listener == "ops",
        on_load=instruments.web_config_loaded.labels(listener).set,
        on_handshake_error=instruments.tls_handshake_errors.labels(listener).inc,
        on_certificate=lambda ends: instruments.certificate_ends.labels(listener).set(ends),
    )


def _credentials(
    settings: Settings, first: Reading[tuple[str, ...]] | None, log: Log, instruments: Instruments
) -> webhook.Credentials | None:
    if not settings.is_authenticated:
        log.warning(settings.credentials_notice)
        return None
    fixed = (settings.webhook_credential,) if settings.webhook_credential else ()
    file = settings.webhook_credentials_file
    return webhook.Credentials(
        fixed,
        Watch(first, partial(webhook.read_credentials, file)) if first and file else None,
        log,
        on_load=instruments.follow_credentials(),
    )

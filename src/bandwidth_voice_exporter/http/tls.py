"""TLS of a listener: contexts from certificates, and one that is always the newest."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Self

from bandwidth_voice_exporter.http.web_config import (
    NO_CLIENT_CERT,
    REQUIRE_AND_VERIFY,
    TLS12,
    TLS13,
    VERIFY_IF_GIVEN,
    TlsConfig,
    WebConfigError,
)

_VERSIONS = {TLS12: ssl.TLSVersion.TLSv1_2, TLS13: ssl.TLSVersion.TLSv1_3}
_MODES = {
    NO_CLIENT_CERT: ssl.CERT_NONE,
    VERIFY_IF_GIVEN: ssl.CERT_OPTIONAL,
    REQUIRE_AND_VERIFY: ssl.CERT_REQUIRED,
}


def context(config: TlsConfig) -> ssl.SSLContext:
    """Return a server's context. Raises WebConfigError for a file that cannot be used."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = _VERSIONS[config.min_version]
    made.sslobject_class = _Connection
    made.options |= ssl.OP_NO_RENEGOTIATION
    made.num_tickets = 1  # OpenSSL's two make a handshake a tenth dearer
    made.set_alpn_protocols(["http/1.1"])
    for file in config.files:
        _open(file)
    _load_chain(made, config)
    if config.client_ca_file:
        # As in Go, whatever is in the file is trusted, an intermediate certificate too.
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            made.load_verify_locations(config.client_ca_file)
        except (ssl.SSLError, OSError) as error:
            raise WebConfigError(f"{config.client_ca_file}: no certificates in PEM") from error
    made.verify_mode = _MODES[config.client_auth_type]
    return made


def _open(file: Path) -> None:
    """Find out whether a file can be read: OpenSSL does not say which one cannot."""
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise WebConfigError(f"{file}: {error.strerror}") from None


def _load_chain(made: ssl.SSLContext, config: TlsConfig) -> None:
    def password() -> str:
        # Without this OpenSSL would ask at the terminal, and the process wait for an answer.
        raise WebConfigError(f"{config.key_file}: the key is encrypted")

    try:
        made.load_cert_chain(config.cert_file, config.key_file, password)
    except (ssl.SSLError, OSError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise WebConfigError(
                f"{config.key_file}: not the key of the certificate in {config.cert_file}"
            ) from error
        raise WebConfigError(
            f"{config.cert_file}, {config.key_file}: not a certificate and its key in PEM"
        ) from error


class _Connection(ssl.SSLObject):
    """A connection that tells of a handshake that fails, which event loops keep to themselves."""

    on_error: Callable[[str], object]

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.on_error(error.reason or type(error).__name__)
            raise


class Following(ssl.SSLContext):
    """A context whose every new connection is one of the newest context.

    Nothing is shared between contexts, so neither a client certificate of a CA that is gone nor a
    session that it was resumed from outlives the change; connections that are open go on.
    """

    _newest: Callable[[], ssl.SSLContext]
    _on_error: Callable[[str], object]

    def __new__(
        cls, newest: Callable[[], ssl.SSLContext], on_error: Callable[[str], object]
    ) -> Self:
        """Return a context that follows a function's, and tells why handshakes fail."""
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made._newest = newest
        made._on_error = on_error
        return made

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  # the signature that is overridden
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection; event loops call this for each that they accept."""
        connection = self._newest().wrap_bio(
            incoming, outgoing, server_side, server_hostname, session
        )
        if isinstance(connection, _Connection):
            connection.on_error = self._on_error
        return connection

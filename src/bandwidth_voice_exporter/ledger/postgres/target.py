"""The database that a ledger is in: reached within a time, its refusals as sentences."""

import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import asyncpg
import msgspec

from bandwidth_voice_exporter.ledger.database import StoreError
from bandwidth_voice_exporter.ledger.postgres import hosts, trust
from bandwidth_voice_exporter.ledger.postgres.connection import PostgresConnection
from bandwidth_voice_exporter.ledger.postgres.hosts import NoHostError
from bandwidth_voice_exporter.ledger.postgres.schema import OLDEST_SERVER, SCHEMA
from bandwidth_voice_exporter.settings import Settings

STATEMENT_SECONDS = 4.0
_CONNECT_SECONDS = 3.0

# A session's parameters, whatever the server's defaults are; times in milliseconds.
SESSION = {
    "search_path": SCHEMA,
    "synchronous_commit": "on",
    # A transaction that waited for a lock then sees what the last holder did.
    "default_transaction_isolation": "read committed",
    "statement_timeout": "3500",
    "lock_timeout": "3000",
    # A stalled process must not keep others waiting for its rows.
    "idle_in_transaction_session_timeout": "5000",
    # A peer without a word for half a minute is gone, and with it its locks.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "jit": "off",
}

_REASONS = {
    "28P01": "the password is wrong: see --ledger.password-file",
    "28000": "the server lets no such role in from here, or asks for TLS (sslmode in the URL): "
    "see its pg_hba.conf",
    "3D000": "there is no such database: create it first",
    "42501": f"the role may not do that: it needs CONNECT, and to own the schema {SCHEMA} "
    f"(CREATE SCHEMA {SCHEMA} AUTHORIZATION …)",
    "42P01": "there is no ledger in the database: the first exporter makes it",
    "53300": "no connection is left: each exporter needs three, raise the server's max_connections "
    "or the CONNECTION LIMIT of the role or the database",
    "57P03": "the server starts or stops",
    "08P01": "a pooler is between, such as PgBouncer: its transaction mode breaks the locks that "
    "the exporter needs; connect to PostgreSQL itself",
}
_FLAG = "--ledger.url: "
_LATE = "the database does not answer in time"
# SQLSTATEs that waiting does not mend.
_FINAL = {"28P01", "28000", "3D000", "42501", "08P01"}
_STATE = """
    SELECT current_setting('server_version_num')::int, pg_backend_pid(),
        current_setting('server_encoding'), pg_is_in_recovery(),
        current_setting('default_transaction_read_only')::bool
"""
# A server of SQL_ASCII keeps what it is given, which is UTF-8.
_ENCODINGS = {"UTF8", "SQL_ASCII"}
_WHO_READS_ONLY = "SELECT source FROM pg_settings WHERE name = 'default_transaction_read_only'"
_LASTING = {"global", "database", "user", "database user"}


class AwayError(StoreError):
    """The database cannot be reached, or does not answer as it should, at present."""


class LedgerRefusedError(StoreError):
    """The database cannot be used; the message says why, and what to do."""


class LedgerTarget(msgspec.Struct, frozen=True):
    """The shared ledger's address, and the name that this replica counts under."""

    url: str
    password_file: Path | None
    name: str

    async def connect(
        self, statement_seconds: float | None = STATEMENT_SECONDS
    ) -> PostgresConnection:
        """Return a connection to the first host that takes writes, within some seconds.

        Raises AwayError, and LedgerRefusedError where no host is of any use; both say of each why.
        """
        self._check_trust()
        given = {
            "password": self._password(),
            "timeout": _CONNECT_SECONDS,
            "command_timeout": statement_seconds,
            "target_session_attrs": "any",  # what is looked at is told with a reason
            "server_settings": {
                **SESSION,
                "application_name": f"bandwidth-voice-exporter {self.name}"[:63],
            },
        }
        try:
            return await hosts.first(self.url, partial(self._connect, given), _CONNECT_SECONDS)
        except NoHostError as error:
            raise _together(error) from error

    async def _connect(self, given: Mapping[str, object], **place: object) -> PostgresConnection:
        connection: PostgresConnection = await asyncpg.connect(self.url, **given, **place)
        try:
            await _check(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def check(self) -> None:
        """Raise LedgerRefusedError where a file that a connection needs will not do."""
        self._check_trust()
        self._password()

    def _check_trust(self) -> None:
        if mistake := trust.mistake(self.url):
            raise LedgerRefusedError(f"--ledger.url: {mistake}")

    def _password(self) -> str | None:
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text().removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise LedgerRefusedError(
                f"--ledger.password-file {self.password_file}: {reason}"
            ) from error


def target_of(settings: Settings) -> LedgerTarget:
    """Return where settings say that it is."""
    if settings.ledger_url is None:
        raise AssertionError("the caller has checked it")
    return LedgerTarget(settings.ledger_url, settings.ledger_password_file, settings.replica_name)


async def _check(connection: PostgresConnection) -> None:
    """Raise AwayError or LedgerRefusedError where a server cannot be used."""
    version, process, encoding, is_standby, is_read_only = await connection.fetchrow(_STATE)
    if version < OLDEST_SERVER:
        raise LedgerRefusedError(
            f"--ledger.url: PostgreSQL {version // 10000} is too old: "
            f"{OLDEST_SERVER // 10000} or later is needed"
        )
    if process != connection.get_server_pid():  # a pooler tells a number of its own
        raise LedgerRefusedError(f"--ledger.url: {_REASONS['08P01']}")
    if encoding not in _ENCODINGS:
        raise LedgerRefusedError(
            f"--ledger.url: the database's encoding is {encoding}, which does not have every "
            f"character: create one with TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
        )
    if is_standby:
        raise AwayError("--ledger.url: it is a standby, which takes no writes")
    if is_read_only:
        await _explain_read_only(connection)


async def _explain_read_only(connection: PostgresConnection) -> None:
    """Raise AwayError where it is the whole server, as it may be while its disk is full."""
    if await connection.fetchval(_WHO_READS_ONLY) in _LASTING:
        raise LedgerRefusedError(
            "--ledger.url: the role or the database is set to read only: ALTER ROLE … RESET "
            "default_transaction_read_only, or ALTER DATABASE …"
        )
    raise AwayError(
        "--ledger.url: the server takes no writes at present (default_transaction_read_only)"
    )


def _together(error: NoHostError) -> StoreError:
    """Return the errors of all hosts as one; waiting may mend it if it may mend one of them."""
    each = [(host, explained(one)) for host, one in error.failures]
    if len(each) == 1:
        return each[0][1]
    said = "; ".join(f"{host}: {str(one).removeprefix(_FLAG)}" for host, one in each)
    is_final = all(isinstance(one, LedgerRefusedError) for _, one in each)
    return (LedgerRefusedError if is_final else AwayError)(f"{_FLAG}{said}")


def explained(error: Exception) -> StoreError:
    """Return an error of the driver, the server or the network as one of ours."""
    if isinstance(error, StoreError):
        return error
    state = getattr(error, "sqlstate", None) or ""
    said = f"{type(error).__name__}: {error}".replace("\n", " ")
    if isinstance(error, ssl.SSLCertVerificationError):
        return LedgerRefusedError(
            f"--ledger.url: the server's certificate is not trusted: name its authority by "
            f"sslrootcert in the URL ({error.verify_message})"
        )
    if reason := _REASONS.get(state):
        kind = LedgerRefusedError if state in _FINAL else AwayError
        return kind(f"--ledger.url: {reason} ({error})")
    if "rejected SSL upgrade" in said:
        return LedgerRefusedError("--ledger.url: sslmode asks for TLS, and the server has none")
    if isinstance(error, asyncpg.exceptions.ClientConfigurationError):
        return LedgerRefusedError("--ledger.url: " + " ".join(str(error).split()))
    is_late = isinstance(error, TimeoutError)
    return AwayError(f"--ledger.url: {_LATE if is_late else said}")

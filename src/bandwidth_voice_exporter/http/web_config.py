"""A listener's web configuration: the part of exporter-toolkit's file format that matters here."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
import yaml

from bandwidth_voice_exporter.http.watch import Looks, UnusableError
from bandwidth_voice_exporter.settings import hint

TLS = "tls_server_config"
USERS = "basic_auth_users"
_TLS_KEYS = ("cert_file", "key_file", "client_ca_file", "client_auth_type", "min_version")

NO_CLIENT_CERT = "NoClientCert"
VERIFY_IF_GIVEN = "VerifyClientCertIfGiven"
REQUIRE_AND_VERIFY = "RequireAndVerifyClientCert"
_VERIFYING = (VERIFY_IF_GIVEN, REQUIRE_AND_VERIFY)
_NOT_VERIFYING = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")

TLS12 = "TLS12"
TLS13 = "TLS13"

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_NULL = "tag:yaml.org,2002:null"


class WebConfigError(UnusableError):
    """A web configuration that cannot be used; the message names file and key, never a hash."""


class TlsConfig(msgspec.Struct, frozen=True):
    """The values of ``tls_server_config``."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    client_auth_type: str = NO_CLIENT_CERT
    min_version: str = TLS12

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it names."""
        return tuple(filter(None, (self.cert_file, self.key_file, self.client_ca_file)))


class WebConfig(msgspec.Struct, frozen=True):
    """The values of the file; ``users`` are bcrypt hashes by user name."""

    tls: TlsConfig | None = None
    users: Mapping[bytes, bytes] = {}


def read(path: Path, looks: Looks) -> WebConfig:
    """Return what a file says. Raises WebConfigError where it cannot be used."""
    try:
        return parse(looks.at(path).read_text(encoding="utf-8"), path.parent)
    except OSError as error:
        raise WebConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WebConfigError(f"{path}: not UTF-8") from None
    except WebConfigError as error:
        raise WebConfigError(f"{path}: {error}") from None


def parse(text: str, directory: Path) -> WebConfig:
    """Return what a text says, in which paths are relative to a directory.

    Raises WebConfigError if it is not YAML, has unknown keys, or keys that exclude each other.
    """
    try:
        # Nodes and not values: a key that is there twice shows, and a user called "no" stays text.
        document = yaml.compose(text, yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise WebConfigError(_problem(error)) from None
    if document is None:
        return WebConfig()
    sections = _mapping(document, "the file", (TLS, USERS))
    return WebConfig(
        tls=_tls(sections[TLS], directory) if TLS in sections else None,
        users=_users(sections[USERS]) if USERS in sections else {},
    )


def _tls(node: yaml.Node, directory: Path) -> TlsConfig:
    values = {
        key: _scalar(value, f"{TLS}.{key}") for key, value in _mapping(node, TLS, _TLS_KEYS).items()
    }
    for key in ("cert_file", "key_file"):
        if not values.get(key):
            raise WebConfigError(f"{TLS}: {key} is missing")
    client_ca_file = values.get("client_ca_file")
    client_auth_type = values.get("client_auth_type") or NO_CLIENT_CERT
    _validate_client_auth(client_auth_type, has_ca=bool(client_ca_file))
    min_version = values.get("min_version") or TLS12
    if min_version not in (TLS12, TLS13):
        raise WebConfigError(f"{TLS}.min_version {min_version}: not one of {TLS12}, {TLS13}")
    return TlsConfig(
        cert_file=directory / values["cert_file"],
        key_file=directory / values["key_file"],
        client_ca_file=directory / client_ca_file if client_ca_file else None,
        client_auth_type=client_auth_type,
        min_version=min_version,
    )


def _validate_client_auth(name: str, *, has_ca: bool) -> None:
    if name in _NOT_VERIFYING:
        raise WebConfigError(
            f"{TLS}.client_auth_type {name}: Python cannot ask for a client certificate without "
            f"verifying it; {VERIFY_IF_GIVEN} and {REQUIRE_AND_VERIFY} verify it"
        )
    if name not in (NO_CLIENT_CERT, *_VERIFYING):
        known = ", ".join((NO_CLIENT_CERT, *_VERIFYING))
        raise WebConfigError(f"{TLS}.client_auth_type {name}: not one of {known}")
    if has_ca and name == NO_CLIENT_CERT:
        raise WebConfigError(
            f"{TLS}: client_ca_file does nothing without a client_auth_type that verifies"
        )
    if not has_ca and name in _VERIFYING:
        raise WebConfigError(f"{TLS}.client_auth_type {name}: client_ca_file is missing")


def _users(node: yaml.Node) -> dict[bytes, bytes]:
    users: dict[bytes, bytes] = {}
    for user, value in _mapping(node, USERS).items():
        if not user or ":" in user:
            raise WebConfigError(f"{USERS}: {user!r} cannot be a user: empty, or with a colon")
        stored = _scalar(value, f"{USERS}.{user}")
        if not _BCRYPT.fullmatch(stored):
            raise WebConfigError(f"{USERS}.{user}: not a bcrypt hash")
        users[user.encode()] = stored.encode()
    if not users:
        raise WebConfigError(f"{USERS}: nobody is in it")
    return users


def _mapping(
    node: yaml.Node, name: str, known: Collection[str] | None = None
) -> dict[str, yaml.Node]:
    """Return a mapping's values by key; where keys are known, another one is an error."""
    if node.tag == _NULL:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise WebConfigError(f"{name}: not a mapping")
    values: dict[str, yaml.Node] = {}
    for key_node, value in node.value:
        key = _scalar(key_node, f"a key of {name}")
        if known is not None and key not in known:
            where = f"{name}.{key}" if name == TLS else key
            raise WebConfigError(f"{where}: no such key here{hint(key, known)}")
        if key in values:
            raise WebConfigError(f"{name}: {key} is there twice")
        values[key] = value
    return values


def _scalar(node: yaml.Node, name: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise WebConfigError(f"{name}: not a text")
    return "" if node.tag == _NULL else str(node.value)


def _problem(error: Exception) -> str:
    """Say where the YAML is wrong, without quoting the line, which may be a hash."""
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}: " if mark else ""
    return f"{place}not YAML: {getattr(error, 'problem', None) or 'unreadable'}"

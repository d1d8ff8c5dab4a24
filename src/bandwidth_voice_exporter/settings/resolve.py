"""Resolves flags, environment and file to one frozen, validated value."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import msgspec

from bandwidth_voice_exporter.settings import credential, paths, state
from bandwidth_voice_exporter.settings.database import host_name
from bandwidth_voice_exporter.settings.near import hint, nearest
from bandwidth_voice_exporter.settings.options import (
    CONFIG_VARIABLE,
    ENVIRONMENT_PREFIX,
    OPTIONS,
    PASSWORD,
    USERNAME,
    Option,
)
from bandwidth_voice_exporter.settings.values import LOCALHOST, Address, Url, directory

_PORT = 10061
# Keys of the file that are tables themselves, and their contents.
_TABLES = {"labels.application": "a name", "forward.route": "a URL"}
_LONGEST_FORWARD = 24.0
_LISTED = 7 * 24 * 3600.0
_DEFAULT = "default"
_SMALLEST_LEDGER = 16 * 1024**2


class SettingsError(ValueError):
    """Settings that cannot be used; the message names the flag."""


class Settings(msgspec.Struct, frozen=True):
    """Everything that can be set; durations in seconds, sizes in bytes."""

    webhook_listen_address: tuple[Address, ...]
    webhook_path: str
    webhook_credentials_file: Path | None
    webhook_allow_unauthenticated: bool
    webhook_config_file: Path | None
    webhook_max_body_bytes: int
    webhook_max_connections: int
    webhook_trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    forward_url: str | None
    forward_route: dict[str, str]
    forward_credentials_file: Path | None
    forward_timeout: float
    forward_ca_file: Path | None
    forward_max_body_bytes: int
    forward_on_failure: str
    reconcile_account: str | None
    reconcile_credentials_file: Path | None
    reconcile_interval: float
    reconcile_settle: float
    reconcile_record: bool
    reconcile_api_url: str
    reconcile_token_url: str
    web_listen_address: tuple[Address, ...]
    web_config_file: Path | None
    web_telemetry_path: str
    web_external_url: Url | None
    web_route_prefix: str
    web_allowed_host: tuple[str, ...]
    web_pages_public: bool
    web_alerts_url: str | None
    labels_application: dict[str, str]
    labels_max_applications: int
    labels_max_new_causes: int
    errors_max_ids: int
    errors_max_new_per_minute: int
    metrics_newborn_hold: float
    metrics_native_histograms: bool
    no_exemplars: bool
    storage_path: Path | None
    storage_retention: float
    storage_retention_normal: float
    storage_max_bytes: int
    storage_allow_network_fs: bool
    ledger_url: str | None
    ledger_password_file: Path | None
    ledger_key_file: Path | None
    replica_name: str
    log_level: str
    log_format: str
    webhook_credential: str | None = None
    storage_notice: str = ""

    @property
    def is_authenticated(self) -> bool:
        """Whether events need credentials."""
        return self.webhook_credentials_file is not None or self.webhook_credential is not None

    @property
    def credentials_notice(self) -> str:
        """A warning where events need no credentials; empty where they do."""
        if self.is_authenticated:
            return ""
        return "the webhook listener takes events from anybody who reaches it"

    @property
    def keeps_calls(self) -> bool:
        """Whether calls can be looked up after they are counted."""
        return self.storage_path is not None or self.ledger_url is not None

    @property
    def handlers(self) -> dict[str, str]:
        """The URL of a handler by the path whose requests are passed on to it."""
        own = {self.webhook_path: self.forward_url} if self.forward_url else {}
        return {**own, **self.forward_route}

    @property
    def files_each(self) -> int:
        """How many open files a webhook's connection may take: one more on to a handler."""
        return 2 if self.handlers else 1

    @property
    def web_link_prefix(self) -> str:
        """The prefix of the ops listener's paths for a browser, which a proxy may cut."""
        return self.web_external_url.path if self.web_external_url else self.web_route_prefix


def resolve(
    flags: Mapping[str, str], environ: Mapping[str, str], file: Mapping[str, object]
) -> Settings:
    """Choose each value from flag, environment, file and default, in that order.

    ``flags`` are keyed by flag name, ``file`` is a parsed TOML document. Raises SettingsError.
    """
    _refuse_unknown(environ)
    from_file = dict(_flatten(file))
    values: dict[str, Any] = {}
    given: dict[str, bool] = {}
    for option in OPTIONS:
        origin, text = _chosen(option, flags, environ, from_file)
        values[option.field] = _parsed(option, origin, text)
        given[option.field] = origin != _DEFAULT
    values["webhook_credential"] = _credential(environ)
    is_authenticated = bool(values["webhook_credentials_file"] or values["webhook_credential"])
    if values["webhook_listen_address"] is None:
        values["webhook_listen_address"] = (Address("" if is_authenticated else LOCALHOST, _PORT),)
    external = values["web_external_url"]
    if values["web_route_prefix"] is None:
        values["web_route_prefix"] = external.path if external else ""
    if not given["storage_path"] and not values["ledger_url"]:
        found = _place(environ)
        values["storage_path"], values["storage_notice"] = found.path, found.notice
    if values["replica_name"] is None:
        values["replica_name"] = host_name()
    settings = Settings(**values)
    _refuse_alone(settings, given)
    _validate(settings)
    return settings


def _chosen(
    option: Option,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    from_file: Mapping[str, str],
) -> tuple[str, str]:
    """Return an option's text, after where it is from."""
    text = flags.get(option.flag)
    if text is not None:
        return f"--{option.flag}", text
    text = environ.get(option.variable)
    # Set to nothing is not set, but for a path that may be none.
    if text or (text is not None and option.parse is directory):
        return option.variable, text
    text = from_file.get(option.flag)
    if text is not None:
        return f"{option.flag} in the file", text
    return _DEFAULT, option.default


def _place(environ: Mapping[str, str]) -> state.StatePlace:
    try:
        return state.place(environ)
    except ValueError as error:
        raise SettingsError(f"--storage.path: {error}") from None


def _parsed(option: Option, origin: str, text: str) -> Any:
    if text == "" and option.default == "" and not option.may_be_empty:
        return None
    try:
        return option.parse(text)
    except ValueError as error:
        # A text with an @ may have a password before it.
        shown = "" if option.is_switch or "@" in text else f" {text!r}"
        raise SettingsError(f"{origin}{shown}: {error}") from None


def _credential(environ: Mapping[str, str]) -> str | None:
    user, password = (_line(environ, name) for name in (USERNAME, PASSWORD))
    if bool(user) != bool(password):
        raise SettingsError(f"{USERNAME} and {PASSWORD} go together: one of them is not set")
    if ":" in user:
        raise SettingsError(f"{USERNAME}: a user name cannot contain a colon")
    return f"{user}:{password}" if user else None


def _line(environ: Mapping[str, str], name: str) -> str:
    """Return a variable without the end of line that a file or a secret made with echo gave it."""
    text = environ.get(name, "")
    if text.endswith("\n"):
        text = text[:-1].removesuffix("\r")
    if (reason := credential.mistake(text)) is not None:
        raise SettingsError(f"{name}: {reason}")
    return text


def _refuse_alone(settings: Settings, given: Mapping[str, bool]) -> None:
    """Refuse what was set and does nothing, since another option is not set."""
    missing = {
        "forward": None if settings.handlers else "there is no --forward.url or --forward.route",
        "reconcile": None if settings.reconcile_account else "it needs --reconcile.account",
        "ledger": None if settings.ledger_url else "there is no --ledger.url",
    }
    missing["replica"] = missing["ledger"]
    for option in OPTIONS:
        reason = missing.get(option.flag.partition(".")[0])
        value = getattr(settings, option.field)
        is_on = given[option.field] and value not in (None, {}) and value is not False
        if reason and is_on:
            raise SettingsError(f"--{option.flag}: {reason}")


def _validate(settings: Settings) -> None:
    _validate_forwarding(settings)
    public = [one for one in settings.webhook_listen_address if not one.is_loopback()]
    if public and not (settings.is_authenticated or settings.webhook_allow_unauthenticated):
        raise SettingsError(
            f"--webhook.listen-address {public[0]}: without credentials the webhook listener only "
            f"listens on loopback; set --webhook.credentials-file, or "
            f"--webhook.allow-unauthenticated if anybody may send events"
        )
    _validate_reconciling(settings)
    if not settings.webhook_max_connections:
        raise SettingsError("--webhook.max-connections: without any nothing can come in")
    if settings.storage_max_bytes < _SMALLEST_LEDGER:
        raise SettingsError("--storage.max-bytes: a ledger needs at least 16MiB")
    listened = [
        one for one in (*settings.webhook_listen_address, *settings.web_listen_address) if one.port
    ]
    for one in listened:
        if listened.count(one) > 1:
            raise SettingsError(
                f"--webhook.listen-address and --web.listen-address: {one} is there twice"
            )
    if settings.web_telemetry_path in paths.TAKEN or settings.web_telemetry_path.startswith(
        paths.STATIC
    ):
        raise SettingsError(
            f"--web.telemetry-path {settings.web_telemetry_path}: something else is there"
        )


def _validate_forwarding(settings: Settings) -> None:
    if not settings.handlers:
        return
    public = [one for one in settings.webhook_listen_address if not one.is_loopback()]
    if public and not settings.is_authenticated:
        raise SettingsError(
            f"--webhook.listen-address {public[0]}: anybody who reaches it could send to the "
            f"handlers through it; forwarding off loopback needs --webhook.credentials-file"
        )
    if settings.forward_url and settings.webhook_path in settings.forward_route:
        raise SettingsError(f"--forward.route {settings.webhook_path}: --forward.url is for it")
    if f"{settings.webhook_path.rstrip('/')}/ready" in settings.forward_route:
        raise SettingsError("--forward.route: something else is at the webhook's path/ready")
    if not 0 < settings.forward_timeout <= _LONGEST_FORWARD:
        raise SettingsError(
            f"--forward.timeout: from 1ms to {_LONGEST_FORWARD:g}s; Bandwidth waits for 25s at most"
        )
    if settings.forward_max_body_bytes < settings.webhook_max_body_bytes:
        raise SettingsError("--forward.max-body-bytes: less than --webhook.max-body-bytes")


def _validate_reconciling(settings: Settings) -> None:
    if settings.reconcile_account is None:
        return
    if settings.reconcile_credentials_file is None:
        raise SettingsError(
            "--reconcile.account: it needs --reconcile.credentials-file, a file with the line "
            "CLIENT_ID:SECRET"
        )
    if settings.storage_path is None and settings.ledger_url is None:
        raise SettingsError(
            "--reconcile.account: it needs --storage.path, without which a restart forgets "
            "the calls that were counted"
        )
    if settings.reconcile_interval < 1:
        raise SettingsError("--reconcile.interval: at least 1s")
    if settings.reconcile_settle >= _LISTED:
        raise SettingsError("--reconcile.settle: Bandwidth lists calls for 7d only")


def _flatten(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the file's values as text by flag name. Raises SettingsError for an unknown key."""
    flags = [option.flag for option in OPTIONS]
    for key, value in table.items():
        name = prefix + key
        if name in _TABLES and isinstance(value, Mapping):
            if any("," in str(text) for text in value.values()):
                raise SettingsError(f"{name} in the file: {_TABLES[name]} cannot contain a comma")
            yield name, ",".join(f"{one}={text}" for one, text in value.items())
        elif isinstance(value, Mapping):
            if not any(flag.startswith(f"{name}.") for flag in flags):
                raise SettingsError(_no_table(name, flags))
            yield from _flatten(value, f"{name}.")
        elif name not in flags:
            raise SettingsError(_unknown(name, flags))
        elif isinstance(value, bool):
            yield name, "true" if value else "false"
        elif isinstance(value, str | int):
            yield name, str(value)
        elif isinstance(value, list):
            yield name, _joined(name, value)
        else:
            raise SettingsError(f"{name} in the file: neither text, a whole number nor true/false")


def _joined(name: str, values: list[Any]) -> str:
    """Return a list of the file as text, where the option may be given several times."""
    option = _option(name)
    if not option.is_repeatable:
        raise SettingsError(f"{name} in the file: a list, where {_one_value(name)}")
    if not all(isinstance(value, str) and "," not in value for value in values):
        key = name.rpartition(".")[2]
        raise SettingsError(
            f'{name} in the file: a list of texts is expected: {key} = ["{option.metavar}"]'
        )
    return ",".join(values)


def _one_value(name: str) -> str:
    option = _option(name)
    example = option.default if option.is_switch else f"{option.default or option.metavar!r}"
    return f"one value is expected: {name.rpartition('.')[2]} = {example}"


def _option(flag: str) -> Option:
    (option,) = (one for one in OPTIONS if one.flag == flag)
    return option


def _no_table(name: str, flags: list[str]) -> str:
    if name in flags:
        return f"{name} in the file: a table, where {_one_value(name)}"
    return _unknown(name, flags)


def _unknown(name: str, flags: list[str]) -> str:
    return f"{name} in the file: no such key{hint(name, flags)}"


# Variables that Kubernetes and old Docker set for a service of the exporter's name.
_OF_A_SERVICE = re.compile(
    r"(?:.*_)?(?:SERVICE_HOST=.*|SERVICE_PORT(?:_\w+)?=\d+|PORT(?:_\d+_\w+)?=\w+://.*"
    r"|PORT_\d+_(?:TCP|UDP|SCTP)_(?:ADDR|PORT|PROTO)=.*)"
)


# For the Grafana of the same machine: where its links lead.
_OF_GRAFANA = f"{ENVIRONMENT_PREFIX}URL"


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = {option.variable for option in OPTIONS} | {CONFIG_VARIABLE}
    # Compared without what all of them begin with, and so do these two not.
    names = {one.removeprefix(ENVIRONMENT_PREFIX): one for one in (*known, USERNAME, PASSWORD)}
    for variable, value in environ.items():
        name = variable.removeprefix(ENVIRONMENT_PREFIX)
        if name == variable or variable in {*known, _OF_GRAFANA}:
            continue
        if not _OF_A_SERVICE.fullmatch(f"{name}={value}"):
            meant = nearest(name.upper(), names)
            said = f"; the nearest one is {names[meant]}" if meant else ""
            raise SettingsError(f"{variable}: no such variable{said}")

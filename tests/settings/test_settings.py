"""Settings: where a value comes from, and which go together."""

import tomllib

import pytest

from bandwidth_voice_exporter.settings.options import ENVIRONMENT_PREFIX, OPTIONS, Option
from bandwidth_voice_exporter.settings.resolve import Settings, SettingsError, resolve
from bandwidth_voice_exporter.settings.values import Address

A = "93de2206-9669-4e07-948d-329f4b722ee2"
B = "550e8400-e29b-41d4-a716-446655440000"


def from_file(text: str) -> Settings:
    """The settings of a TOML file alone."""
    return resolve({}, {}, tomllib.loads(text))


def problem(flags: dict[str, str], environ: dict[str, str], text: str = "") -> str:
    """What is said of settings that cannot be used."""
    with pytest.raises(SettingsError) as error:
        resolve(flags, environ, tomllib.loads(text))
    return str(error.value)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("webhook_listen_address", Address("127.0.0.1", 10061)),
        ("webhook_path", "/webhooks/voice"),
        ("webhook_credentials_file", None),
        ("webhook_credential", None),
        ("webhook_allow_unauthenticated", False),
        ("webhook_max_body_bytes", 65536),
        ("web_listen_address", Address("0.0.0.0", 10060)),  # noqa: S104  # the documented default
        ("web_telemetry_path", "/metrics"),
        ("labels_application", {}),
        ("labels_max_applications", 50),
        ("labels_max_new_causes", 8),
        ("errors_max_ids", 100),
        ("errors_max_new_per_minute", 10),
        ("metrics_newborn_hold", 65.0),
        ("no_exemplars", False),
        ("log_level", "info"),
        ("log_format", "logfmt"),
    ],
)
def test_defaults(field: str, expected: object) -> None:
    """With nothing set the documented defaults hold."""
    assert getattr(resolve({}, {}, {}), field) == expected


@pytest.mark.parametrize(
    ("flags", "environ"),
    [
        ({"webhook.credentials-file": "/c"}, {}),
        ({}, {"WEBHOOK_USERNAME": "u", "WEBHOOK_PASSWORD": "p"}),
    ],
)
def test_credentials_open_the_listener(flags: dict[str, str], environ: dict[str, str]) -> None:
    """With credentials of either kind the webhook listener is reachable from outside."""
    settings = resolve(flags, environ, {})
    assert settings.is_authenticated
    assert str(settings.webhook_listen_address) == "0.0.0.0:10061"


def test_credential_of_the_environment() -> None:
    """User and password of the environment are one pair; a password may have colons."""
    environ = {"WEBHOOK_USERNAME": "u", "WEBHOOK_PASSWORD": "p:q"}
    assert resolve({}, environ, {}).webhook_credential == "u:p:q"


@pytest.mark.parametrize(
    "environ",
    [
        {"WEBHOOK_USERNAME": "u"},
        {"WEBHOOK_PASSWORD": "s3cret"},
        {"WEBHOOK_USERNAME": "", "WEBHOOK_PASSWORD": "s3cret"},
        {"WEBHOOK_USERNAME": "u", "WEBHOOK_PASSWORD": ""},
    ],
)
def test_half_a_credential(environ: dict[str, str]) -> None:
    """A user without a password, or the reverse, is a mistake that is not passed over."""
    said = problem({}, environ)
    assert "WEBHOOK_USERNAME and WEBHOOK_PASSWORD" in said
    assert "s3cret" not in said


def test_user_with_a_colon() -> None:
    """A user name with a colon could never be sent."""
    environ = {"WEBHOOK_USERNAME": "u:v", "WEBHOOK_PASSWORD": "s3cret"}
    assert problem({}, environ).startswith("WEBHOOK_USERNAME: ")


@pytest.mark.parametrize("address", ["0.0.0.0:1", ":1", "[::]:1", "10.0.0.1:1", "example.com:1"])
def test_open_listener_without_credentials(address: str) -> None:
    """Without credentials an address that others reach is refused, with both ways out."""
    said = problem({"webhook.listen-address": address}, {})
    assert said.startswith(f"--webhook.listen-address {address}: ")
    assert "--webhook.credentials-file" in said
    assert "--webhook.allow-unauthenticated" in said


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "localhost:1"])
def test_loopback_without_credentials(address: str) -> None:
    """Without credentials the webhook listener is there for this machine."""
    assert not resolve({"webhook.listen-address": address}, {}, {}).is_authenticated


def test_open_listener_in_so_many_words() -> None:
    """Who says that anybody may send events gets a listener that anybody reaches."""
    flags = {"webhook.listen-address": "0.0.0.0:1", "webhook.allow-unauthenticated": "true"}
    assert not resolve(flags, {}, {}).is_authenticated


@pytest.mark.parametrize("path", ["/", "/-/healthy", "/-/ready"])
def test_telemetry_path_that_is_taken(path: str) -> None:
    """The metrics cannot be where something else is."""
    assert "--web.telemetry-path" in problem({"web.telemetry-path": path}, {})


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ('[log]\nlevl = "info"', "log.levl", "log.level"),
        ('[webhook]\nlisten_address = ":1"', "webhook.listen_address", "webhook.listen-address"),
        ("[errors]\nmax-id = 5", "errors.max-id", "errors.max-ids"),
        ('[webhok]\npath = "/x"', "webhok", "webhook.path"),
        ("no-exemplar = true", "no-exemplar", "no-exemplars"),
        ("[log.level]\nx = 1", "log.level", "log.level"),
        ("web = 5", "web", ""),
    ],
)
def test_unknown_keys(text: str, key: str, nearest: str) -> None:
    """A key of the file that means nothing is an error that names it and the nearest one."""
    said = problem({}, {}, text)
    assert said.startswith(f"{key} in the file: no such key; the nearest one is {nearest}")


def test_file_of_every_type() -> None:
    """The file says text, whole numbers and truths as TOML does."""
    settings = from_file(
        'no-exemplars = true\n[log]\nlevel = "debug"\n[errors]\nmax-ids = 7\n'
        '[web]\nlisten-address = "127.0.0.1:1"\n[webhook]\nmax-body-bytes = 1024'
    )
    assert settings.no_exemplars
    assert settings.log_level == "debug"
    assert settings.errors_max_ids == 7
    assert settings.web_listen_address == Address("127.0.0.1", 1)
    assert settings.webhook_max_body_bytes == 1024


@pytest.mark.parametrize("text", [f'[labels.application]\n"{A}" = "ivr"\n"{B}" = "b c"'])
def test_applications_as_a_table(text: str) -> None:
    """The file may name applications in a table of its own."""
    assert from_file(text).labels_application == {A: "ivr", B: "b c"}


@pytest.mark.parametrize("value", ["1.5", "[1]", "2026-01-01", "[{}]"])
def test_other_types_of_the_file(value: str) -> None:
    """What TOML has beside text, whole numbers and truths is an error that names the key."""
    assert problem({}, {}, f"[errors]\nmax-ids = {value}").startswith("errors.max-ids in the file")


def refuses(option: Option, text: str) -> bool:
    """Whether a text is no value of an option."""
    try:
        option.parse(text)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(
    "option",
    [option for option in OPTIONS if refuses(option, "\n")],
    ids=lambda option: option.flag,
)
def test_bad_value_names_its_origin(option: Option) -> None:
    """A value that cannot be read names the flag, the variable or the key that it came from."""
    section, _, key = option.flag.rpartition(".")
    in_file = f'[{section}]\n{key} = "\\n"' if section else f'{key} = "\\n"'
    assert problem({option.flag: "\n"}, {}).startswith(f"--{option.flag}")
    assert problem({}, {option.variable: "\n"}).startswith(option.variable)
    assert problem({}, {}, in_file).startswith(f"{option.flag} in the file")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag)
def test_every_option_has_a_variable(option: Option) -> None:
    """The environment variable is the flag in capitals behind the program's name."""
    assert option.variable.startswith(ENVIRONMENT_PREFIX)
    name = option.variable.removeprefix(ENVIRONMENT_PREFIX)
    assert name.lower() == option.flag.replace(".", "_").replace("-", "_")


def test_options_are_settings() -> None:
    """Every option is an attribute of the settings, and no two share one."""
    fields = [option.field for option in OPTIONS]
    assert len(set(fields)) == len(fields)
    assert set(fields) | {"webhook_credential"} == set(Settings.__struct_fields__)


def test_settings_are_frozen() -> None:
    """What was validated cannot change."""
    with pytest.raises(AttributeError):
        resolve({}, {}, {}).log_level = "debug"  # type: ignore[misc]

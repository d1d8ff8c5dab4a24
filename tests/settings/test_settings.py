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
    """The message about settings that cannot be used."""
    with pytest.raises(SettingsError) as error:
        resolve(flags, environ, tomllib.loads(text))
    return str(error.value)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("webhook_listen_address", (Address("localhost", 10061),)),
        ("webhook_path", "/webhooks/voice"),
        ("webhook_credentials_file", None),
        ("webhook_credential", None),
        ("webhook_allow_unauthenticated", False),
        ("webhook_max_body_bytes", 65536),
        ("web_listen_address", (Address("", 10060),)),
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
    assert settings.webhook_listen_address == (Address("", 10061),)


def test_credential_of_the_environment() -> None:
    """User and password of the environment are one pair; a password may have colons."""
    environ = {"WEBHOOK_USERNAME": "u", "WEBHOOK_PASSWORD": "p:q"}
    assert resolve({}, environ, {}).webhook_credential == "u:p:q"


CONTROLS = (
    "s3cret\n\n",
    "s3cret\r",
    "\ns3cret",
    "s3c\tret",
    "s3cret\0",
    "s3\x7fcret",
    "s3\x85cret",
)


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


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_credential_with_an_end_of_line(end: str) -> None:
    """One end of line behind user or password, as a secret made with echo has it, is taken off."""
    environ = {"WEBHOOK_USERNAME": f"u{end}", "WEBHOOK_PASSWORD": f" p {end}"}
    assert resolve({}, environ, {}).webhook_credential == "u: p "


def test_credential_of_ends_of_line_alone() -> None:
    """Variables with nothing but an end of line are not set."""
    environ = {"WEBHOOK_USERNAME": "\n", "WEBHOOK_PASSWORD": "\n"}
    assert not resolve({}, environ, {}).is_authenticated
    assert "go together" in problem({}, environ | {"WEBHOOK_USERNAME": "u\n"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((text, "there is a control character in it") for text in CONTROLS),
        ("s3cret\udcfc", "not UTF-8"),
        ("\udcff\udcfes3cret", "not UTF-8"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("name", ["WEBHOOK_USERNAME", "WEBHOOK_PASSWORD"])
def test_credential_that_cannot_be_meant(name: str, text: str, said: str) -> None:
    """Control characters and other bytes than UTF-8 are refused with the variable's name."""
    environ = {"WEBHOOK_USERNAME": "u", "WEBHOOK_PASSWORD": "p"}
    assert problem({}, environ | {name: text}) == f"{name}: {said}"


def test_hash_in_place_of_a_password() -> None:
    """A password's hash would never be sent."""
    environ = {"WEBHOOK_USERNAME": "u", "WEBHOOK_PASSWORD": "$2b$10$019QzHbR3zIPAyj8Fnzdm."}
    assert problem({}, environ).startswith("WEBHOOK_PASSWORD: this is the hash of a password")


def test_user_with_a_colon() -> None:
    """A user name with a colon could never be sent."""
    environ = {"WEBHOOK_USERNAME": "u:v", "WEBHOOK_PASSWORD": "s3cret"}
    assert problem({}, environ).startswith("WEBHOOK_USERNAME: ")


@pytest.mark.parametrize("others", ["", "localhost:1,"])
@pytest.mark.parametrize("address", ["0.0.0.0:1", ":1", "[::]:1", "10.0.0.1:1", "example.com:1"])
def test_open_listener_without_credentials(address: str, others: str) -> None:
    """Without credentials an address that others reach is refused, with both ways out."""
    said = problem({"webhook.listen-address": f"{others}{address}"}, {})
    assert said.startswith(f"--webhook.listen-address {address}: ")
    assert "--webhook.credentials-file" in said
    assert "--webhook.allow-unauthenticated" in said


@pytest.mark.parametrize(
    ("webhook", "web"), [(":1", ":1"), ("[::1]:1,:2", ":3,:2"), (":3", "127.0.0.1:1,127.0.0.1:1")]
)
def test_an_address_given_twice(webhook: str, web: str) -> None:
    """An address is one listener's, once."""
    flags = {"webhook.listen-address": webhook, "web.listen-address": web}
    said = problem({**flags, "webhook.allow-unauthenticated": "true"}, {})
    assert "is there twice" in said


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "[::1]:1", "localhost:1", "[::ffff:127.0.0.1]:1"]
)
def test_loopback_without_credentials(address: str) -> None:
    """Without credentials the webhook listener is there for this machine."""
    assert not resolve({"webhook.listen-address": address}, {}, {}).is_authenticated


def test_open_listener_in_so_many_words() -> None:
    """With --webhook.allow-unauthenticated, a listener for anybody needs no credentials."""
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
        ("web = 5", "web", None),
        ("[tls]\ncert = 'x'", "tls", None),
    ],
)
def test_unknown_keys(text: str, key: str, nearest: str | None) -> None:
    """A key of the file that means nothing is an error that names it, and one that is near."""
    hint = f"; the nearest one is {nearest}" if nearest else ""
    assert problem({}, {}, text) == f"{key} in the file: no such key{hint}"


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("LOG_LEVL", "BANDWIDTH_VOICE_EXPORTER_LOG_LEVEL"),
        ("STORAGE_DIR", "BANDWIDTH_VOICE_EXPORTER_STORAGE_PATH"),
        ("WEBHOOK_USER", "WEBHOOK_USERNAME"),
        ("WEBHOOK_PASSWORD", "WEBHOOK_PASSWORD"),
        ("CONFIG", "BANDWIDTH_VOICE_EXPORTER_CONFIG_FILE"),
        ("web_listen_address", "BANDWIDTH_VOICE_EXPORTER_WEB_LISTEN_ADDRESS"),
        ("PORT", None),
        ("QUX", None),
    ],
)
def test_unknown_variables(variable: str, nearest: str | None) -> None:
    """A variable that means nothing is named, with one that is near, and without its value."""
    said = problem({}, {ENVIRONMENT_PREFIX + variable: "s3cret"})
    hint = f"; the nearest one is {nearest}" if nearest else ""
    assert said == f"{ENVIRONMENT_PREFIX}{variable}: no such variable{hint}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT", "10060"),
        ("SERVICE_PORT_OPS", "10060"),
        ("PORT", "tcp://10.0.0.1:10060"),
        ("PORT_10060_TCP", "tcp://10.0.0.1:10060"),
        ("PORT_10060_TCP_ADDR", "10.0.0.1"),
        ("PORT_10060_TCP_PORT", "10060"),
        ("PORT_10060_TCP_PROTO", "tcp"),
        ("WEBHOOK_SERVICE_HOST", "fd00::1"),
        ("WEBHOOK_PORT", "tcp://[fd00::1]:10061"),
        ("WEBHOOK_PORT_10061_TCP", "tcp://[fd00::1]:10061"),
        ("URL", "http://127.0.0.1:10060"),
    ],
)
def test_variables_of_others(variable: str, value: str) -> None:
    """Variables of a Kubernetes Service of the program's name, and one for Grafana, are ignored."""
    assert resolve({}, {ENVIRONMENT_PREFIX + variable: value}, {}) == resolve({}, {}, {})


@pytest.mark.parametrize("word", ["warn", "WARN", "Warning"])
def test_words_for_a_level(word: str) -> None:
    """The words of Prometheus's own programs are taken, in capitals too."""
    assert resolve({"log.level": word}, {}, {}).log_level == "warning"


def test_lists_of_the_file() -> None:
    """A setting that may be given several times may be a list in the file."""
    settings = from_file(
        f'[web]\nlisten-address = [":1", "[::1]:2"]\n[labels]\napplication = ["{A}=a", "{B}=b"]\n'
        '[webhook]\ntrusted-proxies = ["10.0.0.0/8"]'
    )
    assert settings.web_listen_address == (Address("", 1), Address("::1", 2))
    assert settings.labels_application == {A: "a", B: "b"}
    assert list(map(str, settings.webhook_trusted_proxies)) == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[webhook]\npath = ['/x']",
            "where one value is expected: path = '/webhooks/voice'",
        ),
        ("[errors]\nmax-ids = [1]", "max-ids = '100'"),
        ("[webhook]\ncredentials-file = ['x']", "credentials-file = 'FILE'"),
        ("no-exemplars = [true]", "no-exemplars = false"),
        ("[web]\nlisten-address = [1]", 'listen-address = ["HOST:PORT"]'),
        (f"[labels]\napplication = ['{A}=a,b']", 'application = ["ID=NAME"]'),
    ],
)
def test_lists_where_none_may_be(text: str, said: str) -> None:
    """A list in a wrong place is an error that says which form is right."""
    problem_said = problem({}, {}, text)
    assert said in problem_said
    assert " in the file: a list" in problem_said


def test_file_of_every_type() -> None:
    """The file says text, whole numbers and truths as TOML does."""
    settings = from_file(
        'no-exemplars = true\n[log]\nlevel = "debug"\n[errors]\nmax-ids = 7\n'
        '[web]\nlisten-address = "127.0.0.1:1"\n[webhook]\nmax-body-bytes = 1024'
    )
    assert settings.no_exemplars
    assert settings.log_level == "debug"
    assert settings.errors_max_ids == 7
    assert settings.web_listen_address == (Address("127.0.0.1", 1),)
    assert settings.webhook_max_body_bytes == 1024


@pytest.mark.parametrize("text", [f'[labels.application]\n"{A}" = "ivr"\n"{B}" = "b c"'])
def test_applications_as_a_table(text: str) -> None:
    """The file may name applications in a table of its own."""
    assert from_file(text).labels_application == {A: "ivr", B: "b c"}


@pytest.mark.parametrize("value", ["1.5", "[1]", "2026-01-01", "[{}]"])
def test_other_types_of_the_file(value: str) -> None:
    """A TOML value of a type that no setting has is an error that names the key."""
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
    beside = {"webhook_credential", "storage_notice"}
    assert set(fields) | beside == set(Settings.__struct_fields__)


def test_settings_are_frozen() -> None:
    """Settings that have been validated cannot be changed."""
    with pytest.raises(AttributeError):
        resolve({}, {}, {}).log_level = "debug"  # type: ignore[misc]

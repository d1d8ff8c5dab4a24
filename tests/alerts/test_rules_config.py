"""Each mistake in a configuration is refused by its key, with a value to write instead."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from bandwidth_voice_exporter import alerts, handouts
from bandwidth_voice_exporter.metrics import catalog
from testkit import prometheus as prom
from testkit import rulefile

NUMBERS = [
    f"{section}.{key}" if section else key
    for section, table in (*tomllib.loads(alerts.config.shipped()).items(), ("", {"quiet_days": 0}))
    if isinstance(table, dict)
    for key, value in table.items()
    if not isinstance(value, str)
]
TAKEN = ("job", "instance", "alertname", "severity", "condition", "fault_domain", "le", "__name__")
NOT_RE2 = ("(?!staging).*", "(?<=a)b", "(?:(a)|b)\\\\1", "(?P<a>b)(?P=a)", "a++", "(?>a)b")

Refused = Callable[[str], str]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Generate rules of a configuration that is a mistake, and return what is said of it."""

    def run(text: str) -> str:
        config, output = tmp_path / "alerts.toml", tmp_path / "rules.yml"
        config.write_text(text, "utf-8")
        with pytest.raises(SystemExit) as ended:
            handouts.main(["rules", f"--config={config}", f"--output={output}"])
        assert ended.value.code == 2
        assert not output.exists()
        return capsys.readouterr().err

    return run


def text_of(directory: Path, text: str) -> str:
    """The rules of a configuration."""
    file = directory / "alerts.toml"
    file.write_text(text, "utf-8")
    return alerts.rules.text(alerts.config.load(file))


def setting(key: str, value: str) -> str:
    """The lines that set a key, of a table if it has a dot."""
    section, _, name = key.rpartition(".")
    return f"[{section}]\n{name} = {value}\n" if section else f"{name} = {value}\n"


@pytest.mark.parametrize("key", NUMBERS)
def test_number_below_all_sense_is_refused(refused: Refused, key: str) -> None:
    """No threshold is negative: the key and the number are named."""
    assert f"{key}: -1" in refused(setting(key, "-1"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("quiet_days", "0"),
        ("flow.lost", "7"),
        ("flow.soon_lost", "0.95"),
        ("flow.silent_expected", "0"),
        ("flow.by_hand_hours", "24"),
        ("flow.late_seconds", "20"),
        ("flow.surge", "0.5"),
        ("flow.silent_uncertain", "11"),
        ("spike.zscore", "0"),
        ("spike.zscore", "nan"),
        ("rise.points", "2"),
        ("objective.availability", "99"),
        ("exporter.certificate_late_days", "15"),
        ("lengths.setup_factor", "inf"),
    ],
)
def test_number_that_no_rule_can_have_is_refused(refused: Refused, key: str, value: str) -> None:
    """A number outside its range, or with which an alert would never be told, is refused."""
    assert f"{key}: {value}: " in refused(setting(key, value))


@pytest.mark.parametrize("label", [*TAKEN, *catalog.CALLS.labels, "a-b"])
def test_label_that_means_something_else_is_refused(refused: Refused, label: str) -> None:
    """A label that targets, alerts or metrics have already is refused for grouping."""
    assert f"group_labels: '{label}' is " in refused(f'group_labels = ["env", "{label}"]')


def test_label_is_given_once(refused: Refused) -> None:
    """A label that is there twice is refused."""
    assert "group_labels: 'env' is there twice" in refused('group_labels = ["env", "a", "env"]')


@pytest.mark.parametrize("job", NOT_RE2)
def test_job_is_an_expression_of_prometheus(refused: Refused, job: str) -> None:
    """A construct that Python's regular expressions have and Prometheus's lack is refused."""
    said = refused(f'job = "{job}"')
    assert "job: " in said
    assert "RE2" in said


@pytest.mark.prometheus
@pytest.mark.parametrize("job", NOT_RE2)
def test_prometheus_does_not_take_what_is_refused(tmp_path: Path, job: str) -> None:
    """Each expression that is refused is one that Prometheus does not load."""
    file = tmp_path / "rules.yml"
    shipped = rulefile.SHIPPED.read_text("utf-8")
    file.write_text(shipped.replace("bandwidth-voice.*", job), "utf-8")
    assert prom.promtool("check", "rules", str(file)).returncode != 0


@pytest.mark.prometheus
@pytest.mark.parametrize(
    "job", ["voice|voice-eu", "(?i)(?:a|b)+[?+*]+c?\\\\++", "\\\\\\\\1(?P<a>b)"]
)
def test_job_may_be_any_other_expression(tmp_path: Path, job: str) -> None:
    """Groups, classes, escapes and repetitions are taken, and Prometheus loads them."""
    file = tmp_path / "rules.yml"
    file.write_text(text_of(tmp_path, f'job = "{job}"'), "utf-8")
    assert prom.promtool("check", "rules", str(file)).returncode == 0


@pytest.mark.parametrize("zone", ["Mars/Base", "Europe", "", "../UTC", "zone.tab"])
def test_time_zone_is_one(refused: Refused, zone: str) -> None:
    """A name that is no time zone, a directory of them too, is refused by its key."""
    assert f"time_zone: '{zone}'" in refused(f'time_zone = "{zone}"')


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ((1, 9, 7, 19), "last_day: 9: not a day from 0, Sunday, to 6, in UTC"),
        ((-1, 5, 7, 19), "first_day: -1: not a day from 0, Sunday, to 6, in UTC"),
        ((1, 5, 7, 30), "to_hour: 30: not an hour from 0 to 24, in UTC"),
        ((1, 5, 24, 7), "from_hour: 24: not an hour from 0 to 23, in UTC"),
        ((1, 5, 7, 7), "to_hour: 7: the same as from_hour"),
    ],
)
def test_office_hours_are_hours(refused: Refused, hours: tuple[int, ...], said: str) -> None:
    """Days and hours that there are not, and a span without an hour, are refused; all is in UTC."""
    keys = ("first_day", "last_day", "from_hour", "to_hour")
    lines = (f"{key} = {number}\n" for key, number in zip(keys, hours, strict=True))
    found = refused("[office_hours]\n" + "".join(lines))
    assert f"office_hours: {said}" in found
    assert "in UTC" in found

"""The package hands out rules, dashboards, runbooks and an example of Alertmanager's routes."""

import runpy
from pathlib import Path

import pytest
import yaml

from bandwidth_voice_exporter import alerts, cli, runbooks

ROOT = Path(__file__).parents[2]
RULES = ROOT / "alerts" / "bandwidth-voice.rules.yml"
Output = pytest.CaptureFixture[str]


def said(capsys: Output, *argv: str) -> str:
    """The standard output of a command, which must succeed."""
    assert cli.main(argv, {}) == 0
    return capsys.readouterr().out


def test_what_is_published_is_what_is_handed_out(tmp_path: Path, capsys: Output) -> None:
    """Rules and dashboards in the repository are, byte for byte, what the commands write."""
    assert said(capsys, "rules") == RULES.read_text("utf-8")
    boards = tmp_path / "new" / "boards"
    assert said(capsys, "dashboards", str(boards)) == ""
    published = {file.name: file.read_bytes() for file in (ROOT / "dashboards").glob("*.json")}
    assert published
    assert {file.name: file.read_bytes() for file in boards.iterdir()} == published


def test_every_alert_has_its_runbook(tmp_path: Path, capsys: Output) -> None:
    """The directory has a runbook for each condition that a site may have, as is listed."""
    config = tmp_path / "alerts.toml"
    config.write_text('switched_by_hand = ["outbound"]\n', "utf-8")
    groups = yaml.load(said(capsys, "rules", f"--config={config}"), yaml.CSafeLoader)["groups"]
    config.unlink()
    said(capsys, "runbooks", str(tmp_path))
    told = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    names = {
        f"BandwidthVoice{rule['labels']['condition']}"
        if "condition" in rule["labels"]
        else rule["alert"]
        for rule in told
    }
    written = sorted(file.name for file in tmp_path.iterdir())
    assert {f"{name}.md" for name in names} == {*written}
    assert said(capsys, "runbooks").splitlines() == written


def test_pages_of_runbooks_are_up_to_date() -> None:
    """The HTML in the package is what is rendered of the runbooks."""
    rendered = runpy.run_path(str(ROOT / "tools" / "runbooks.py"))["rendered"]
    pages = {name.removesuffix(".md"): rendered(text) for name, text in runbooks.texts().items()}
    assert runbooks.html() == pages


def test_the_configuration_can_be_changed_and_used(tmp_path: Path, capsys: Output) -> None:
    """A printed configuration makes the same rules; jobs, thresholds and alerts can be changed."""
    file = tmp_path / "alerts.toml"
    file.write_text(said(capsys, "rules", "--print-config"), "utf-8")
    assert said(capsys, "rules", "--config", str(file)) == RULES.read_text("utf-8")
    off = "BandwidthVoiceLongCalls"
    file.write_text(f'job = "voice"\nswitched_off = ["{off}"]\n[spike]\nleast_calls = 1234\n')
    changed = said(capsys, "rules", "--config", str(file))
    assert 'job=~"voice"' in changed
    assert "increase5m > 1233.7" in changed
    assert off in RULES.read_text("utf-8")
    assert off not in changed


def test_the_operator_gets_a_manifest(capsys: Output) -> None:
    """A PrometheusRule has the same rules."""
    manifest = yaml.load(said(capsys, "rules", "--format=operator"), yaml.CSafeLoader)
    assert manifest["kind"] == "PrometheusRule"
    assert manifest["spec"] == yaml.load(RULES.read_text("utf-8"), yaml.CSafeLoader)


def test_rules_link_to_the_exporter(capsys: Output) -> None:
    """--web.external-url is where runbooks and failed calls are linked to."""
    url = "--web.external-url=https://ops.internal/voice/"
    linked = said(capsys, "rules", url)
    assert "https://ops.internal/voice/runbooks/BandwidthVoiceLongCalls\n" in linked
    assert "https://ops.internal/voice/failures?direction=" in linked


def test_alertmanager_has_its_example(capsys: Output) -> None:
    """The example of Alertmanager's configuration is printed as it is in the package."""
    assert said(capsys, "alertmanager") == alerts.alertmanager()
    assert "receivers" in yaml.safe_load(alerts.alertmanager())


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("rules", "--config=/nowhere/alerts.toml"), "/nowhere/alerts.toml"),
        (("rules", "--output=/nowhere/rules.yml"), "/nowhere/rules.yml"),
        (("rules", "--web.external-url=ops.internal"), "--web.external-url: not of the form"),
        (("rules", "--time-scale=0"), "--time-scale"),
        (("rules", "--format=json"), "--format"),
        (("dashboards", "/dev/null/boards"), "/dev/null/boards"),
        (("runbooks", "a", "b"), "unrecognized arguments"),
    ],
)
def test_mistakes_are_said(argv: tuple[str, ...], complaint: str, capsys: Output) -> None:
    """A usage error, a file that is not there and one that cannot be written end with status 2."""
    with pytest.raises(SystemExit) as ended:
        cli.main(argv, {})
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert not told.out
    assert complaint in told.err

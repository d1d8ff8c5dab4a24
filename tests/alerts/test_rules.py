"""The rule file is what the generator makes of its configuration, and asks for what exists."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import yaml

from bandwidth_voice_exporter import alerts, handouts
from bandwidth_voice_exporter.alerts.durations import divided, milliseconds, scaled
from bandwidth_voice_exporter.alerts.wallclock import SHIFT, WallClock
from bandwidth_voice_exporter.metrics import REJECTIONS, catalog
from bandwidth_voice_exporter.voice.causes import CAUSES, FAULT_DOMAINS
from testkit import prometheus as prom
from testkit import rulefile
from testkit.alert_cases.shipped import condition_of

# Made by Prometheus, and by the Python client: in no catalog of ours.
FOREIGN = {"up": {"job", "instance"}, "process_start_time_seconds": {"job", "instance"}}
ALWAYS = {"job", "instance"}
VALUES: dict[str, set[str]] = {
    "cause": {*CAUSES, "any"},
    "fault_domain": {*FAULT_DOMAINS, "any"},
    "answered": {"true", "false"},
    "reason": set(REJECTIONS),
}

FILTERS = ("application", "direction", "fault_domain", "cause")
SILENCES = ("CallsSilent", "CallsSilentSinceOpening")
_LOOKBACK = milliseconds("5m")  # Prometheus takes older samples for stale

Generate = Callable[..., Path]


@pytest.fixture
def generate(tmp_path: Path) -> Generate:
    """Generate a rule file, with the shipped configuration edited by pairs of texts."""

    def run(*edits: tuple[str, str], time_scale: int = 1) -> Path:
        text = alerts.config.shipped()
        for old, new in edits:
            assert old in text
            text = text.replace(old, new, 1)
        config, output = tmp_path / "config.toml", tmp_path / "rules.yml"
        config.write_text(text, "utf-8")
        arguments = (
            "rules",
            f"--config={config}",
            f"--output={output}",
            f"--time-scale={time_scale}",
        )
        assert handouts.main(arguments) == 0
        return output

    return run


def everything_set(by_hand: Sequence[str]) -> list[tuple[str, str]]:
    """Edits of the shipped configuration by which all is set that changes expressions."""
    hours = ("# [office_hours]", "# first_day", "# last_day", "# from_hour", "# to_hour")
    return [
        ("switched_by_hand = []", f"switched_by_hand = {by_hand}"),
        ("closed_days = []", "closed_days = [2026-12-25, 2026-12-26]"),
        ("group_labels = []", 'group_labels = ["env"]'),
        ('time_zone = "UTC"', 'time_zone = "Europe/Berlin"'),
        *((line, line.removeprefix("# ")) for line in hours),
    ]


def catalog_labels() -> dict[str, set[str]]:
    """The labels of every sample that the exporter exposes."""
    found: dict[str, set[str]] = {name: {*labels} for name, labels in FOREIGN.items()}
    for metric in catalog.METRICS:
        for sample in metric.samples:
            bucket = {"le"} if sample.endswith("_bucket") else set()
            found[sample] = {*metric.labels, *ALWAYS, *bucket}
    return found


def test_committed_file_is_generated(generate: Generate) -> None:
    """Generating the rules gives the committed bytes."""
    assert generate().read_bytes() == rulefile.SHIPPED.read_bytes()


@pytest.mark.prometheus
@pytest.mark.parametrize("time_scale", [1, 60, 2016])
def test_promtool_takes_the_rules(generate: Generate, time_scale: int) -> None:
    """`promtool check rules` has nothing to say against them, at any time scale."""
    checked = prom.promtool("check", "rules", str(generate(time_scale=time_scale)))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "SUCCESS" in checked.stdout


@pytest.mark.prometheus
@pytest.mark.parametrize("directions", [["outbound"], ["inbound", "outbound"]])
def test_promtool_takes_the_rules_of_any_site(generate: Generate, directions: list[str]) -> None:
    """So it is with everything set that changes expressions."""
    file = generate(*everything_set(directions))
    checked = prom.promtool("check", "rules", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_series_exists() -> None:
    """Each series asked for is recorded in the file, or exposed, with the labels asked for."""
    exposed = catalog_labels()
    everything = rulefile.rules()
    recorded = {rule["record"] for rule in everything if "record" in rule}
    known = set().union(*exposed.values())
    for rule in everything:
        for expression in rulefile.expressions(rule):
            assert rulefile.grouping_labels(expression) <= known, expression
            for use in rulefile.uses(expression):
                labels = {label for label, _, _ in use.matchers}
                assert use.name in recorded or use.name in exposed, (use.name, expression)
                assert labels <= exposed.get(use.name, known), (use, expression)


def test_slow_series_are_read_over_a_time() -> None:
    """A series recorded less often than Prometheus looks back is read by a window, in texts too."""
    groups = yaml.safe_load(rulefile.SHIPPED.read_text("utf-8"))["groups"]
    slow = [one for one in groups if milliseconds(one.get("interval", "1m")) >= _LOOKBACK]
    assert slow
    names = {rule["record"] for group in slow for rule in group["rules"]}
    for group in groups:
        for rule in group["rules"]:
            expression, *looked_up = rulefile.expressions(rule)
            read = looked_up if group in slow else [expression, *looked_up]
            for one in read:
                for use in re.finditer(r"[a-zA-Z_][\w:]*:\w+", one):
                    window = one[: use.start()].endswith("_over_time(")
                    assert window or use[0] not in names, (rule, one)


def test_every_matched_value_exists() -> None:
    """A matcher of a closed label names values that it can have."""
    for rule in rulefile.rules():
        for expression in rulefile.expressions(rule):
            for use in rulefile.uses(expression):
                for label, operator, value in use.matchers:
                    values = value.split("|") if "~" in operator else [value]
                    assert {*values} <= VALUES.get(label, {*values}), (use, expression)


def test_every_bucket_asked_for_exists() -> None:
    """A bucket is named by a bound of its histogram, in either version's spelling."""
    bounds = {
        f"{metric.name}_bucket": {rf"{bound:g}(\\.0)?" for bound in metric.buckets}
        for metric in catalog.METRICS
    }
    asked = [
        (use.name, value)
        for rule in rulefile.rules()
        for use in rulefile.uses(rule["expr"])
        for label, _, value in use.matchers
        if label == "le"
    ]
    assert asked
    assert all(value in bounds[name] for name, value in asked)


def test_recordings_do_not_filter() -> None:
    """No recording filters: what a filter leaves out would stay visible for five minutes.

    It may compare to say 0 or 1, filter within the past that a function looks at, and record
    something else where a filter leaves nothing.
    """
    for rule in rulefile.rules():
        if "record" in rule and "\nor\n" not in rule["expr"]:
            shown = re.sub(
                r"quantile_over_time\(0\.\d, \(.*\)\[\d+d:1[hd]\]",
                "",
                rule["expr"],
                flags=re.DOTALL,
            )
            shown = re.sub(r"\{[^}]*\}|[<>=]=? bool", "", shown)
            assert not re.search(r"[<>]|==|(?<![=~])!=(?!\")", shown), rule["record"]


def test_groups_are_small(generate: Generate) -> None:
    """Mimir takes 20 rules a group by default, also where a site configures everything."""
    for file in (rulefile.SHIPPED, generate(*everything_set(["outbound"]))):
        groups = yaml.safe_load(file.read_text("utf-8"))["groups"]
        assert {group["name"]: n for group in groups if (n := len(group["rules"])) > 20} == {}


def test_page_is_made_in_one_group(generate: Generate) -> None:
    """From the counters to a page each record is made earlier in its group, or changes slowly."""
    for file in (rulefile.SHIPPED, generate(*everything_set(["outbound"]))):
        groups = yaml.safe_load(file.read_text("utf-8"))["groups"]
        slow = {
            rule["record"]
            for group in groups
            if "-baseline" in group["name"] or group["name"].endswith("-clock")
            for rule in group["rules"]
        }
        for group in groups:
            # Recorded before, of nothing that is not.
            made: set[str] = set()
            for rule in group["rules"]:
                late = read_now(rule["expr"]) - made - slow
                if rule.get("labels", {}).get("severity") == "critical":
                    assert late == set(), rule["alert"]
                elif not late:
                    made.add(rule.get("record", ""))


def read_now(expression: str) -> set[str]:
    """The records that an expression reads, but for those that it only reads of the past."""
    shown = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", expression)
    return set(re.findall(r"\b\w+:\w+:\w+\b(?! offset)", shown))


def test_what_alerts_say() -> None:
    """Every alert has a severity, a fault domain of its own or its series', and no link."""
    domains = {"user", "application", "account", "bandwidth", "pipeline"}
    for rule in rulefile.rules():
        if "alert" not in rule:
            continue
        labels, said = rule["labels"], rule["annotations"]
        assert labels["severity"] in {"critical", "warning", "info"}
        assert labels.get("fault_domain", "user") in domains
        assert "fault_domain" in labels or "by (job, fault_domain)" in rule["expr"]
        assert {*said} == {"summary", "description"}
        assert "{{" not in said["summary"]
        assert said["summary"].endswith(".")


def test_time_scale_divides_every_duration(generate: Generate) -> None:
    """Ranges, offsets, subquery steps, intervals, for and keep_firing_for are divided alike."""
    plain = generate().read_text("utf-8")
    fast = generate(time_scale=60).read_text("utf-8")
    duration = r"(?:\d+(?:ms|[smhdw]))+"
    places = rf"(?:\[|:|offset |interval: |for: )({duration})(?=[]:\s)]|$)"
    before, after = (re.findall(places, text, re.MULTILINE) for text in (plain, fast))
    assert len(before) > 250
    assert after == [divided(text, 60) for text in before]
    assert milliseconds(divided("7d", 2016)) == 300_000


def test_scaling_leaves_names_alone() -> None:
    """Durations are scaled; names, labels and numbers that look like durations stay as they are."""
    expression = 'a:increase5m{le="5m"} offset 1h30m + sum_over_time(b5m[7d:1h] offset 10m) * 5'
    assert (
        scaled(expression, 60)
        == 'a:increase5m{le="5m"} offset 1m30s + sum_over_time(b5m[2h48m:1m] offset 10s) * 5'
    )


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[flow]", "[flow]\nnonsense = 1", "nonsense"),
        ("job = ", "jobs = ", "jobs"),
        ("zscore = 5", 'zscore = "high"', "zscore"),
        ("job = ", 'job = "(" #', "job"),
        ('exporter = ""', 'exporter = "ops.internal"', "exporter"),
        ("switched_off = []", 'switched_off = ["Nothing"]', "there is no alert nothing\n"),
        ("switched_off = []", 'switched_off = ["CallSurge"]', "mean bandwidthvoicecallsurge?"),
        ("switched_off = []", 'switched_off = ["AsrLov"]', "mean bandwidthvoiceasrlow?"),
    ],
)
def test_mistakes_in_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, complaint: str
) -> None:
    """A key that is unknown or of the wrong type is refused by its name."""
    config = tmp_path / "config.toml"
    config.write_text(alerts.config.shipped().replace(old, new, 1), "utf-8")
    with pytest.raises(SystemExit) as ended:
        handouts.main(["rules", f"--config={config}", f"--output={tmp_path / 'rules.yml'}"])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err.lower()


def test_links_lead_where_it_is_said(generate: Generate) -> None:
    """Each address has its links: with the alert's labels to the failures, by uid to Grafana."""
    exporter, grafana = (
        'exporter = "https://ops.internal/voice"',
        'dashboards = "https://g.internal/d"',
    )
    linked = alerts_of(generate(('exporter = ""', exporter), ('dashboards = ""', grafana)))
    for name, rule in linked.items():
        said = rule["annotations"]
        assert said["runbook_url"] == f"https://ops.internal/voice/runbooks/{name}"
        board, _, variables = said["dashboard_url"].partition("?")
        assert board.startswith("https://g.internal/d/bandwidth-voice-")
        assert ("failures_url" in said) == (not board.endswith("-exporter"))
        if "failures_url" in said:
            path, _, filters = said["failures_url"].partition("?")
            assert path == "https://ops.internal/voice/failures"
            chosen = {one.removeprefix("var-") for one in variables.split("&")}
            assert {*filter(None, filters.split("&"))} == {
                one for one in chosen if one.partition("=")[0] in FILTERS
            }
    said = linked["BandwidthVoiceApplicationFailureSpike"]["annotations"]
    assert said["failures_url"].endswith(
        "?direction={{ $labels.direction | urlquery }}&fault_domain=application"
    )


def test_own_runbooks_are_files(generate: Generate) -> None:
    """Runbooks that a site keeps itself are linked to as files, and nothing else is."""
    linked = alerts_of(generate(('runbooks = ""', 'runbooks = "https://wiki.internal/voice"')))
    for name, rule in linked.items():
        said = rule["annotations"]
        assert {*said} == {"summary", "description", "runbook_url"}
        assert said["runbook_url"] == f"https://wiki.internal/voice/{name}.md"


def test_what_is_not_set_is_as_shipped(tmp_path: Path) -> None:
    """A configuration of one line changes that, in its table too, and nothing else."""
    file = tmp_path / "alerts.toml"
    file.write_text("[flow]\nsurge = 7\n")
    changed, shipped = alerts.config.load(file), alerts.config.load()
    assert changed.flow.surge == 7
    flow = msgspec.structs.replace(changed.flow, surge=shipped.flow.surge)
    assert msgspec.structs.replace(changed, flow=flow) == shipped


def test_office_hours(generate: Generate) -> None:
    """With office hours, silence and lost volume are only told in them; nothing else changes."""
    hours = "[office_hours]\nfirst_day = 1\nlast_day = 5\nfrom_hour = 7\nto_hour = 19\n\n[links]"
    plain = alerts_of(rulefile.SHIPPED)
    limited = alerts_of(generate(("[links]", hours)))
    changed = {name for name, rule in limited.items() if rule != plain[name]}
    assert changed == {f"BandwidthVoice{name}" for name in (*SILENCES, "CallVolumeLow")}
    assert all("hour() >= 7 and hour() < 19" in limited[name]["expr"] for name in changed)


def alerts_of(file: Path) -> dict[str, dict[str, Any]]:
    """The alerts of a rule file by condition."""
    return {
        condition_of(rule["alert"], rule["labels"]): rule
        for rule in rulefile.rules(file)
        if "alert" in rule
    }


def test_group_labels_belong_into_alertmanagers_configuration(generate: Generate) -> None:
    """The head of a file with group labels says where else they are needed."""
    said = "beside job in every group_by and equal"
    text = generate(("group_labels = []", 'group_labels = ["env", "region"]')).read_text("utf-8")
    assert f"{said}: env, region.\n" in text.partition("groups:")[0]
    assert said not in rulefile.SHIPPED.read_text("utf-8")


@pytest.mark.program
def test_group_labels_are_everywhere(generate: Generate) -> None:
    """With a group label nothing is added up, matched, looked up or linked without it."""
    file = generate(
        ("group_labels = []", 'group_labels = ["env"]'),
        ('dashboards = ""', 'dashboards = "https://g.internal/d"'),
    )
    text = re.sub(r"\s+", " ", file.read_text("utf-8"))
    assert len(re.findall(r"\b(?:by|on) \(job, env\b", text)) > 200
    assert not re.search(r"\b(?:by|on) \(job(?!, env)", text)
    assert text.count("job=%q") == text.count("job=%q,env=%q") > 40
    assert text.count("var-job={{") == text.count("$labels.env | urlquery") > 30
    assert prom.promtool("check", "rules", str(file)).returncode == 0


def test_alert_is_switched_off(generate: Generate) -> None:
    """An alert or a condition that is switched off is left out, and nothing else."""
    off, condition = "BandwidthVoiceAccountLimits", "BandwidthVoiceClockSkewed"
    left = alerts_of(generate(("switched_off = []", f'switched_off = ["{off}", "{condition}"]')))
    everything = alerts_of(rulefile.SHIPPED)
    gone = everything.keys() - left.keys()
    assert gone == {condition, *(name for name, rule in everything.items() if rule["alert"] == off)}
    assert left == {name: everything[name] for name in left}


def test_alerts_are_few() -> None:
    """There are at most thirty alerts, whatever number of conditions, and the README has each."""
    names = {rule["alert"] for rule in alerts_of(rulefile.SHIPPED).values()}
    assert len(names) <= 30
    readme = rulefile.SHIPPED.with_name("README.md").read_text("utf-8")
    assert [
        name for name in names if f"`{name.removeprefix('BandwidthVoice')}`" not in readme
    ] == []


def test_switched_by_hand(generate: Generate) -> None:
    """Calls that people switch on and off wake nobody when they stop: a ticket tells it."""
    found = alerts_of(generate(("switched_by_hand = []", 'switched_by_hand = ["outbound"]')))
    ticket = found["BandwidthVoiceCallsSilentByHand"]
    assert ticket["labels"]["severity"] == "warning"
    assert '{direction=~"outbound"}' in ticket["expr"]
    for name in (*SILENCES, "CallVolumeLow", "CallSurge"):
        assert '{direction!~"outbound"}' in found[f"BandwidthVoice{name}"]["expr"]


def test_silence_since_the_opening_pages_where_holidays_are_known(generate: Generate) -> None:
    """With closed days a silence since the opening is a page; a calendar file is as good."""
    name = "BandwidthVoiceCallsSilentSinceOpening"
    assert alerts_of(rulefile.SHIPPED)[name]["labels"]["severity"] == "warning"
    found = alerts_of(generate(("closed_days = []", "closed_days = [2026-12-25]")))
    assert found[name]["labels"]["severity"] == "critical"


def test_clocks_change() -> None:
    """In the week after a change of clocks, last week is at the same time on the wall."""
    berlin = WallClock(ZoneInfo("Europe/Berlin"))
    forward, back = list(berlin.changes())[:2]
    assert forward == (round(datetime(2025, 3, 30, 1, tzinfo=UTC).timestamp()), 60)
    assert back == (round(datetime(2025, 10, 26, 1, tzinfo=UTC).timestamp()), -60)
    ago = berlin.week_ago("x")
    assert f"x offset 6d23h and on () {SHIFT} == 60" in ago
    assert f"x offset 7d1h and on () {SHIFT} == -60" in ago
    assert WallClock(ZoneInfo("UTC")).week_ago("x") == "x offset 7d"

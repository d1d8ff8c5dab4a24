"""The Helm chart: what it renders, without a cluster, and without Helm but where one is found."""

import copy
import json
import re
import runpy
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from bandwidth_voice_exporter import alerts
from testkit import manifests
from testkit.exporter import StartExporter

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "chart.py"))
CHART: Path = TOOL["CHART"]
VALUES = sorted((TOOL["TESTS"] / "values").glob("*.yaml"))
RENDERED = {
    path.stem: manifests.documents(path)
    for path in sorted((TOOL["TESTS"] / "rendered").glob("*.yaml"))
}
HELM: str | None = TOOL["helm"]()
needs_helm = pytest.mark.skipif(HELM is None, reason="did not run: no helm, name one with HELM=")
PASSWORD_URL = "postgresql://exporter:secret@postgres/calls"  # noqa: S105 - a test's

each_rendering = pytest.mark.parametrize("name", RENDERED)
each_values = pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)


def values(name: str) -> dict[str, Any]:
    """One of the ten sets of values."""
    found: dict[str, Any] = yaml.safe_load((TOOL["TESTS"] / "values" / f"{name}.yaml").read_text())
    return found


def is_taken(given: dict[str, Any]) -> bool:
    """Whether the schema of the chart's values takes these."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    return jsonschema_rs.validator_for(schema).is_valid(given)


def test_what_is_made_is_up_to_date() -> None:
    """Rules, dashboards, schema and table are what `make chart` writes, and no more is there."""
    made: dict[Path, str] = TOOL["made"]()
    assert [path for path, text in made.items() if path.read_text("utf-8") != text] == []
    files = {path for path in (CHART / "files").rglob("*") if path.is_file()}
    assert files == {path for path in made if CHART / "files" in path.parents}


def test_renderings_are_up_to_date() -> None:
    """They were made of these templates and values: `HELM=… make chart` makes them again."""
    assert TOOL["FINGERPRINT"].read_text() == TOOL["fingerprint"]()


def test_every_set_of_values_has_its_rendering() -> None:
    """There are ten, and none is left over."""
    assert [path.stem for path in VALUES] == list(RENDERED)
    assert len(VALUES) == 10


@needs_helm
@pytest.mark.program
@each_values
def test_helm_renders_what_is_committed(path: Path) -> None:
    """Helm makes the committed rendering, byte for byte, of the chart and the values."""
    assert TOOL["rendered"](HELM, path) == (TOOL["TESTS"] / "rendered" / path.name).read_text(
        "utf-8"
    )


@needs_helm
@pytest.mark.program
@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"replicaCont": 2}, "replicaCont"),
        ({"existingSecret": ""}, "existingSecret or secret.credentials is needed"),
        ({"postgresql": {"enabled": True}}, "postgresql.enabled needs postgresql.url"),
        ({"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}, "twice"),
        (
            {"prometheusRule": {"enabled": True, "switchedOff": ["BandwidthVoiceNothing"]}},
            "there is no alert BandwidthVoiceNothing",
        ),
    ],
)
def test_helm_refuses(given: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    """A misspelt value, an alert that there is not, half of what belongs together."""
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps({"existingSecret": "there", **given}), "utf-8")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        TOOL["rendered"](HELM, file)
    assert complaint in refused.value.stderr


@each_values
def test_the_schema_takes_them(path: Path) -> None:
    """The ten sets and the defaults are valid by the schema of the values."""
    assert is_taken(values(path.stem))
    assert is_taken(TOOL["values"]())


@pytest.mark.parametrize(
    "given",
    [
        {"replicaCont": 2},
        {"persistence": {"sise": "4Gi"}},
        {"prometheusRule": {"thresholds": {"spike": {"absolut": 0.3}}}},
        {"extraArgs": ["--log.levle=debug"]},
        {"extraArgs": ["log.level=debug"]},
        {"extraArgs": ["--web.listen-address=:80"]},
        {"extraArgs": ["--forward.url=http://user:secret@handler"]},
        {"postgresql": {"url": PASSWORD_URL}},
        {"postgresql": {"url": "postgresql://exporter@postgres/calls?password=secret"}},
        {"podMonitor": {"interval": 15}},
    ],
    ids=str,
)
def test_the_schema_refuses(given: dict[str, Any]) -> None:
    """A misspelt value, a flag that there is not, one that the chart sets, a password in a URL."""
    assert not is_taken(given)


@each_rendering
@pytest.mark.parametrize("version", ["1.25", "1.37"])
def test_kubernetes_takes_it(name: str, version: str) -> None:
    """Every resource is valid by the strict schemas of Kubernetes and the Prometheus Operator."""
    assert manifests.by_schema(RENDERED[name], version) == []


@each_rendering
def test_the_program_takes_it(name: str) -> None:
    """Flags are the program's, probes ask for its paths, ports match, no secret is an argument."""
    assert manifests.by_program(RENDERED[name]) == []


def misspelt(rendering: list[manifests.Manifest]) -> None:
    """A field that Kubernetes does not have."""
    manifests.container(rendering)["resorces"] = {}


def moved_probe(rendering: list[manifests.Manifest]) -> None:
    """A path that nobody answers."""
    manifests.container(rendering)["livenessProbe"]["httpGet"]["path"] = "/-/alive"


def unknown_flag(rendering: list[manifests.Manifest]) -> None:
    """A flag that the program does not have."""
    manifests.container(rendering)["args"].append("--storage.retain=7d")


def password(rendering: list[manifests.Manifest]) -> None:
    """The Secret's own text where everybody reads it."""
    manifests.container(rendering)["args"].append("--labels.application=a=correct-horse")


def password_in_url(rendering: list[manifests.Manifest]) -> None:
    """A URL with a password in it."""
    manifests.container(rendering)["args"].append(f"--ledger.url={PASSWORD_URL}")


def other_port(rendering: list[manifests.Manifest]) -> None:
    """A Service that sends to a port that there is not."""
    manifests.one(rendering, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] = "http"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (misspelt, "'resorces' was unexpected"),
        (moved_probe, "livenessProbe asks ops for /-/alive"),
        (unknown_flag, "--storage.retain=7d: no flag"),
        (password, "a secret is in the argument --labels"),
        (password_in_url, "a secret is in the argument --ledger.url"),
        (other_port, "there is no port http"),
    ],
)
def test_the_checks_find(
    change: Callable[[list[manifests.Manifest]], None], complaint: str
) -> None:
    """A fault that is put into a rendering is found by the checks of the two tests above."""
    rendering = copy.deepcopy(RENDERED["postgresql-secret"])
    change(rendering)
    found = manifests.by_schema(rendering, "1.37") + manifests.by_program(rendering)
    assert complaint in "\n".join(found)


@pytest.mark.program
def test_probes_are_answered_where_values_put_them(exporter: StartExporter) -> None:
    """With a webhook path and an external URL of one's own, each probe asks for what is there."""
    given = manifests.container(RENDERED["ingress"])
    moved = [one for one in given["args"] if one.startswith(("--webhook.path", "--web.external"))]
    assert len(moved) == 2
    running = exporter(*moved)
    clients = {"webhook": running.webhook, "ops": running.ops}
    for kind in ("startup", "liveness", "readiness"):
        probe = given[f"{kind}Probe"]["httpGet"]
        assert clients[probe["port"]].request("GET", probe["path"]).status == 200


@each_rendering
def test_selectors_find_the_pods(name: str) -> None:
    """Services, monitors and policies select the pods, or one of their Services, by labels."""
    rendering = RENDERED[name]
    labels = manifests.one(rendering, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    services = [one["metadata"]["labels"] for one in rendering if one["kind"] == "Service"]
    for manifest in rendering:
        spec = manifest.get("spec", {})
        chosen = spec.get("podSelector") or spec.get("selector") or {}
        wanted = chosen.get("matchLabels", chosen).items()
        if manifest["kind"] == "ServiceMonitor":
            assert sum(wanted <= service.items() for service in services) == 1
        else:
            assert wanted <= labels.items()


@pytest.mark.parametrize("file", TOOL["plain"](), ids=lambda file: str(file.relative_to(ROOT)))
def test_the_plain_manifests_come_out_of_it(file: Path) -> None:
    """The manifests for kubectl come from the chart, and have nothing that only Helm needs."""
    text = file.read_text("utf-8")
    assert text == TOOL["plain"]()[file], "`make chart` writes it again"
    assert not re.search("helm.sh|managed-by|instance: voice|namespace: voice", text)


def test_rules_are_the_programs() -> None:
    """With every threshold set, the PrometheusRule is what the program makes of the same."""
    given = values("rules")
    thresholds = TOOL["values"]()["prometheusRule"]["thresholds"]
    chosen = given["prometheusRule"]["thresholds"]
    assert {section: {*chosen[section]} for section in chosen} == {
        section: {*thresholds[section]} for section in thresholds
    }
    assert not any(
        chosen[section][name] == number
        for section, numbers in thresholds.items()
        for name, number in numbers.items()
    )
    rule = manifests.one(RENDERED["rules"], "PrometheusRule")
    assert rule["spec"] == TOOL["rules_of"](given)


def test_rules_of_a_site_go_in_whole() -> None:
    """A rule file that the program wrote takes the place of the chart's rules."""
    given = values("service-monitor")["prometheusRule"]["rules"]
    rule = manifests.one(RENDERED["service-monitor"], "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(given)


def test_thresholds_are_the_programs() -> None:
    """Unless set, each threshold is that of the rules that are shipped."""
    shipped = tomllib.loads(alerts.config.shipped())
    rules = TOOL["values"]()["prometheusRule"]
    assert rules["job"] == shipped["job"]
    for section, thresholds in rules["thresholds"].items():
        assert thresholds.items() <= shipped[section].items()


def test_dashboards_are_the_published() -> None:
    """Each dashboard is in a ConfigMap that Grafana's sidecar finds."""
    maps = [one for one in RENDERED["rules"] if one["kind"] == "ConfigMap"]
    assert {one["metadata"]["labels"]["grafana_dashboard"] for one in maps} == {"1"}
    found = {name: json.loads(text) for one in maps for name, text in one["data"].items()}
    files = (ROOT / "dashboards").glob("*.json")
    assert found == {file.name: json.loads(file.read_text("utf-8")) for file in files}


def test_versions_are_the_projects() -> None:
    """Chart and application have the version of pyproject.toml."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    [chart] = manifests.documents(CHART / "Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (version, version)

"""The files of deploy/ agree with the program, and with each other."""

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from bandwidth_voice_exporter import alerts, cli
from bandwidth_voice_exporter.settings.options import (
    ENVIRONMENT_PREFIX,
    OPTIONS,
    PASSWORD,
    USERNAME,
)
from bandwidth_voice_exporter.simulate.options import parse_options
from testkit.exporter import MODULE, WEBHOOK_PATH, StartExporter, environment
from testkit.manifests import documents
from testkit.prometheus import promtool

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
DEMO = DEPLOY / "compose" / "demo.yaml"
UNIT = DEPLOY / "systemd" / "bandwidth-voice-exporter.service"
KUBERNETES = DEPLOY / "kubernetes"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
TEMPLATES = DEPLOY / "helm" / "bandwidth-voice-exporter" / "templates"
YAML = [
    path for path in FILES if path.suffix in {".yaml", ".yml"} and TEMPLATES not in path.parents
]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
# Flags of Prometheus and Alertmanager that look like the exporter's; the first is all three's.
OTHERS = {"config.file", "storage.path", "storage.tsdb.path", "storage.tsdb.retention.time"}
DEMO_TARGET = "http://exporter:10061/webhooks/voice"
GROUPS = (
    "web",
    "webhook",
    "forward",
    "reconcile",
    "labels",
    "errors",
    "metrics",
    "storage",
    "ledger",
    "replica",
    "log",
    "config",
)


def manifest(kind: str) -> dict[str, Any]:
    """The one Kubernetes object of a kind."""
    (found,) = (
        document
        for path in YAML
        if path.parent == KUBERNETES
        for document in documents(path)
        if document["kind"] == kind
    )
    return found


def container() -> dict[str, Any]:
    """The exporter's container in Kubernetes."""
    (only,) = manifest("StatefulSet")["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def service() -> dict[str, Any]:
    """The exporter's service in the compose file."""
    [document] = documents(COMPOSE)
    found: dict[str, Any] = document["services"]["exporter"]
    return found


def variables_of_unit() -> dict[str, str]:
    """The environment variables that the systemd unit sets, with their values."""
    pairs = re.findall(r"^Environment=(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE)
    return dict(pairs)


def is_valid(directory: Path, *args: str, env: dict[str, str] | None = None) -> bool:
    """Whether the program takes these settings, where files are looked for in the directory."""
    (directory / "credentials").write_text("user:password\n")
    (directory / "web.yml").write_text("basic_auth_users: {ops: $2b$10$" + "a" * 53 + "}\n")
    places = ("/etc/bandwidth-voice-exporter", "/run/secrets")
    here = dict.fromkeys(places, str(directory))

    def moved(text: str) -> str:
        for there, stand_in in here.items():
            text = text.replace(there, stand_in)
        return text

    run = subprocess.run(
        [*MODULE, "--check-config", *map(moved, args)],
        env=environment(directory, {name: moved(text) for name, text in (env or {}).items()}),
        capture_output=True,
        text=True,
        check=False,
    )
    # Of what runs elsewhere, this machine may lack the directory or the address.
    said = run.stdout if run.returncode == 0 else run.stderr
    assert re.match("bandwidth-voice-exporter: (the settings are )?valid", said), said
    return True


def test_kubernetes_needs_no_family() -> None:
    """No address stands in a manifest, and Services have whichever family there is."""
    assert not re.search(
        r"\d+\.\d+\.\d+\.\d+", "".join(one.read_text() for one in KUBERNETES.glob("*.y*ml"))
    )
    policies = {one["spec"]["ipFamilyPolicy"] for one in documents(KUBERNETES / "services.yaml")}
    assert policies == {"PreferDualStack"}


def test_unit_reloads_and_comes_back() -> None:
    """The unit reads files again by the signal for it, and is started again however it ended."""
    lines = UNIT.read_text().splitlines()
    assert "ExecReload=kill -HUP $MAINPID" in lines
    assert "Restart=always" in lines


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_yaml_is_strict(path: Path) -> None:
    """Every YAML file can be read, and has no key twice."""
    assert documents(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_flags_and_variables_are_the_exporters(path: Path) -> None:
    """Every flag and environment variable of the exporter that a file names exists."""
    text = path.read_text()
    flags = set(re.findall(rf"--((?:{'|'.join(GROUPS)})\.[\w.-]*\w)", text))
    assert flags <= {option.flag for option in OPTIONS} | OTHERS
    variables = set(re.findall(rf"\b(?:{ENVIRONMENT_PREFIX}|WEBHOOK_)\w*\w", text))
    grafanas = {f"{ENVIRONMENT_PREFIX}URL"}
    assert variables <= {option.variable for option in OPTIONS} | {USERNAME, PASSWORD} | grafanas


@pytest.mark.program
def test_settings_of_each_are_valid(tmp_path: Path) -> None:
    """The exporter takes the settings of the StatefulSet, of the compose file and of the unit."""
    assert is_valid(tmp_path, *container()["args"])
    assert is_valid(tmp_path, env={**service()["environment"], USERNAME: "u", PASSWORD: "p"})
    assert is_valid(tmp_path, env=variables_of_unit())


def test_ports_are_those_that_it_listens_on() -> None:
    """Image, compose file and manifests name the two default ports, and no others of it."""
    webhook, ops = 10061, 10060
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^EXPOSE (.*)$", text, re.MULTILINE) == [f"{ops} {webhook}"]
    assert set(service()["ports"]) == {f"127.0.0.1:{port}:{port}" for port in (ops, webhook)}
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"webhook": webhook, "ops": ops}
    for document in documents(KUBERNETES / "services.yaml"):
        [port] = document["spec"]["ports"]
        assert port["port"] == ports[port["targetPort"]]
    defaults = {option.flag: option for option in OPTIONS}
    assert defaults["web.listen-address"].default.endswith(f":{ops}")
    assert f":{webhook}" in defaults["webhook.listen-address"].help
    allowed = [rule["ports"][0]["port"] for rule in manifest("NetworkPolicy")["spec"]["ingress"]]
    assert sorted(allowed) == sorted(ports)
    [endpoint] = manifest("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "ops"


def test_probes_are_answered(exporter: StartExporter) -> None:
    """Every probe of the StatefulSet asks a listener for a path that it has."""
    running = exporter()
    clients = {"webhook": running.webhook, "ops": running.ops}
    probes = [
        container()[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")
    ]
    assert {probe["port"] for probe in probes} == set(clients)
    for probe in probes:
        assert clients[probe["port"]].request("GET", probe["path"]).status == 200


def test_selectors_find_the_pods() -> None:
    """Services, network policy and pod monitor select what the StatefulSet's pods are labelled."""
    labels = manifest("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert manifest("StatefulSet")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert manifest("PodMonitor")["spec"]["selector"]["matchLabels"] == labels
    for document in documents(KUBERNETES / "services.yaml"):
        assert document["spec"]["selector"] == labels


def test_instances_keep_their_name() -> None:
    """A pod's series have its name, which stays, as their instance, and a job that rules select."""
    [endpoint] = manifest("PodMonitor")["spec"]["podMetricsEndpoints"]
    relabelings = {one["targetLabel"]: one for one in endpoint["relabelings"]}
    assert relabelings["instance"]["sourceLabels"] == ["__meta_kubernetes_pod_name"]
    selected = alerts.config.load().job
    assert re.fullmatch(selected, relabelings["job"]["replacement"])
    [document] = documents(DEPLOY / "compose" / "prometheus.yml")
    [job] = document["scrape_configs"]
    assert re.fullmatch(selected, job["job_name"])


def test_the_ledger_has_room() -> None:
    """The volume in Kubernetes is at least twice as large as the ledger may grow."""
    [claim] = manifest("StatefulSet")["spec"]["volumeClaimTemplates"]
    [largest] = (arg for arg in container()["args"] if arg.startswith("--storage.max-bytes="))
    gigabytes = int(largest.removeprefix("--storage.max-bytes=").removesuffix("GiB"))
    storage = claim["spec"]["resources"]["requests"]["storage"]
    assert int(storage.removesuffix("Gi")) >= 2 * gigabytes


def test_nothing_runs_as_root() -> None:
    """Image and pod have the same number for a user, and the pod has no capability."""
    user = re.findall(r"^USER (\d+):(\d+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    pod = manifest("StatefulSet")["spec"]["template"]["spec"]["securityContext"]
    assert user == [(str(pod["runAsUser"]), str(pod["runAsGroup"]))]
    assert pod["runAsNonRoot"]
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def mounts() -> Iterator[tuple[str, str]]:
    """Each file or directory that the compose file mounts, and where."""
    [document] = documents(COMPOSE)
    for one in document["services"].values():
        for volume in one["volumes"]:
            source, target, *_ = volume.split(":")
            if source.startswith("."):
                yield source, target


def test_what_is_mounted_and_copied_exists() -> None:
    """Every path that the compose file mounts or the Dockerfile copies is in the repository."""
    sources = [source for source, _ in mounts()]
    assert sources
    for source in sources:
        assert (COMPOSE.parent / source).exists(), source
    text = (DEPLOY / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
    let_in = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert copied
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
        assert f"!{source}" in let_in


def test_pages_ask_for_a_password_in_compose() -> None:
    """The exporter has users, no page is public, and Prometheus is given one of their passwords."""
    [document] = documents(COMPOSE)
    services = document["services"]
    environment = services["exporter"]["environment"]
    assert not [name for name in environment if name.endswith("PAGES_PUBLIC")]
    assert environment[f"{ENVIRONMENT_PREFIX}WEB_CONFIG_FILE"] == "/run/secrets/web.yml"
    [configuration] = documents(COMPOSE.parent / "prometheus.yml")
    [job] = configuration["scrape_configs"]
    name = Path(job["basic_auth"]["password_file"]).name
    assert services["exporter"]["secrets"] == ["web.yml"]
    assert services["prometheus"]["secrets"] == [name]
    # Only files can be put into a container that is read-only, and one that is missing is an error.
    assert document["secrets"] == {one: {"file": f"./{one}"} for one in ("web.yml", name)}
    assert f"  {job['basic_auth']['username']}: " in (DEPLOY / "README.md").read_text()
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {f"/deploy/compose/{one}" for one in ("web.yml", name, ".env")} <= set(ignored)


@pytest.mark.prometheus
def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    """Prometheus's own check passes on the compose file's configuration with the rules."""
    (tmp_path / "rules").mkdir()
    for source, target in mounts():
        if Path(target).parent == Path("/etc/prometheus"):
            (tmp_path / Path(target).name).write_text((COMPOSE.parent / source).read_text())
    secret = tmp_path / "ops-password"
    secret.write_text("right")
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(
        configuration.read_text().replace(f"/run/secrets/{secret.name}", str(secret))
    )
    result = promtool("check", "config", str(configuration))
    assert result.returncode == 0, result.stderr
    assert "bandwidth-voice.rules.yml" in result.stdout


@pytest.mark.parametrize("path", [COMPOSE, DEMO], ids=lambda path: path.name)
def test_compose_reads_it(path: Path) -> None:
    """Each compose file is valid by the schema of the Compose specification."""
    schema = json.loads((Path(__file__).parent / "schemas" / "compose-spec.json").read_text())
    check = jsonschema_rs.validator_for(schema)
    [document] = documents(path)
    assert [str(one) for one in check.iter_errors(document)] == []
    document["services"]["exporter"]["prots"] = []
    assert not check.is_valid(document)


@pytest.mark.program
def test_settings_of_the_demonstration_are_valid(tmp_path: Path) -> None:
    """The exporter and the simulator take what the demonstration sets."""
    [document] = documents(DEMO)
    services = document["services"]
    assert is_valid(tmp_path, env=services["exporter"]["environment"])
    command, *arguments = services["calls"]["command"]
    assert command == "simulate"
    target = parse_options(arguments, {}).target
    assert f"http://{target.host}:{target.port}{target.path.decode()}" == DEMO_TARGET


def test_the_demonstration_hands_out_what_the_others_read(tmp_path: Path) -> None:
    """The commands that it runs exist, and write what Prometheus and Grafana read."""
    [document] = documents(DEMO)
    services, configs = document["services"], document["configs"]
    [script] = services["handouts"]["command"]
    commands = re.findall(r"^\$\$exporter (.*)$", script, re.MULTILINE)
    for line in commands:
        command, *arguments = shlex.split(line)
        named = [one if one.startswith("--web") else str(tmp_path / one) for one in arguments]
        output = [one.replace("--output=", f"--output={tmp_path}/") for one in arguments]
        assert cli.main([command, *(output if command == "rules" else named)], {}) == 0
    prometheus, boards = (
        yaml.safe_load(configs[name]["content"]) for name in ("prometheus", "boards")
    )
    read = [*prometheus["rule_files"], boards["providers"][0]["options"]["path"]]
    assert [(tmp_path / Path(one).relative_to("/handouts")).exists() for one in read] == [True] * 2
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (tmp_path / Path(home).relative_to("/handouts")).exists()
    [job] = prometheus["scrape_configs"]
    assert re.fullmatch(alerts.config.load().job, job["job_name"])


def test_grafana_finds_its_dashboards() -> None:
    """Every variable of Grafana's provisioning files is set, the dashboards' to where they are."""
    [document] = documents(COMPOSE)
    environment = document["services"]["grafana"]["environment"]
    provisioning = ROOT / "dashboards" / "provisioning"
    used = {
        name
        for path in provisioning.rglob("*.yaml")
        for name in re.findall(r"(?<!\$)\$(\w+)", path.read_text())
    }
    assert used
    assert used <= set(environment)
    targets = {target: COMPOSE.parent / source for source, target in mounts()}
    assert list(targets[environment["BANDWIDTH_VOICE_DASHBOARDS"]].glob("*.json"))
    assert targets["/etc/grafana/provisioning"].resolve() == provisioning


def test_the_prometheus_rule_is_up_to_date() -> None:
    """The PrometheusRule is, byte for byte, what is made of the alert rules."""
    rules = (ROOT / "alerts" / "bandwidth-voice.rules.yml").read_text("utf-8")
    assert (KUBERNETES / "prometheusrule.yaml").read_text("utf-8") == alerts.manifest(rules)
    assert manifest("PrometheusRule")["spec"] == yaml.safe_load(rules)


def test_versions_are_the_projects() -> None:
    """Images and changelog have the version that pyproject.toml has, the one place to change it."""
    images = [
        version
        for path in FILES
        for version in re.findall(r"bandwidth-voice-exporter:([\d.]+\d)", path.read_text())
    ]
    assert images
    assert set(images) == {VERSION}
    [kustomization] = documents(KUBERNETES / "kustomization.yaml")
    assert [image["newTag"] for image in kustomization["images"]] == [VERSION]
    released = re.findall(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == VERSION


def test_the_path_is_the_default() -> None:
    """Proxy and probes use the webhook path that the exporter has unless told otherwise."""
    text = (DEPLOY / "nginx" / "bandwidth-voice-exporter.conf").read_text()
    assert f"location {WEBHOOK_PATH} {{" in text
    assert container()["readinessProbe"]["httpGet"]["path"] == f"{WEBHOOK_PATH}/ready"


def test_a_release_is_published_without_a_secret() -> None:
    """Each job of the workflow has the permissions that it needs alone, and none has a token."""
    file = ROOT / ".github" / "workflows" / "release.yml"
    [workflow] = documents(file)
    assert "secrets." not in file.read_text()
    assert workflow["permissions"] == {}
    permissions = {name: job["permissions"] for name, job in workflow["jobs"].items()}
    assert permissions == {
        "build": {"contents": "read", "id-token": "write", "attestations": "write"},
        "publish": {"id-token": "write"},
    }
    assert workflow["jobs"]["publish"]["needs"] == "build"

"""Write what is made in the chart: rules, dashboards, the values' schema and their table.

With a helm, from $HELM, .tools or PATH, the renderings for the tests are made by it.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from bandwidth_voice_exporter import alerts, dashboards
from bandwidth_voice_exporter.settings import OPTIONS

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy" / "helm" / "bandwidth-voice-exporter"
TESTS = CHART.parent / "tests"
FINGERPRINT = TESTS / "rendered.sha256"

_TABLE = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- end of values -->)", re.DOTALL)
_EXPORTER, _DASHBOARDS = "https://exporter.invalid", "https://dashboards.invalid"
_STAND_INS = {
    f"{_EXPORTER}/runbooks/": "",  # the condition's name alone is left
    _EXPORTER: "@exporter@",
    _DASHBOARDS: "@dashboards@",
    "job.invalid": "@job@",
}

# Of each plain manifest: the rendering and the templates that it is of, and what is said above it.
_PLAIN = {
    "kubernetes/statefulset.yaml": (
        "plain",
        "statefulset.yaml",
        """\
Each replica has its own ledger, and Prometheus sums. First make the credentials:
kubectl create secret generic bandwidth-voice-exporter --from-literal=credentials=USER:PASSWORD""",
    ),
    "kubernetes/services.yaml": (
        "plain",
        "services.yaml",
        """\
The ingress or load balancer has the certificate. Keep the query out of its logs, for a GET delivery
has phone numbers in it.""",
    ),
    "kubernetes/networkpolicy.yaml": (
        "plain",
        "networkpolicy.yaml",
        """\
Events from the ingress controller, scrapes from Prometheus, and nothing else; the exporter itself
connects to nobody. Put the names of your namespaces in.""",
    ),
    "kubernetes/podmonitor.yaml": (
        "plain",
        "podmonitor.yaml",
        """\
For the Prometheus Operator. Exemplars are kept where the Prometheus has
spec.enableFeatures: [exemplar-storage].""",
    ),
    "postgresql/statefulset.yaml": (
        "postgresql",
        "statefulset.yaml",
        """\
In place of ../kubernetes/statefulset.yaml: replicas that share a ledger, and need no volume. A pod
keeps its name, and goes on under it on any node. First make the secrets:
kubectl create secret generic bandwidth-voice-exporter --from-literal=credentials=USER:PASSWORD \\
  --from-literal=database-password=PASSWORD --from-literal=key="$(openssl rand -hex 32)" \\
  --from-file=ca.crt""",
    ),
}
_MADE_BY = "`make chart` makes this of the Helm chart."
# The lines that Helm alone needs of a manifest, by the beginnings of its lines.
_OF_HELM = re.compile(
    r"^ *(app\.kubernetes\.io/(instance|managed-by|version)|helm\.sh/chart): .*\n"
    r"|^  namespace: voice\n|^ *serviceAccountName: default\n|^# Source: .*\n",
    re.MULTILINE,
)

# Flags that a value of the chart sets, or that its ports and probes rest on.
_TAKEN = {
    "webhook.listen-address",
    "webhook.path",
    "webhook.credentials-file",
    "webhook.config.file",
    "web.listen-address",
    "web.external-url",
    "web.route-prefix",
    "web.telemetry-path",
    "storage.path",
    "storage.max-bytes",
    "ledger.url",
    "ledger.password-file",
    "ledger.key-file",
    "replica.name",
}

# Values that are as Kubernetes has them, or somebody's own names.
_FREE = {
    "resources",
    "podSecurityContext",
    "securityContext",
    "affinity",
    "nodeSelector",
}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_PATH = {"type": "string", "pattern": r"^/[A-Za-z0-9/_.~-]*[A-Za-z0-9_.~-]$"}
_ADDRESS = {"type": "string", "pattern": r"^(https?://[^\s{}/@]+(/[^\s{}@]*)?)?$"}
_OBJECTS = {"type": "array", "items": {"type": "object"}}
_MONITOR = {
    "endpoint": {"type": "object"},
    "interval": {"type": "string", "pattern": "^[0-9]+(s|m)$"},
    "job": {"type": "string", "pattern": r"^[A-Za-z0-9_:./-]+$"},
}
_SAID: Mapping[str, Mapping[str, Any]] = {
    "replicaCount": {"type": "integer", "minimum": 1},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "image.digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "imagePullSecrets": _OBJECTS,
    "secret.ledgerKey": {"type": "string", "pattern": "^([0-9a-fA-F]{32,128})?$"},
    "webhook.path": _PATH,
    "ops.externalUrl": _ADDRESS,
    "extraEnv": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
            "required": ["name"],
        },
    },
    "extraVolumes": _OBJECTS,
    "extraVolumeMounts": _OBJECTS,
    "persistence.maxBytes": {"type": "string", "pattern": "^[0-9]+[KMGT]iB$"},
    "persistence.size": {"type": "string", "pattern": "^[0-9]+[KMGT]i$"},
    # A password in it would be an argument, which everybody reads who lists processes or pods.
    "postgresql.url": {
        "type": "string",
        "pattern": r"^(postgres(ql)?://[^\s:@/]+@[^\s@]+)?$",
        "not": {"pattern": "[?&](ssl)?password="},
    },
    "service.type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "service.port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "ingress.extraPaths": {"type": "array", "items": {"type": "string", "pattern": "^/"}},
    "networkPolicy.webhookFrom": _OBJECTS,
    "networkPolicy.opsFrom": _OBJECTS,
    "networkPolicy.egress": _OBJECTS,
    "prometheusRule.job": {"type": "string", "pattern": r'^[^"\\@]+$'},
    "prometheusRule.rules": {"type": "string", "pattern": r"^$|(^|\n)groups:"},
    "prometheusRule.switchedOff": {
        "type": "array",
        "items": {"type": "string", "pattern": "^BandwidthVoice[A-Za-z]+$"},
    },
    "dashboards.labels": _TEXTS,
    "terminationGracePeriodSeconds": {"type": "integer", "minimum": 15},
    "tolerations": _OBJECTS,
    **{
        f"{kind}.{name}": schema
        for kind in ("podMonitor", "serviceMonitor")
        for name, schema in _MONITOR.items()
    },
    **{f"prometheusRule.links.{name}": _ADDRESS for name in ("exporter", "dashboards", "runbooks")},
}
_WORDS = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}


def values() -> dict[str, Any]:
    """Return what is set unless told otherwise."""
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    return found


def rules() -> str:
    """Return the rules with @placeholders@ for what the chart's values set of them."""
    stand_ins = dict(_STAND_INS)
    settings = alerts.config.load()
    count = 0
    for section, thresholds in values()["prometheusRule"]["thresholds"].items():
        limits = getattr(settings, section)
        numbers: dict[str, float] = {}
        for name in thresholds:
            count += 1
            # It ends with a seven: a zero at its end would not be written.
            number = f"73{count:03}7"
            if not isinstance(getattr(limits, name), int):
                number = f"0.{number}"
            stand_ins[number] = f"@{section}.{name}@"
            numbers[name] = float(number) if "." in number else int(number)
        # They are no numbers that a site may set: nobody checks them.
        limits = msgspec.structs.replace(limits, **numbers)
        settings = msgspec.structs.replace(settings, **{section: limits})
    links = alerts.config.Links(exporter=_EXPORTER, dashboards=_DASHBOARDS)
    settings = msgspec.structs.replace(settings, job="job.invalid", links=links)
    groups = yaml.load(alerts.rules.text(settings), yaml.CSafeLoader)
    found = json.dumps(_put(groups, stand_ins), indent=1) + "\n"
    lost = [name for name in stand_ins.values() if name and name not in found]
    if lost:
        raise ValueError(
            f"these cannot be values of the chart, as rules calculate with them: {lost}"
        )
    return found


def rules_of(given: Mapping[str, Any]) -> Any:
    """Return what the program makes of the chart's values: a rule file's content."""
    said = given["prometheusRule"]
    if "rules" in said:
        return yaml.load(said["rules"], yaml.CSafeLoader)
    links = {"exporter": given.get("ops", {}).get("externalUrl", ""), **said.get("links", {})}
    return _rules({**said, "links": links})


def _rules(said: Mapping[str, Any]) -> Any:
    lines = [f"switched_off = {json.dumps(said.get('switchedOff', []))}"]
    if "job" in said:
        lines.append(f"job = {json.dumps(said['job'])}")
    lines += ["[links]", *(f"{key} = {json.dumps(link)}" for key, link in said["links"].items())]
    for section, thresholds in said.get("thresholds", {}).items():
        lines += [f"[{section}]", *(f"{name} = {number}" for name, number in thresholds.items())]
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write("\n".join(lines))
        file.flush()
        text = alerts.rules.text(alerts.config.load(Path(file.name)))
    return yaml.load(text, yaml.CSafeLoader)


def _put(node: Any, stand_ins: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_put(one, stand_ins) for one in node]
    if isinstance(node, dict):
        return {key: _put(value, stand_ins) for key, value in node.items()}
    text = str(node)
    for number, name in stand_ins.items():
        text = text.replace(number, name)
    return text


def boards() -> dict[str, str]:
    """Return each dashboard by its file's name, without the space that people read by."""
    return {
        name: json.dumps(json.loads(text), separators=(",", ":")) + "\n"
        for name, text in dashboards.dashboards().items()
    }


def schema() -> str:
    """Return what values there are: one that is not known is refused."""
    flags = sorted(option.flag for option in OPTIONS if option.flag not in _TAKEN)
    switches = [option.flag for option in OPTIONS if option.is_switch and option.flag in flags]
    valued = "|".join(re.escape(flag) for flag in flags if flag not in switches)
    said = {
        **_SAID,
        "extraArgs": {
            "type": "array",
            "items": {
                "type": "string",
                "pattern": f"^--(({valued})=.*|{'|'.join(map(re.escape, switches))})$",
                "not": {"pattern": "://[^/@]*:[^/@]*@"},
            },
        },
    }
    made = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_schema(values(), "", said),
    }
    made["properties"]["global"] = {"type": "object"}  # which Helm gives every chart
    return json.dumps(made, indent=1) + "\n"


def _schema(value: object, path: str, said: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if path in said:
        return dict(said[path])
    if not isinstance(value, dict):
        return {"type": _WORDS[type(value)]}
    if path in _FREE:
        return {"type": "object"}
    if not value:
        return _TEXTS
    properties = {
        name: _schema(one, f"{path}.{name}".lstrip("."), said) for name, one in value.items()
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def readme() -> str:
    """Return the README with the table of the values."""
    text = (CHART / "values.yaml").read_text("utf-8")
    rows = "".join(
        f"| `{path}` | {said} | `{json.dumps(default)}` |\n"
        for path, said, default in _rows(yaml.compose(text), text.splitlines(), "")
    )
    table = f"| value | what | default |\n| --- | --- | --- |\n{rows}"
    return _TABLE.sub(lambda _: table, (CHART / "README.md").read_text("utf-8"))


def _rows(node: yaml.Node | None, lines: list[str], path: str) -> Iterator[tuple[str, str, Any]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        name = f"{path}.{key.value}".lstrip(".")
        is_table = isinstance(value, yaml.MappingNode) and value.value
        if is_table and name not in _FREE and name != "dashboards.labels":
            yield from _rows(value, lines, name)
            continue
        default = yaml.load(yaml.serialize(value), yaml.SafeLoader)
        yield name, _comment(lines, key.start_mark.line), default


def _comment(lines: list[str], line: int) -> str:
    """Return what stands above a line, from ``# --`` on."""
    above: list[str] = []
    while line and lines[line - 1].strip().startswith("#"):
        line -= 1
        words = lines[line].strip().removeprefix("#").strip()
        above.insert(0, words.removeprefix("--").strip())
        if words.startswith("--"):
            return " ".join(above).replace("|", "\\|")
    return ""


def made() -> dict[Path, str]:
    """Return every file that is made, by where it is."""
    return {
        CHART / "files" / "rules.json": rules(),
        CHART / "values.schema.json": schema(),
        CHART / "README.md": readme(),
        **{CHART / "files" / "dashboards" / name: text for name, text in boards().items()},
    }


def helm() -> str | None:
    """Return where Helm is, if it is anywhere."""
    return os.environ.get("HELM") or shutil.which(
        "helm", path=os.pathsep.join((str(ROOT / ".tools"), os.environ.get("PATH", os.defpath)))
    )


def rendered(program: str, given: Path) -> str:
    """Return what Helm makes of a file of values; CalledProcessError has what it complains of."""
    command = [program, "template", "voice", str(CHART), "--namespace=voice"]
    run = subprocess.run(
        [*command, f"--values={given}", "--kube-version=1.37.0"],
        capture_output=True,
        text=True,
        check=True,
    )
    return _in_one_form(run.stdout, lambda manifest: manifest)


def fingerprint() -> str:
    """Return a digest of what is rendered: who changes it needs a Helm, the test says."""
    given = values()
    del given["prometheusRule"]["thresholds"]  # the one set with rules has its own
    files = [CHART / "Chart.yaml", *(CHART / "templates").iterdir(), *(TESTS / "values").iterdir()]
    texts = [path.name + path.read_text("utf-8") for path in sorted(files)]
    return hashlib.sha256(json.dumps([given, *texts]).encode()).hexdigest() + "\n"


def followed(text: str, given: Mapping[str, Any]) -> str:
    """Return a rendering with the rules and dashboards of today, for who has no Helm."""

    def follow(manifest: dict[str, Any]) -> dict[str, Any]:
        if manifest["kind"] == "PrometheusRule":
            return {**manifest, "spec": rules_of(given)}
        [name] = manifest["data"]
        return {**manifest, "data": {name: boards()[name].strip()}}

    return _in_one_form(text, follow)


def _in_one_form(text: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """Return a rendering whose rules and dashboards are written as PyYAML does.

    Helm 4 ends each part with an empty line, and Helm 3 does not: here none has one.
    """
    parts = [part.rstrip("\n") for part in text.split("\n---\n")]
    for number, part in enumerate(parts):
        if re.search("^kind: (PrometheusRule|ConfigMap)$", part, re.MULTILINE):
            manifest = change(yaml.load(part, yaml.CSafeLoader))
            source = "".join(re.findall("^# Source: .*\n", part, re.MULTILINE))
            parts[number] = source + yaml.dump(manifest, Dumper=yaml.CSafeDumper, width=100)
            parts[number] = parts[number].rstrip("\n")
    return "\n---\n".join(parts) + "\n"


def plain() -> dict[Path, str]:
    """Return the manifests for kubectl: those of the chart, without what Helm alone needs."""
    return {
        CHART.parents[1] / name: _plain(TESTS / "rendered" / f"{rendering}.yaml", template, said)
        for name, (rendering, template, said) in _PLAIN.items()
    }


def _plain(rendering: Path, template: str, said: str) -> str:
    parts = re.split(r"^---\n", rendering.read_text("utf-8"), flags=re.MULTILINE)
    chosen = [part for part in parts if f"/templates/{template}\n" in part]
    if not chosen:
        raise ValueError(f"nothing in {rendering} is of {template}")
    head = "".join(f"# {line}\n" for line in (*said.splitlines(), _MADE_BY))
    return head + "---\n".join(f"{_OF_HELM.sub('', part).strip()}\n" for part in chosen)


def main() -> None:
    """Write them all."""
    for path, text in made().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    program = helm()
    for given in sorted((TESTS / "values").glob("*.yaml")):
        file = TESTS / "rendered" / given.name
        if program:
            file.write_text(rendered(program, given), "utf-8")
        else:
            said = yaml.safe_load(given.read_text("utf-8"))
            file.write_text(followed(file.read_text("utf-8"), said), "utf-8")
    if program:
        FINGERPRINT.write_text(fingerprint(), "utf-8")
    else:
        print("no helm: of the renderings, only rules and dashboards were written again")
    for path, text in plain().items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

"""Kubernetes manifests: read strictly, and what is wrong with them by schema and by the program."""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from bandwidth_voice_exporter.settings import (
    ENVIRONMENT_PREFIX,
    OPTIONS,
    Settings,
    SettingsError,
    paths,
    resolve,
)

SCHEMAS = Path(__file__).parents[1] / "tests" / "project" / "schemas"
PORTS = {"webhook": 10061, "ops": 10060}
Manifest = dict[str, Any]

_OPTIONS = {option.flag: option for option in OPTIONS}
_PASSWORD_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]*@|[?&](ssl)?password=")


class Strict(yaml.CSafeLoader):
    """Refuses a key that is there twice, of which YAML's readers keep one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # as PyYAML has it
        """A mapping whose keys are all different."""
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"twice: {keys} {node.start_mark}"
        return super().construct_mapping(node, deep)


def documents(path: Path) -> list[Manifest]:
    """The documents of a YAML file."""
    return list(yaml.load_all(path.read_text("utf-8"), Strict))  # a SafeLoader


def one(manifests: Sequence[Manifest], kind: str) -> Manifest:
    """The only object of a kind."""
    [found] = (manifest for manifest in manifests if manifest["kind"] == kind)
    return found


def container(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """The exporter's."""
    pod = one(manifests, "StatefulSet")["spec"]["template"]["spec"]
    found: dict[str, Any]
    [found] = pod["containers"]
    return found


@cache
def validators(name: str) -> dict[str, jsonschema_rs.Validator]:
    """A validator for each kind that a file of schemas knows."""
    schemas = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
    return {
        kind: jsonschema_rs.validator_for({**schema, "$defs": schemas["$defs"]})
        for kind, schema in schemas["kinds"].items()
    }


def by_schema(manifests: Sequence[Manifest], version: str) -> list[str]:
    """The fields that this version of Kubernetes, or the operator, would refuse."""
    known = {**validators(f"kubernetes-{version}"), **validators("prometheus-operator")}
    return [
        f"{manifest['kind']}: {error}"
        for manifest in manifests
        for error in known[manifest["kind"]].iter_errors(manifest)
    ]


def settings(manifests: Sequence[Manifest]) -> Settings:
    """The program's settings by the container's arguments and variables; raises SettingsError."""
    given = container(manifests)
    environ = {each["name"]: each.get("value", "-") for each in given.get("env", ())}
    pod = one(manifests, "StatefulSet")["metadata"]["name"] + "-0"
    flags: dict[str, str] = {}
    for argument in given["args"]:
        name, _, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or name not in _OPTIONS:
            raise SettingsError(f"{argument}: no flag of the exporter")
        text = "true" if _OPTIONS[name].is_switch else value.replace("$(POD_NAME)", pod)
        flags[name] = f"{flags[name]},{text}" if name in flags else text
    own = {name: text for name, text in environ.items() if name.startswith(ENVIRONMENT_PREFIX)}
    return resolve(flags, own, {})


def by_program(manifests: Sequence[Manifest]) -> list[str]:
    """Parts that do not fit the exporter: its flags, paths and ports, and secrets in the open."""
    try:
        known = settings(manifests)
    except SettingsError as error:
        return [str(error), *_exposed(manifests)]
    return [*_probes(manifests, known), *_ports(manifests), *_exposed(manifests)]


def _probes(manifests: Sequence[Manifest], known: Settings) -> Iterator[str]:
    ready = f"{known.web_route_prefix}{paths.READY}"
    expected = {
        "startupProbe": ("ops", ready),
        "livenessProbe": ("ops", ready),
        "readinessProbe": ("webhook", f"{known.webhook_path}/ready"),
    }
    for name, (port, path) in expected.items():
        asked = container(manifests)[name]["httpGet"]
        if (asked["port"], asked["path"]) != (port, path):
            yield f"{name} asks {asked['port']} for {asked['path']}, not {port} for {path}"
    for manifest in manifests:
        spec = manifest.get("spec", {})
        for endpoint in spec.get("podMetricsEndpoints", []) + spec.get("endpoints", []):
            metrics = f"{known.web_route_prefix}{known.web_telemetry_path}"
            if endpoint.get("path", "/metrics") != metrics:
                yield f"{manifest['kind']} scrapes {endpoint['path']}, not {metrics}"


def _ports(manifests: Sequence[Manifest]) -> Iterator[str]:
    found = {port["name"]: port["containerPort"] for port in container(manifests)["ports"]}
    if found != PORTS:
        yield f"the container's ports are {found}"
    for manifest in manifests:
        spec = manifest.get("spec", {})
        named = [
            *(port["targetPort"] for port in spec.get("ports", ())),
            *(each["port"] for each in spec.get("podMetricsEndpoints", ())),
            *(each["port"] for each in spec.get("endpoints", ())),
            *(
                port["port"]
                for rule in (spec.get("ingress", ()) if manifest["kind"] == "NetworkPolicy" else ())
                for port in rule["ports"]
            ),
        ]
        for port in named:
            if port not in PORTS:
                yield f"{manifest['kind']}: there is no port {port}"


def _exposed(manifests: Sequence[Manifest]) -> Iterator[str]:
    secrets = [
        base64.b64decode(text).decode()
        for manifest in manifests
        if manifest["kind"] == "Secret"
        for text in manifest["data"].values()
    ]
    words = {
        word for text in secrets for line in text.split() for word in (line, *line.split(":")[1:])
    }
    given = container(manifests)
    for argument in [*given["args"], *given.get("command", ())]:
        if _PASSWORD_IN_URL.search(argument) or any(word in argument for word in words):
            yield f"a secret is in the argument {argument}"

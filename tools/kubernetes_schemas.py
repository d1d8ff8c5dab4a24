"""Write the schemas of what the chart renders: of two versions of Kubernetes, and the operator's.

Arguments: where kubernetes-validate's wheel is unpacked, and the directory of the operator's CRDs.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

DIRECTORY = Path(__file__).resolve().parents[1] / "tests" / "project" / "schemas"
VERSIONS = ("1.25", "1.37")
KINDS = (
    "ConfigMap",
    "Ingress",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
)
CUSTOM = ("PodMonitor", "PrometheusRule", "ServiceMonitor")
_POINTER = "#/$defs/"


def main(wheel: Path, crds: Path) -> None:
    """Write a file for each."""
    for version in VERSIONS:
        folder = f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local-strict"
        _write(f"kubernetes-{version}.json", _kubernetes(wheel / folder))
    found = {}
    for kind in CUSTOM:
        file = crds / f"monitoring.coreos.com_{kind.lower()}s.yaml"
        definition = yaml.load(file.read_text("utf-8"), yaml.CSafeLoader)
        [version] = definition["spec"]["versions"]
        schema = _strict(_pruned(version["schema"]["openAPIV3Schema"]))
        schema["properties"]["metadata"] = {"type": "object"}
        found[kind] = {**schema, "required": ["apiVersion", "kind", "metadata", "spec"]}
    _write("prometheus-operator.json", {"kinds": found, "$defs": {}})


def _kubernetes(folder: Path) -> dict[str, Any]:
    everything = json.loads((folder / "_definitions.json").read_text("utf-8"))["$defs"]
    kinds = {
        kind: next(
            _local(_pruned(json.loads(file.read_text("utf-8"))))
            for file in sorted(folder.glob(f"{kind.lower()}-*v1.json"))
        )
        for kind in KINDS
    }
    needed: dict[str, Any] = {}
    queue = list(_named(kinds))
    while queue:
        name = queue.pop()
        if name not in needed:
            needed[name] = _local(_pruned(everything[name]))
            queue += _named(needed[name])
    return {"kinds": kinds, "$defs": needed}


def _pruned(node: Any) -> Any:
    """Return a schema without words for people."""
    if isinstance(node, list):
        return [_pruned(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    words = ("description", "$id", "$schema", "x-kubernetes-group-version-kind")
    return {
        key: {name: _pruned(one) for name, one in value.items()}
        if key == "properties"
        else _pruned(value)
        for key, value in node.items()
        if key not in words and not (key == "default" and value in ({}, ""))
    }


def _local(node: Any) -> Any:
    """Return a schema whose references stay in its file."""
    if isinstance(node, list):
        return [_local(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: _POINTER + value.rpartition("/")[2] if key == "$ref" else _local(value)
        for key, value in node.items()
    }


def _named(node: Any) -> list[str]:
    """Return the definitions that a schema refers to."""
    if isinstance(node, list):
        return [name for one in node for name in _named(one)]
    if not isinstance(node, Mapping):
        return []
    own = [node["$ref"].removeprefix(_POINTER)] if isinstance(node.get("$ref"), str) else []
    return own + [name for one in node.values() for name in _named(one)]


def _strict(node: Any) -> Any:
    """Return a schema that refuses what it does not know, as the API server's strict mode does."""
    if isinstance(node, list):
        return [_strict(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    found = {key: _strict(value) for key, value in node.items()}
    if isinstance(node.get("properties"), Mapping) and node.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def _write(name: str, schema: Mapping[str, Any]) -> None:
    text = json.dumps(schema, separators=(",", ":"), sort_keys=True)
    (DIRECTORY / name).write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

"""The mixin has the rules and dashboards that are shipped, in the form that mixins have."""

import json
from pathlib import Path
from typing import Any

import _jsonnet
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "alerts" / "bandwidth-voice.rules.yml"
PARTS = "{alerts: m.prometheusAlerts, rules: m.prometheusRules, boards: m.grafanaDashboards}"


def evaluated(more: str = "") -> Any:
    """Evaluate the mixin as a site's tools do, with more Jsonnet put over it."""
    text = f"local m = (import 'mixin.libsonnet') {more}; {PARTS}"
    return json.loads(_jsonnet.evaluate_snippet(str(ROOT / "site.jsonnet"), text))


def test_it_has_every_group_and_dashboard() -> None:
    """Groups are whole: those with an alert are alerts, and each is there once."""
    mixin = evaluated()
    groups = yaml.load(RULES.read_text("utf-8"), yaml.CSafeLoader)["groups"]
    alerting = [group for group in groups if any("alert" in rule for rule in group["rules"])]
    assert mixin["alerts"]["groups"] == alerting
    assert mixin["rules"]["groups"] == [group for group in groups if group not in alerting]
    files = (ROOT / "dashboards").glob("*.json")
    assert mixin["boards"] == {file.name: json.loads(file.read_text("utf-8")) for file in files}


def test_a_site_has_rules_of_its_own() -> None:
    """Rules that were written of another configuration take the place of those shipped."""
    rules = "groups: [{name: mine, rules: [{alert: Mine, expr: vector(1)}]}]"
    mixin = evaluated(f"+ {{rules:: {json.dumps(rules)}}}")
    assert [group["name"] for group in mixin["alerts"]["groups"]] == ["mine"]
    assert mixin["rules"]["groups"] == []

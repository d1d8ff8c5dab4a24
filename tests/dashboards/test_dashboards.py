"""The dashboards as files: what Grafana takes without an edit, and what a reader needs."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import promql_parser
import pytest
import yaml
from promql_parser import MatrixSelector, VectorSelector

from bandwidth_voice_exporter.dashboards import dashboards as generated
from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice.causes import CAUSES, FAULT_DOMAINS
from testkit import dashboards
from testkit.dashboards import NAMES, Json, Query, View

EACH = pytest.mark.parametrize("name", NAMES)
EACH_QUERY = pytest.mark.parametrize("query", dashboards.all_queries(), ids=lambda query: query.key)

# Metrics that Prometheus and the client library add to the catalog's.
OF_TARGETS = {
    "up": (),
    "scrape_duration_seconds": (),
    "scrape_samples_scraped": (),
    "process_cpu_seconds_total": (),
    "process_resident_memory_bytes": (),
    "process_start_time_seconds": (),
}
# Metrics that the alert rules make; the rules sum over the instances.
OF_RULES = {
    "direction:bandwidth_voice_baseline_ready:bool": ("direction",),
    "direction_fault_domain:bandwidth_voice_failure_ratio:threshold1h": (
        "direction",
        "fault_domain",
    ),
    "ALERTS": (
        *("alertname", "alertstate", "severity"),
        *("fault_domain", "direction", "application", "cause"),
    ),
}
KNOWN = {
    sample: (*metric.labels, *(("le",) if sample.endswith("_bucket") else ()))
    for metric in catalog.METRICS
    for sample in metric.samples
} | OF_TARGETS
# The values of every variable depend on job and instance, except for these two variables.
CHOSEN_BEFORE: dict[str, set[str]] = {"job": set(), "instance": {"job"}}
RATES = {"rate", "increase"}
# An error id is evidence, not a rate: the table shows which ids there are.
NO_RATE = {"failures/Recent error ids/A"}


def parsed(query: Query) -> promql_parser.Expr:
    """A query's syntax tree."""
    return promql_parser.parse(View().expand(query.expr, choices_of(query.dashboard)))


def choices_of(name: str) -> list[Json]:
    """The variables of a dashboard that have values of labels."""
    return dashboards.choices(dashboards.load(name))


def nodes(expr: promql_parser.Expr) -> Iterator[promql_parser.Expr]:
    """Every part of an expression."""
    found: list[promql_parser.Expr] = []
    promql_parser.walk(expr, found.append)
    yield from found


def selectors(expr: promql_parser.Expr) -> Iterator[VectorSelector]:
    """Every selector of an expression, also those with a range."""
    return (node for node in nodes(expr) if isinstance(node, VectorSelector))


def matchers(selector: VectorSelector) -> set[str]:
    """A selector's matchers as they are written."""
    return {str(matcher) for matcher in selector.matchers.matchers}


def test_committed_files_are_what_the_generator_writes() -> None:
    """The committed dashboards are, to the byte, what the generator makes of the catalog."""
    committed = {file.name: file.read_text() for file in dashboards.DIRECTORY.glob("*.json")}
    assert committed == generated()


@EACH
def test_imports_without_an_edit(name: str) -> None:
    """A dashboard has what every Grafana from 10 on imports, by whichever way, as it is."""
    dashboard = dashboards.load(name)
    assert "__inputs" not in dashboard
    assert dashboard["__requires"]
    assert dashboard["id"] is None
    assert dashboard["uid"] == f"bandwidth-voice-{name}"
    assert dashboard["schemaVersion"] == 39
    assert dashboard["title"]
    kinds = {panel["type"] for panel in dashboard["panels"]}
    assert kinds == {each["id"] for each in dashboard["__requires"] if each["type"] == "panel"}


@EACH
def test_linter_uneditable(name: str) -> None:
    """uneditable: a change in the UI would be lost, so there is none."""
    assert dashboards.load(name)["editable"] is False


@EACH
def test_linter_templates(name: str) -> None:
    """template-*: one data source variable; job and instance with All as `.+`; fresh values."""
    templates = {each["name"]: each for each in dashboards.load(name)["templating"]["list"]}
    sources = [each for each in templates.values() if each["type"] == "datasource"]
    assert [(each["name"], each["label"], each["query"]) for each in sources] == [
        ("datasource", "Data source", "prometheus")
    ]
    assert {"job", "instance"} <= templates.keys()
    for each in choices_of(name):
        assert each["datasource"]["uid"] == "${datasource}"
        assert each["label"] == each["name"].replace("_", " ").capitalize()
        assert (each["multi"], each["includeAll"], each["allValue"]) == (True, True, ".+")
        assert each["refresh"] == 2  # with the time range


@EACH
def test_linter_template_promql(name: str) -> None:
    """template-label-promql: a variable's query is PromQL, of metrics and labels that exist."""
    for each in choices_of(name):
        found = dashboards.LABEL_VALUES.fullmatch(each["query"]["query"])
        assert found, each["query"]
        assert found["label"] == each["name"]
        expr = promql_parser.parse(View().expand(found["selector"], choices_of(name)))
        [selector] = selectors(expr)
        assert selector.name
        assert each["name"] in {*KNOWN[selector.name], "job", "instance"}
        within = {matcher.name for matcher in selector.matchers.matchers}
        assert within <= {*KNOWN[selector.name], "job", "instance"}
        assert CHOSEN_BEFORE.get(each["name"], {"job", "instance"}) <= within
        assert each["definition"] == each["query"]["query"]


@EACH
def test_linter_panels(name: str) -> None:
    """panel-*: the data source is the variable; title, description, unit and queries are there."""
    for panel in dashboards.load(name)["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["title"]
        assert "**When it is bad:** " in panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["fieldConfig"]["defaults"]["noValue"]
        assert panel["targets"]


@EACH_QUERY
def test_linter_queries(query: Query) -> None:
    """target-*: PromQL that parses, of the chosen jobs and instances, over $__rate_interval."""
    assert query.target["datasource"]["uid"] == "${datasource}"
    # Told apart from every other variable, which is All.
    chosen = View(chosen={"job": ["a-job"], "instance": ["an-instance"]})
    expr = promql_parser.parse(chosen.expand(query.expr, choices_of(query.dashboard)))
    for selector in selectors(expr):
        assert 'job=~"a-job"' in matchers(selector)
        # Metrics that the rules make have no instance.
        assert ('instance=~"an-instance"' in matchers(selector)) is (selector.name not in OF_RULES)
    assert not re.search(r"\brate\([^\[]*\[(?!\$__rate_interval\])", query.expr)


@EACH_QUERY
def test_linter_counters(query: Query) -> None:
    """target-counter-agg: a counter is only looked at through rate or increase."""
    ranged: Counter[str] = Counter()
    for node in nodes(parsed(query)):
        if isinstance(node, promql_parser.Call) and node.func.name in RATES:
            [argument] = node.args
            assert isinstance(argument, MatrixSelector)
            ranged[str(argument.vector_selector)] += 1
    counters = Counter(
        str(selector)
        for selector in selectors(parsed(query))
        if selector.name and selector.name.endswith(("_total", "_bucket"))
    )
    if query.key in NO_RATE:
        assert ranged == Counter()
    else:
        assert counters == ranged


@EACH
def test_linter_no_logs(name: str) -> None:
    """target-logql and target-logql-auto: there is nothing of Loki that they could be about."""
    assert "loki" not in dashboards.file_of(name).read_text().lower()


@EACH_QUERY
def test_metrics_and_labels_exist(query: Query) -> None:
    """Every metric and label of an expression is in the catalog, or of the rules or the target."""
    labels = {"job", "instance"}
    used = set()
    for selector in selectors(parsed(query)):
        assert selector.name in KNOWN or selector.name in OF_RULES, selector.name
        own = {*(KNOWN | OF_RULES)[selector.name], "job", "instance"}
        assert {matcher.name for matcher in selector.matchers.matchers} <= own
        labels |= own
    for node in nodes(parsed(query)):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            used |= set(node.modifier.labels)
        if isinstance(node, promql_parser.BinaryExpr) and node.modifier and node.modifier.matching:
            used |= set(node.modifier.matching.labels)
    assert used <= labels
    named = set(re.findall(r"\{\{(\w+)\}\}", query.target["legendFormat"]))
    assert named <= (used or labels)


@EACH_QUERY
def test_nothing_is_masked(query: Query) -> None:
    """No query makes up a value where there is none."""
    assert not re.search(r"\b(vector|scalar|absent|absent_over_time)\b|\bor\b", query.expr)


@EACH
def test_panels_do_not_overlap(name: str) -> None:
    """Panels fill rows of 24 columns, none lies over another."""
    panels = dashboards.load(name)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        assert 0 <= at["x"] < at["x"] + at["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )


def test_fault_domains_fit() -> None:
    """A share by fault domain fits into a column, and each that a call can fail by has one."""
    [panel] = [
        panel
        for panel in dashboards.load("outcomes")["panels"]
        if panel["title"].startswith("Failing calls by fault domain")
    ]
    assert panel["gridPos"]["w"] >= len(set(FAULT_DOMAINS) - {"none"})
    assert panel["fieldConfig"]["defaults"]["decimals"] == 1


@EACH
def test_legends(name: str) -> None:
    """Every graph has a legend with values in it; no other kind of panel has one to forget."""
    for panel in dashboards.load(name)["panels"]:
        legend = panel["options"].get("legend")
        if panel["type"] == "timeseries":
            assert legend["showLegend"]
            assert legend["displayMode"] in {"table", "list"}
            assert legend["calcs"][0] == "lastNotNull"
            assert all(target["legendFormat"] != "__auto" for target in panel["targets"])
        elif panel["type"] == "heatmap":
            assert legend["show"]
        else:
            assert panel["type"] in {"stat", "table"}
            assert legend is None


@EACH
def test_values_stand_beside_colours(name: str) -> None:
    """A single number shows itself and its name, not only a colour."""
    for panel in dashboards.load(name)["panels"]:
        if panel["type"] == "stat":
            assert panel["options"]["textMode"] in {"value", "value_and_name"}
            assert panel["options"]["colorMode"] == "value"


@EACH
def test_title_says_what_a_variable_does_not_apply_to(name: str) -> None:
    """A panel that a variable changes nothing of, or not all of, says so in its title."""
    dashboard = dashboards.load(name)
    for panel in dashboard["panels"]:
        remark = re.search(r" \((all|only by) (.+)\)$", panel["title"])
        named = set(re.split(r", | and ", remark[2])) if remark else set()
        obeyed = {
            variable["name"]: all(
                f'=~"${variable["name"]}"' in target["expr"] for target in panel["targets"]
            )
            for variable in dashboards.choices(dashboard)
        }
        words = {name: name.replace("_", " ") for name in obeyed}
        if remark and remark[1] == "only by":
            assert named == {words[name] for name, is_so in obeyed.items() if is_so}
        else:
            assert named == {f"{words[name]}s" for name, is_so in obeyed.items() if not is_so}


def colours() -> dict[str, set[str]]:
    """The colours that each named series or word has anywhere."""
    found: dict[str, set[str]] = {}
    for name in NAMES:
        for panel in dashboards.load(name)["panels"]:
            for override in panel["fieldConfig"]["overrides"]:
                for prop in override["properties"]:
                    if prop["id"] == "color":
                        series = re.fullmatch(
                            r"/\^(.+)\(,\.\*\)\?\$/", override["matcher"]["options"]
                        )
                        assert series
                        word = series[1].replace("\\", "")
                        found.setdefault(word, set()).add(prop["value"]["fixedColor"])
                    if prop["id"] == "mappings":
                        for word, mapped in prop["value"][0]["options"].items():
                            found.setdefault(word, set()).add(mapped["color"])
    return found


def test_colours_are_the_same_everywhere() -> None:
    """A cause, a fault domain and a direction have one colour, whichever panel they are on."""
    found = colours()
    assert {*CAUSES, *FAULT_DOMAINS, "inbound", "outbound"} <= found.keys()
    assert {word: shades for word, shades in found.items() if len(shades) > 1} == {}
    for words in (CAUSES, FAULT_DOMAINS):
        assert len({frozenset(found[word]) for word in words}) == len(words)


@EACH
def test_links_keep_time_and_variables(name: str) -> None:
    """Each dashboard leads to the other two, with the time range and the variables."""
    links = [link for link in dashboards.load(name)["links"] if link["url"].startswith("/d/")]
    assert {link["url"] for link in links} == {
        f"/d/bandwidth-voice-{other}" for other in NAMES if other != name
    }
    assert all(link["keepTime"] and link["includeVars"] for link in links)


def test_links_to_calls() -> None:
    """A cause leads to the drill-down, an error id to the exporter's failures page."""
    kept = ("${__url_time_range}", "${__all_variables}")
    links = {
        prop["value"][0]["url"]
        for name in NAMES
        for panel in dashboards.load(name)["panels"]
        for override in panel["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "links"
    }
    assert links == {
        f"/d/bandwidth-voice-failures?{'&'.join(kept)}&var-cause=${{__value.raw}}",
        "${exporter_url:raw}/failures?error_id=${__value.raw}",
    }
    for name in NAMES:
        texts = [
            each
            for each in dashboards.load(name)["templating"]["list"]
            if each["type"] == "textbox"
        ]
        assert [each["name"] for each in texts] == ["exporter_url"]


@EACH
def test_annotations(name: str) -> None:
    """Firing alerts and restarts are drawn on every dashboard."""
    drawn = [each for each in dashboards.load(name)["annotations"]["list"] if "expr" in each]
    assert [each["name"] for each in drawn] == ["Alerts", "Restarts"]
    assert all(each["enable"] and each["datasource"]["uid"] == "${datasource}" for each in drawn)
    found = [
        selector.name
        for each in drawn
        for selector in selectors(
            promql_parser.parse(View().expand(each["expr"], choices_of(name)))
        )
    ]
    assert found == ["ALERTS", "process_start_time_seconds"]


def test_last_week_is_dashed() -> None:
    """A query of the same time last week draws a dashed line; at least ten panels have one."""
    compared = set()
    for query in dashboards.all_queries():
        if query.panel["type"] != "timeseries":
            continue
        dashes = [
            override["matcher"]["options"]
            for override in query.panel["fieldConfig"]["overrides"]
            if override["matcher"]["id"] == "byFrameRefID"
            and {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 6]}}
            in override["properties"]
        ]
        if "offset 1w" in query.expr:
            assert query.target["refId"] in dashes
            assert "last week" in query.target["legendFormat"]
            compared.add(query.panel["title"])
    assert len(compared) >= 10


def test_exemplars_are_on_duration_and_setup() -> None:
    """Exemplars are asked for where a call's value is on the panel's axis, and nowhere else."""
    asked = {query.key for query in dashboards.all_queries() if query.target["exemplar"]}
    assert asked == {"outcomes/Call duration/B", "failures/Setup time, p95/A"}


def test_rules_make_what_the_dashboards_read() -> None:
    """The committed rules make each metric that the dashboards take from them, alerts included."""
    rules = yaml.safe_load((dashboards.ROOT / "alerts/bandwidth-voice.rules.yml").read_text())
    recorded = {rule.get("record") for group in rules["groups"] for rule in group["rules"]}
    assert OF_RULES.keys() - {"ALERTS"} <= recorded
    alerts = {
        rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule
    }
    assert alerts
    assert all(name.startswith("BandwidthVoice") for name in alerts)


def provisioned(kind: str) -> Json:
    """A provisioning file, with the environment filled in as Grafana does."""
    [file] = Path(dashboards.DIRECTORY / "provisioning" / kind).iterdir()
    environment = {
        "BANDWIDTH_VOICE_PROMETHEUS_URL": "http://prometheus:9090",
        "BANDWIDTH_VOICE_EXPORTER_URL": "http://exporter:10060",
        "BANDWIDTH_VOICE_DASHBOARDS": "/dashboards",
    }

    def expanded(text: str) -> str:
        pieces = text.split("$$")
        return "$".join(re.sub(r"\$(\w+)", lambda m: environment[m[1]], piece) for piece in pieces)

    content: Json = yaml.safe_load(file.read_text())
    filled: Json = json.loads(
        json.dumps(content),
        object_hook=lambda each: {
            key: expanded(value) if isinstance(value, str) else value for key, value in each.items()
        },
    )
    return filled


def test_provisioned_data_source_leads_from_exemplars_to_calls() -> None:
    """The data source file links an exemplar's ids to the exporter's failures page."""
    [source] = provisioned("datasources")["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    links = {
        each["name"]: each["url"] for each in source["jsonData"]["exemplarTraceIdDestinations"]
    }
    assert links == {
        "call_id": "http://exporter:10060/failures?call_id=${__value.raw}",
        "error_id": "http://exporter:10060/failures?error_id=${__value.raw}",
    }


def test_provisioned_dashboards_come_from_a_directory() -> None:
    """The provider file makes Grafana read the directory that it is given."""
    [provider] = provisioned("dashboards")["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] == "/dashboards"
    assert provider["allowUiUpdates"] is False

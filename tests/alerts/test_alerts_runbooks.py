"""Each alert has a runbook, and what the runbook says can be done as it stands."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from bandwidth_voice_exporter.voice.causes import CAUSES, HANGUP
from testkit import prometheus as prom
from testkit.alert_cases import runbooks, shipped

FILES = runbooks.files()


def of_file(file: Path) -> str:
    return file.stem


def test_every_alert_has_a_runbook_and_no_other() -> None:
    """Each condition has a file of its name, also one of some sites alone, and each file one."""
    assert {file.stem for file in FILES} == {*shipped.alerts()}


@pytest.mark.parametrize("file", FILES, ids=of_file)
def test_runbook_has_its_sections(file: Path) -> None:
    """Meaning, impact, diagnosis and mitigation, in this order, none of them empty."""
    text = file.read_text("utf-8")
    assert text.startswith(f"# {file.stem}\n")
    sections = runbooks.sections(text)
    assert tuple(sections) == runbooks.SECTIONS
    assert all(body.strip() for body in sections.values())
    assert runbooks.queries(sections["Diagnosis"]) == runbooks.queries(text) != []


@pytest.mark.parametrize("file", FILES, ids=of_file)
def test_queries_use_what_there_is(file: Path) -> None:
    """Every metric in a query is in the catalog or recorded, and has the labels asked for."""
    for query in runbooks.queries(file.read_text("utf-8")):
        selectors = runbooks.selectors(query)
        assert selectors, query
        for name, matched in selectors:
            if name in shipped.recorded():
                continue
            labels = runbooks.labels_of(name)
            assert labels is not None, f"{name} is no metric"
            assert matched | runbooks.grouped(query) <= labels, query


@pytest.mark.prometheus
def test_queries_parse(tmp_path: Path) -> None:
    """Prometheus can parse every query."""
    queries = [query for file in FILES for query in runbooks.queries(file.read_text("utf-8"))]
    rules = [
        {"record": f"runbook:query{number}", "expr": query} for number, query in enumerate(queries)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}))
    result = prom.promtool("check", "rules", str(file))
    assert result.returncode == 0, result.stderr
    assert f"{len(queries)} rules found" in result.stdout


@pytest.mark.parametrize("file", FILES, ids=of_file)
def test_failures_page_is_named(file: Path) -> None:
    """A runbook about calls has the address of the calls that failed, with a cause there is."""
    links = runbooks.links(file.read_text("utf-8"))
    domain = shipped.alerts()[file.stem].labels.get("fault_domain")
    assert links or domain == "pipeline"
    for link in links:
        asked = parse_qs(urlsplit(link).query, strict_parsing=True)
        assert set(asked) == {"cause", "direction"}, link
        assert asked["cause"][0] in {*CAUSES, "CAUSE"} - {HANGUP}, link
        assert asked["direction"][0] in {"inbound", "outbound"}, link


@pytest.mark.parametrize("file", FILES, ids=of_file)
def test_references_lead_somewhere(file: Path) -> None:
    """A runbook refers to runbooks that exist."""
    for reference in runbooks.references(file.read_text("utf-8")):
        assert (file.parent / reference).is_file(), reference

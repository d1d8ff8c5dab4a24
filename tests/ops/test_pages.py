"""The pages and their API over real HTTP, as they are without JavaScript."""

import csv
import html
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

import pytest

from bandwidth_voice_exporter import runbooks
from bandwidth_voice_exporter.settings.resolve import SettingsError, resolve
from bandwidth_voice_exporter.voice.clock import now
from testkit import ledgers
from testkit.calls import APPLICATION
from testkit.client import Answer
from testkit.exporter import Exporter, StartExporter

pytestmark = pytest.mark.program

# Texts that a browser or a spreadsheet would run if it were not told that they are text.
PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</title></option></pre><iframe srcdoc='<script>alert(1)</script>'>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u2028<b onmouseover=alert(1)>hover",
)
FORMULAS = ('=HYPERLINK("http://x","y")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "\uff1d1")
PAGES = ("/", "/failures", "/failures?cause=busy", "/api/v1/failures", "/api/v1/failures.csv")
CALL_ID = "c-95ac8d6e-1a31c52e-b38f-4198-93c1-51633ec68f8d"


def event(number: int, **fields: Any) -> dict[str, Any]:
    """A failed call, unless told otherwise."""
    return {
        "eventType": "disconnect",
        "callId": f"{CALL_ID[:-4]}{number:04x}",
        "applicationId": APPLICATION,
        "direction": "inbound",
        "cause": "busy",
        "startTime": "2026-03-01T12:00:00Z",
        "endTime": "2026-03-01T12:00:28.300Z",
        **fields,
    }


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One exporter for the tests that only look, which was sent what is bad for a page."""
    with Exporter(
        tmp_path_factory.mktemp("pages"), f"--labels.application={APPLICATION}=<b>support"
    ) as running:
        hostile = (*PAYLOADS, *FORMULAS)
        for number, text in enumerate(hostile):
            sent = event(number, errorMessage=text, errorId="x" + text, sipCallId=text, cause=text)
            assert running.send(sent).status == 204
        for number, text in enumerate(hostile, len(hostile)):
            sent = event(number, errorMessage=text, sipCallId=text, parentCallId=text)
            assert running.send(sent | {"eventType": "transferDisconnect"}).status == 204
        normal = event(900, cause="hangup", answerTime="2026-03-01T12:00:10Z", sipCallId="sip-900")
        assert running.send(normal).status == 204
        yield running


def get(exporter: Exporter, path: str, **headers: str) -> Answer:
    """GET a path of the ops listener."""
    return exporter.ops.request("GET", path, headers=headers)


@pytest.mark.parametrize("path", [*PAGES, "/failures?limit=x", "/api/v1/failures?x=y"])
def test_every_answer_is_locked_down(shared: Exporter, path: str) -> None:
    """Pages, API and refusals forbid inline scripts and styles, framing, sniffing, referrers."""
    answer = get(shared, path)
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers


class Elements(HTMLParser):
    """The tags, attributes and texts that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def test_every_runbook_is_a_page(shared: Exporter) -> None:
    """The list has every alert's runbook, and what a runbook links to is there."""
    listed = re.findall(r'href="(/runbooks/\w+)"', get(shared, "/runbooks").text)
    assert {f"/runbooks/{name.removesuffix('.md')}" for name in runbooks.texts()} == {*listed}
    linked = set()
    for path in listed:
        page = get(shared, path)
        assert page.status == 200
        assert f"<h1>{path.rpartition('/')[2]}</h1>" in page.text
        found = re.findall(r'<a href="([^"#]*)"', page.text)
        linked |= {urljoin(path, html.unescape(link)) for link in found}
    assert [link for link in linked if get(shared, link).status != 200] == []
    assert any(link.startswith("/failures?") for link in linked)
    assert get(shared, "/runbooks/Nothing").status == 404


@pytest.mark.parametrize("path", ["/", "/failures", f"/failures?q={quote(PAYLOADS[1])}"])
def test_what_a_call_says_of_itself_is_text(shared: Exporter, path: str) -> None:
    """No tag or attribute of a page comes from the fields of events or from the query."""
    page = Elements(get(shared, path).text)
    assert not page.tags & {"img", "iframe", "object", "embed", "style"}
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name not in ("style", "srcdoc"), (tag, name)
        if name in ("src", "href", "action"):
            assert value.startswith(("/", "#")), (tag, name, value)
            assert not value.startswith("//"), (tag, name, value)
    if path == "/failures":
        for text in PAYLOADS:
            assert text.strip() in page.texts


def test_an_application_may_have_any_name(shared: Exporter) -> None:
    """A configured name with a tag in it is shown as it is written."""
    assert "&lt;b&gt;support" in get(shared, "/").text
    found = get(shared, "/api/v1/failures?application=%3Cb%3Esupport").json["failures"]
    assert {row["application"] for row in found} == {"<b>support"}


def test_the_list_has_failures_newest_first(shared: Exporter) -> None:
    """JSON lists every failed leg, no call that ended normally, and times in falling order."""
    rows = get(shared, "/api/v1/failures?limit=1000").json["failures"]
    assert len(rows) == 2 * len(PAYLOADS + FORMULAS)
    assert "hangup" not in {row["cause"] for row in rows}
    times = [row["time"] for row in rows]
    assert times == sorted(times, reverse=True)


def test_a_row_says_all_that_is_kept(shared: Exporter) -> None:
    """A call is found by its id with cause, fault domain, application, answer and duration."""
    answer = get(shared, "/api/v1/failures?sip_call_id=sip-900")
    (row,) = answer.json["failures"]
    assert row.pop("time").endswith("Z")
    assert row == {
        "event_type": "disconnect",
        "cause": "hangup",
        "fault_domain": "none",
        "direction": "inbound",
        "application": "<b>support",
        "application_id": APPLICATION,
        "answered": True,
        "duration_seconds": 18.3,
        "sip_response_code": None,
        "error_message": None,
        "call_id": event(900)["callId"],
        "error_id": None,
        "sip_call_id": "sip-900",
        "parent_call_id": None,
        "start_time": "2026-03-01T12:00:00.000Z",
        "end_time": "2026-03-01T12:00:28.300Z",
    }


def test_links_lead_through_all_pages(shared: Exporter) -> None:
    """Following older from page to page, and newer back, shows each call once."""
    everything = ids(get(shared, "/api/v1/failures?limit=1000"))
    walked: list[str] = []
    following = "/api/v1/failures?limit=7"
    while True:
        answer = get(shared, following)
        walked += ids(answer)
        if answer.json["older"] is None:
            break
        following = f"/api/v1/failures?limit=7&older={answer.json['older']}"
    assert walked == everything
    last = get(shared, "/api/v1/failures?limit=7&newer=0-0")
    assert ids(last) == everything[-7:]
    before = get(shared, f"/api/v1/failures?limit=7&newer={last.json['newer']}")
    assert ids(before) == everything[-14:-7]


def ids(answer: Answer) -> list[str]:
    """The call ids of an answer, in its order."""
    return [row["call_id"] for row in answer.json["failures"]]


def test_the_page_links_to_the_next_one(shared: Exporter) -> None:
    """With more failures than a page holds, its link to older ones keeps the filters."""
    page = get(shared, "/failures?direction=inbound&limit=5").text
    (older,) = re.findall(r'<a href="([^"]+)" rel="next">', page)
    following = get(shared, html.unescape(older)).text
    assert "direction=inbound" in older
    shown = [set(re.findall(r"<code>(c-[^<]+)</code>", text)) for text in (page, following)]
    assert [len(one) for one in shown] == [5, 5]
    assert not shown[0] & shown[1]


def test_csv_has_the_same_rows_and_no_formula(shared: Exporter) -> None:
    """The CSV has every row of the JSON, and no cell of it begins as a formula does."""
    answer = get(shared, "/api/v1/failures.csv")
    assert answer.headers.get_content_type() == "text/csv"
    assert re.fullmatch(
        r'attachment; filename="failures-\w+\.csv"', answer.headers["Content-Disposition"]
    )
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    wanted = get(shared, "/api/v1/failures?limit=1000").json["failures"]
    assert [row["call_id"] for row in rows] == [row["call_id"] for row in wanted]
    assert list(rows[0]) == list(wanted[0])
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.lstrip(" ")[:1] in tuple("=+-@\t\r\uff1d") and cell]
    for text in FORMULAS:
        kept = unicodedata.normalize("NFKC", text)  # as every message is
        assert f"'{kept}" in {row["error_message"] for row in rows}


def test_a_csv_has_as_many_rows_as_wanted(shared: Exporter) -> None:
    """With a limit the CSV has the newest calls up to it."""
    answer = get(shared, "/api/v1/failures.csv?limit=3")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    newest = ids(get(shared, "/api/v1/failures?limit=3"))
    assert [row["call_id"] for row in rows] == newest


def test_a_long_csv_is_written_page_by_page(exporter: StartExporter, tmp_path: Path) -> None:
    """A CSV of more calls than a query may return has all of them, once."""
    calls = ledgers.stored_calls(tmp_path / "exporter" / "data", 1300, now())
    failed = {call["callId"] for call in calls if call["cause"] != "hangup"}
    assert len(failed) > 1000
    running = exporter()
    rows = list(csv.DictReader(io.StringIO(get(running, "/api/v1/failures.csv").text)))
    assert len(rows) == len(failed)
    assert {row["call_id"] for row in rows} == failed


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/failures?cause=busy&cause=timeout", 200),
        ("/failures?fault_domian=user", 400),
        ("/api/v1/failures?from=yesterday", 400),
        ("/api/v1/failures.csv?limit=a", 400),
        ("/api/v1/failures.csv?newer=0-0", 400),
        ("/static/../pages.py", 404),
        ("/static/%2e%2e%2fpages.py", 404),
        ("/static/nothing.css", 404),
        ("/static/", 404),
        ("/failures/", 404),
        ("/api/v1/", 404),
    ],
)
def test_the_status_says_how_it_went(shared: Exporter, path: str, status: int) -> None:
    """A right query gets 200, a wrong one 400 (the API gives the reason), an unknown path 404."""
    answer = get(shared, path)
    assert answer.status == status
    if path.startswith("/api") and status == 400:
        assert answer.json["error"]


@pytest.mark.parametrize("path", [*PAGES, "/static/pages.css"])
def test_head_and_other_methods(shared: Exporter, path: str) -> None:
    """HEAD is GET without a body, and nothing can be posted."""
    assert shared.ops.request("HEAD", path).status == get(shared, path).status == 200
    assert shared.ops.request("POST", path, b"{}").status == 405


def test_what_the_page_fetches_is_there(shared: Exporter) -> None:
    """Every address that the pages have fetched is their own, and answers with its type."""
    types = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    for path in ("/", "/failures"):
        fetched = re.findall(r'(?:src|rel="\w+" href)="([^"]+)"', get(shared, path).text)
        assert len(fetched) >= 3
        for address in fetched:
            assert address.startswith("/static/")
            answer = get(shared, address)
            assert answer.status == 200
            suffix = address.partition("?")[0].rpartition(".")[2]
            assert answer.headers.get_content_type() == types[suffix]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_status_page_says_how_things_stand(exporter: StartExporter) -> None:
    """Calls, failures, refusals, BXML wiring, and what to paste are on the page, in words."""
    running = exporter("--web.telemetry-path=/prom")
    empty = get(running, "/").text
    assert "Nothing has arrived yet" in empty
    assert "metrics_path: /prom" in empty
    assert f'targets: ["{running.ops_address}"]' in html.unescape(empty)
    assert f"{running.webhook_address}/webhooks/voice" in empty
    for number in range(3):
        running.send(event(number, cause="hangup" if number else "account-limit"))
    running.send({"eventType": "answer", "callId": CALL_ID})
    running.send_bytes(b"nonsense")
    page = " ".join(re.sub(r"<[^>]+>", " ", get(running, "/").text).split())
    assert "Nothing has arrived yet" not in page
    assert "3 calls ended in the last hour, 1 of them failed" in get(running, "/").text
    assert "account-limit account 1 33.3 % 1" in page
    assert "malformed Not a JSON object" in page
    assert "want BXML came in (answer)" in page
    assert "On disk" in page


def test_a_first_call_by_hand_is_told_from_bandwidths(exporter: StartExporter) -> None:
    """The page says what kind of client has sent, in words of its own, and counts one as one."""
    running = exporter(f"--labels.application={APPLICATION}=a&b")
    said = "curl/8.11.1-of-mine"
    assert running.send(event(1), {"User-Agent": said}).status == 204
    page = get(running, "/").text
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "sent by a command line, from a loopback address" in text
    assert "Nothing that has come since the start says that Bandwidth sent it." in text
    assert "command line loopback 1" in text
    assert "1 of 1 call, 100.0 % none of them to act on" in text
    assert 'class="some"' not in page
    assert f'href="/failures?application={quote("a&b")}"' in page
    sent = event(2, cause="callback-error")
    assert running.send(sent, {"User-Agent": "BandwidthAPI/2.0"}).status == 204
    page = get(running, "/").text
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "sent by Bandwidth, from a loopback address" in text
    assert "Nothing that has come" not in text
    assert "2 of 2 calls, 100.0 % 1 to act on" in text
    assert 'class="some"' in page
    kept = [get(running, path).text for path in (*PAGES, "/metrics")]
    kept += [path.read_bytes().decode("latin-1") for path in ledger_files(running)]
    assert not [one for one in (*kept, running.process.output()) if "of-mine" in one]


def ledger_files(running: Exporter) -> list[Path]:
    """Every file that it has written."""
    return [path for path in running.process.stdout.parent.rglob("*") if path.is_file()]


def test_it_is_said_until_when_calls_are_found(exporter: StartExporter) -> None:
    """The failures page says since when calls can be found, and what to set for longer."""
    running = exporter("--storage.retention=3d", "--storage.retention-normal=2h")
    text = " ".join(re.sub(r"<[^>]+>", " ", get(running, "/failures").text).split())
    assert "(2 hours: to find it longer, set --storage.retention-normal)" in text
    assert "(3 days: --storage.retention)" in text
    assert "--storage.max-bytes" not in text


def test_no_number_gets_onto_a_page(exporter: StartExporter) -> None:
    """A phone number in any field of an event, its message included, is on no page and no file."""
    running = exporter()
    personal = dict.fromkeys(
        ("from", "to", "tag", "transferTo", "transferCallerId"), "+14155550123"
    )
    for number, written in enumerate(("+14155550123", "(415) 555-0123", "sip:+14155550123@x.y")):
        sent = event(number, errorMessage=f"No route to {written}!", cause=written, **personal)
        assert running.send(sent).status == 204
    assert len(ids(get(running, "/api/v1/failures"))) == 3
    for path in PAGES:
        text = get(running, path).text
        assert "5550123" not in text
        assert "555-0123" not in text


@pytest.mark.parametrize("path", ["/", "/failures", "/api/v1/failures.csv", "/static/x"])
def test_metrics_do_not_take_a_page_s_place(path: str) -> None:
    """A telemetry path at which a page is, is refused before anything starts."""
    with pytest.raises(SettingsError, match="something else is there"):
        resolve({"web.telemetry-path": path}, {}, {})


def test_in_memory_it_says_what_is_not_kept(exporter: StartExporter) -> None:
    """Without a storage path the pages work, say so, and the API has nothing to look in."""
    running = exporter("--storage.path=")
    running.send(event(1))
    assert "In memory only" in get(running, "/").text
    page = get(running, "/failures")
    assert page.status == 200
    assert "there is none to look up" in page.text
    for path in ("/api/v1/failures", "/api/v1/failures.csv"):
        answer = get(running, path)
        assert (answer.status, list(json.loads(answer.text))) == (404, ["error"])


def test_after_a_restart_the_last_hour_is_still_there(exporter: StartExporter) -> None:
    """The calls of the minutes before a start are in the picture, not only those since."""
    first = exporter()
    for number in range(5):
        first.send(event(number, cause="busy" if number else "hangup"))
    assert first.stop() == 0
    again = exporter()
    again.send(event(9))
    again.process.wait_until(
        lambda: "6 calls ended in the last hour, 5 of them failed" in get(again, "/").text,
        "the hour before the start",
    )


def test_the_ledger_can_be_gone(exporter: StartExporter) -> None:
    """Where the database cannot be read the page says so with 503, and the listener goes on."""
    running = exporter()
    for file in (running.process.stderr.parent / "data").glob("ledger.sqlite3*"):
        file.unlink()
    answer = get(running, "/failures")
    assert (answer.status, "No answer:" in answer.text) == (503, True)
    assert get(running, "/metrics").status == 200

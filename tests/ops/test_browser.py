"""The pages as people see and use them, in a real browser, against the real program."""

import csv
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from testkit.calls import APPLICATION, Event, ended_call
from testkit.exporter import Exporter, StartExporter

pytest_plugins = ("testkit.browser",)
pytestmark = pytest.mark.needs("chromium")

OpenPage = Callable[..., Page]  # the fixture `opened`: (address, width=1280, scheme="light")

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
RUN_AXE = (
    "axe.run().then(found => found.violations.map(one => [one.id, one.nodes.map(n => n.html)]))"
)


def failed(number: int, **fields: object) -> Event:
    """A failed call with ids of its own."""
    direction = ("inbound", "outbound")[number % 2]
    return ended_call(random.Random(number), cause="busy", direction=direction) | fields


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter after some traffic in which an application failed, and with hostile calls."""
    with Exporter(tmp_path_factory.mktemp("incident")) as running:
        for number in range(100, 180):
            fields = {"cause": "callback-error"} if number % 4 else {}
            assert running.send(failed(number) | fields).status == 204
        hostile = {"errorMessage": HOSTILE, "sipCallId": HOSTILE, "cause": "brand-new"}
        assert running.send(failed(1) | hostile).status == 204
        yield running


def violations(page: Page) -> list[object]:
    """Return the violations that axe finds in a page, with the elements that have them."""
    page.evaluate(AXE_SCRIPT)
    return list(page.evaluate(RUN_AXE))


def test_a_newcomer_is_told_what_to_do(exporter: StartExporter, opened: OpenPage) -> None:
    """Before the first event the status page says how to send one, and shows it by itself."""
    running = exporter()
    page = opened(f"{running.ops_url}/")
    expect(page.get_by_role("heading", name="Nothing has arrived yet")).to_be_visible()
    expect(page.locator("#curl")).to_contain_text(running.webhook_address)
    assert violations(page) == []
    assert running.send(failed(1)).status == 204
    # Nobody loads the page again.
    expect(page.get_by_role("heading", name="Nothing has arrived yet")).to_be_hidden(timeout=20_000)
    expect(page.locator("#causes")).to_contain_text("busy")
    running.send_bytes(b"nonsense")
    expect(page.locator("#refused")).to_contain_text("malformed", timeout=20_000)


def test_updates_can_be_paused(exporter: StartExporter, opened: OpenPage) -> None:
    """While paused the page stays as it is, and goes on when that is wanted."""
    running = exporter()
    page = opened(f"{running.ops_url}/")
    pause = page.get_by_role("button", name="Pause updates")
    pause.click()
    expect(page.locator("#live-state")).to_have_text("Paused.")
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    running.send(failed(1))
    page.clock.install()
    page.clock.run_for(60_000)
    assert fetched == []
    pause.click()
    expect(page.locator("#causes")).to_contain_text("busy")


def test_an_empty_list_says_why(exporter: StartExporter, opened: OpenPage) -> None:
    """Without a failed call the list says so, and until when calls can be found."""
    page = opened(f"{exporter().ops_url}/failures")
    expect(page.get_by_text("No failed call is kept")).to_be_visible()
    expect(page.get_by_text("7 days: --storage.retention")).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "path", ["/", "/failures?limit=4", "/runbooks/BandwidthVoiceApplicationFailureSpike"]
)
def test_an_incident_is_readable(
    incident: Exporter, opened: OpenPage, path: str, width: int, scheme: str
) -> None:
    """In the midst of an incident no page is wider than its window, and axe finds nothing."""
    page = opened(incident.ops_url + path, width=width, scheme=scheme)
    expect(page.get_by_text("callback-error").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []


def test_the_incident_leads_to_its_calls(incident: Exporter, opened: OpenPage) -> None:
    """From the status page a cause leads to its calls, filters narrow them, pages go on."""
    page = opened(f"{incident.ops_url}/")
    page.locator("#causes").get_by_role("link", name="callback-error").click()
    expect(page.get_by_label("Cause")).to_have_value("callback-error")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(50)
    assert set(rows.locator(".cause").all_inner_texts()) == {"callback-error"}
    first = rows.first.inner_text()
    page.get_by_role("link", name="Older").click()
    expect(rows.first).not_to_have_text(first)
    page.get_by_role("link", name="Newest").click()
    page.get_by_label("Direction").select_option("outbound")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_label("Cause")).to_have_value("callback-error")
    directions = page.locator("tbody tr td:nth-child(3)").all_inner_texts()
    assert directions
    assert all(text.startswith("outbound") for text in directions)
    page.get_by_role("link", name="Last 15 minutes").click()
    assert page.get_by_label("From (UTC)").input_value()
    page.get_by_role("link", name="Show all failures").click()
    expect(page.get_by_label("Cause")).to_have_value("")


def test_an_id_is_copied_and_found(incident: Exporter, opened: OpenPage) -> None:
    """The copy button has the error id, and searching for it by keyboard finds its one call."""
    page = opened(f"{incident.ops_url}/failures?cause=callback-error")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy error id").first.click()
    expect(page.locator("#copied")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    box = page.get_by_role("searchbox")
    box.focus()
    page.keyboard.insert_text(copied)
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text(copied)


def test_copying_works_without_a_secure_context(incident: Exporter, opened: OpenPage) -> None:
    """Where the browser has no clipboard for the page, the button copies in the old way."""
    page = opened(f"{incident.ops_url}/failures?cause=callback-error")
    page.context.grant_permissions(["clipboard-read"])
    page.evaluate(
        "window.held = navigator.clipboard;"
        "Object.defineProperty(navigator, 'clipboard', { value: undefined })"
    )
    shown = page.locator("tbody tr").first.locator("code").first.inner_text()
    page.get_by_role("button", name="Copy call id").first.click()
    expect(page.locator("#copied")).to_have_text("Copied")
    assert page.evaluate("window.held.readText()") == shown


def test_the_csv_is_a_download(incident: Exporter, opened: OpenPage, tmp_path: Path) -> None:
    """The CSV link saves a file with every call that the filters match."""
    page = opened(f"{incident.ops_url}/failures?cause=callback-error")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV").click()
    waiting.value.save_as(tmp_path / "calls.csv")
    rows = list(csv.DictReader((tmp_path / "calls.csv").read_text().splitlines()))
    assert len(rows) > 50
    assert {row["cause"] for row in rows} == {"callback-error"}
    assert waiting.value.suggested_filename.endswith(".csv")


@pytest.mark.parametrize("path", ["/", "/failures?from=1h"])
def test_hostile_events_are_inert(incident: Exporter, opened: OpenPage, path: str) -> None:
    """Markup in an event's fields is shown as it is written, and nothing of it runs or loads."""
    page = opened(incident.ops_url + path)
    if path != "/":
        # The fixture sees a dialog, a request to x, and a script that the policy stops.
        expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert page.locator("img").count() == 0
    assert page.locator("script:not([src])").count() == 0


def test_the_policy_stops_an_inline_script(
    incident: Exporter, opened: OpenPage, wrong: list[str]
) -> None:
    """A script that had got into a page would not run, and the console would say so."""
    page = opened(f"{incident.ops_url}/failures")
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
        }"""
    )
    assert page.evaluate("window.ran") is None
    (line,) = wrong
    assert "Content Security Policy directive 'script-src 'self''" in line
    wrong.clear()


@pytest.mark.parametrize("path", ["/", "/failures?cause=callback-error"])
def test_nothing_needs_scripts(incident: Exporter, opened: OpenPage, path: str) -> None:
    """Without JavaScript everything is there but the buttons that would do nothing."""
    page = opened(incident.ops_url + path, scheme="without scripts")
    expect(page.get_by_text("callback-error").first).to_be_attached()
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    expect(page.get_by_role("button", name="Pause updates")).to_have_count(0)
    if path != "/":
        page.get_by_label("Direction").select_option("inbound")
        page.get_by_role("button", name="Filter").click()
        expect(page.get_by_label("Direction")).to_have_value("inbound")


def test_the_keyboard_reaches_everything(incident: Exporter, opened: OpenPage) -> None:
    """The first Tab leads to a link over the navigation, and each part that scrolls has focus."""
    page = opened(f"{incident.ops_url}/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Pause updates")).to_be_focused()


def test_an_application_is_chosen_by_its_name(exporter: StartExporter, opened: OpenPage) -> None:
    """A configured application is offered and shown by its name."""
    running = exporter(f"--labels.application={APPLICATION}=support")
    running.send(failed(1))
    page = opened(f"{running.ops_url}/failures")
    page.get_by_label("Application").select_option("support")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody")).to_contain_text("support")

"""Debian's chromium, driven by Playwright, and a page that remembers what went wrong in it."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Request,
    sync_playwright,
)

from testkit import programs

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

OpenPage = Callable[..., Page]
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember of each test whether it failed, for the fixtures that end after it."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module's tests: while it runs, asyncio cannot run in this process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=programs.path("chromium"), args=list(FLAGS)
        )
        yield browser
        browser.close()


@pytest.fixture
def wrong() -> list[str]:
    """Errors in pages: a test that wants some of it takes it out."""
    return []


@pytest.fixture
def opened(
    chromium: Browser, tmp_path: Path, wrong: list[str], request: pytest.FixtureRequest
) -> Iterator[OpenPage]:
    """Open addresses, each in a context of its own; in the end nothing may have gone wrong.

    No line on the console, no exception, no dialog, and no request to another origin. Pages of a
    test that failed are kept as pictures.
    """
    contexts: list[BrowserContext] = []

    def open_page(address: str, *, width: int = 1280, scheme: str = "light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=scheme != "without scripts",
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        origin = "/".join(address.split("/")[:3]) + "/"

        def on_console(message: ConsoleMessage) -> None:
            wrong.append(f"console: {message.text}")

        def on_request(request: Request) -> None:
            if not request.url.startswith(origin):
                wrong.append(f"left its origin: {request.url}")

        def on_error(error: Error) -> None:
            wrong.append(f"error: {error}")

        def on_dialog(dialog: Dialog) -> None:
            wrong.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        page.on("console", on_console)
        page.on("pageerror", on_error)
        page.on("dialog", on_dialog)
        page.on("request", on_request)
        answer = page.goto(address)
        assert answer is not None
        assert answer.ok, answer.status
        return page

    yield open_page
    for number, context in enumerate(contexts):
        for page in context.pages:
            if wrong or request.node.stash[FAILED]:
                page.screenshot(path=tmp_path / f"{number}.png", full_page=True)
        context.close()
    assert wrong == []

"""The private listener: metrics for Prometheus, health for whoever restarts things."""

import asyncio
import html
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from bandwidth_voice_exporter import collector, exposition
from bandwidth_voice_exporter.instruments import Instruments
from bandwidth_voice_exporter.lines import Lines
from bandwidth_voice_exporter.tally import Tally

# Prometheus and whatever scrapes like it send this; a person with curl does not.
_SCRAPE_HEADER = "x-prometheus-scrape-timeout-seconds"

HEALTHY = "/-/healthy"
READY = "/-/ready"


class State(msgspec.Struct):
    """How far the process is: without a tally it is still loading."""

    tally: Tally | None = None
    is_healthy: Callable[[], bool] = lambda: True
    is_stopping: bool = False

    def is_ready(self) -> bool:
        """Whether it counts events."""
        return self.tally is not None and not self.is_stopping


class Scrape:
    """The /metrics endpoint; ``names`` are applications' names by id."""

    def __init__(
        self,
        state: State,
        counted: Instruments,
        names: Mapping[str, str],
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._state = state
        self._instruments = counted
        self._lines = Lines(names)
        self._clock = clock

    async def answer(self, request: Request) -> Response:
        """Copy the totals at once, write them beside the event loop.

        While the totals are loaded there is no answer: zeros would look like a reset.
        """
        tally = self._state.tally
        if tally is None:
            return PlainTextResponse("loading\n", HTTPStatus.SERVICE_UNAVAILABLE)
        content_type = exposition.negotiate(request.headers.get("accept", ""))
        compress = exposition.accepts_gzip(request.headers.get("accept-encoding", ""))
        calls = collector.snapshot(
            tally, self._clock(), is_scrape=_SCRAPE_HEADER in request.headers
        )
        body = await asyncio.to_thread(self._write, calls, content_type, compress=compress)
        headers = {"content-type": content_type, "vary": "accept, accept-encoding"}
        if compress:
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers)

    def _write(self, calls: collector.Snapshot, content_type: str, *, compress: bool) -> bytes:
        is_openmetrics = content_type == exposition.OPENMETRICS
        lines = self._lines.write(calls, is_openmetrics=is_openmetrics)
        return exposition.render(lines, self._instruments, content_type, compress=compress)


def application(telemetry_path: str, scrape: Scrape, state: State, webhook_path: str) -> Starlette:
    """Return the listener's application."""

    async def healthy(request: Request) -> Response:
        del request
        if state.is_healthy():
            return PlainTextResponse("healthy\n")
        return PlainTextResponse(
            "not durable: the ledger cannot be written\n", HTTPStatus.SERVICE_UNAVAILABLE
        )

    async def ready(request: Request) -> Response:
        del request
        if state.is_ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", HTTPStatus.SERVICE_UNAVAILABLE)

    async def landing(request: Request) -> Response:
        del request
        return HTMLResponse(_landing(telemetry_path, webhook_path))

    starlette = Starlette(
        routes=[
            Route(telemetry_path, scrape.answer),
            Route(HEALTHY, healthy),
            Route(READY, ready),
            Route("/", landing),
        ]
    )
    starlette.router.redirect_slashes = False
    return starlette


def _landing(telemetry_path: str, webhook_path: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>bandwidth-voice-exporter</title>
<h1>bandwidth-voice-exporter</h1>
<p>Counts how calls on Bandwidth Programmable Voice end.
Webhooks come to <code>{html.escape(webhook_path)}</code> on the webhook listener.</p>
<ul>
<li><a href="{html.escape(telemetry_path)}">Metrics</a></li>
<li><a href="{HEALTHY}">Health</a></li>
<li><a href="{READY}">Readiness</a></li>
</ul>
</html>
"""

"""The private listener: metrics for Prometheus, health for whoever restarts things, pages."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from msgspec import structs
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from bandwidth_voice_exporter.metrics import (
    COUNTERS,
    Instruments,
    Lines,
    Messages,
    Snapshot,
    catalog,
    exposition,
    snapshot_of,
)
from bandwidth_voice_exporter.ops.site import Site
from bandwidth_voice_exporter.ops.state import State
from bandwidth_voice_exporter.settings import paths
from bandwidth_voice_exporter.voice import now

# Prometheus and whatever scrapes like it send this; a person with curl does not.
_SCRAPE_HEADER = "x-prometheus-scrape-timeout-seconds"


class Scrape:
    """The /metrics endpoint; ``names`` are applications' names by id.

    With native histograms it answers scrapers that prefer Protocol Buffers in these.
    """

    def __init__(
        self,
        state: State,
        instruments: Instruments,
        names: Mapping[str, str],
        clock: Callable[[], int] = now,
        *,
        has_natives: bool = False,
    ) -> None:
        self._state = state
        self._instruments = instruments
        metrics = (*catalog.CALL_METRICS, *COUNTERS)
        self._lines = {
            exposition.TEXT: Lines(names, metrics, is_openmetrics=False),
            exposition.OPENMETRICS: Lines(names, metrics, is_openmetrics=True),
        }
        self._messages = Messages(names, metrics) if has_natives else None
        self._clock = clock

    async def answer(self, request: Request) -> Response:
        """Copy the totals at once, write them beside the event loop.

        While the totals are loaded there is no answer: zeros would look like a reset. If events are
        taken all the same, since the ledger is away, only the calls' series are missing.
        """
        tally = self._state.tally
        if tally is None and not self._state.takes_events:
            return PlainTextResponse("loading\n", HTTPStatus.SERVICE_UNAVAILABLE)
        content_type = exposition.negotiate(
            request.headers.get("accept", ""), has_protobuf=self._messages is not None
        )
        compress = exposition.accepts_gzip(request.headers.get("accept-encoding", ""))
        calls = snapshot_of(
            tally,
            self._clock(),
            is_scrape=_SCRAPE_HEADER in request.headers,
            has_natives=content_type == exposition.PROTOBUF,
        )
        counts = calls.counts | self._instruments.counts()
        taken = structs.replace(calls, counts=counts)
        body = await asyncio.to_thread(self._write, taken, content_type, compress=compress)
        headers = {"content-type": content_type, "vary": "accept, accept-encoding"}
        if compress:
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers)

    def _write(self, taken: Snapshot, content_type: str, *, compress: bool) -> bytes:
        if self._messages and content_type == exposition.PROTOBUF:
            calls = self._messages.write(taken)
        else:
            calls = self._lines[content_type].write(taken).encode()
        return exposition.render(calls, self._instruments.others, content_type, compress=compress)


def application(site: Site, scrape: Scrape, state: State, pages: Sequence[Route]) -> Starlette:
    """Return the listener's application, every path of which begins with the site's prefix."""

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

    async def lead_in(request: Request) -> Response:
        del request
        return RedirectResponse(site.link_prefix + paths.STATUS, HTTPStatus.FOUND)

    routes = [
        Route(site.telemetry_path, scrape.answer),
        Route(paths.HEALTHY, healthy),
        Route(paths.READY, ready),
        *pages,
    ]
    if site.route_prefix:
        routes = [
            *(Route(path, lead_in) for path in ("/", site.route_prefix)),
            *(Route(site.route_prefix + route.path, route.endpoint) for route in routes),
        ]
    starlette = Starlette(routes=routes)
    starlette.router.redirect_slashes = False
    return starlette

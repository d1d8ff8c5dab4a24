"""The pages for people: how things stand, and which calls failed."""

import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from bandwidth_voice_exporter import runbooks
from bandwidth_voice_exporter.http import Clients, Hosts, host_name, is_local, is_local_name
from bandwidth_voice_exporter.ledger import OLDEST, Lookup, Page, Query, QueryError, ReadError
from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.ops import api, formats, status
from bandwidth_voice_exporter.ops.assets import Assets, secured
from bandwidth_voice_exporter.ops.kept import findable
from bandwidth_voice_exporter.ops.site import Site
from bandwidth_voice_exporter.ops.state import State
from bandwidth_voice_exporter.settings import Address, paths
from bandwidth_voice_exporter.voice import (
    CAUSES,
    DIRECTIONS,
    FAULT_DOMAINS,
    HANGUP,
    TRANSFER_DISCONNECT,
    fault_domain,
    labels,
    now,
)

_ANOTHER_NAME = (
    "These pages are not for whatever name leads here: ask for this machine's name or address, or "
    "allow the name (--web.allowed-host, or --web.external-url if that is where browsers find "
    "them).\n"
)
_PRIVATE = (
    "These pages are for this machine only: give the ops listener users (basic_auth_users in "
    "--web.config.file), or set --web.pages-public if everybody who reaches it may read them.\n"
)
_PERIODS = {"15 minutes": "15m", "hour": "1h", "6 hours": "6h", "24 hours": "24h", "7 days": "7d"}

_TIMES = ("from", "to")
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")

Endpoint = Callable[[Request], Awaitable[Response]]


class Pages:
    """Everything on the ops listener but metrics and health.

    ``lookup`` is None where no calls are kept; ``names`` are applications' names by id. They answer
    this machine, clients with a password, and if ``is_public`` every client that asks for one of
    ``hosts``; runbooks are for everybody.
    """

    def __init__(  # noqa: PLR0913  # their parts, each by name
        self,
        *,
        state: State,
        instruments: Instruments,
        lookup: Lookup | None,
        names: Mapping[str, str],
        site: Site,
        has_users: Callable[[], bool],
        is_public: bool,
        hosts: Hosts,
        clients: Clients,
        clock: Callable[[], int] = now,
    ) -> None:
        self._state = state
        self._instruments = instruments
        self._lookup = lookup
        self._names = names
        self._site = site
        self._has_users = has_users
        self._is_public = is_public
        self._hosts = hosts
        self._clients = clients
        self._clock = clock
        self._assets = Assets(site.link_prefix)
        self._texts = runbooks.html()

    def routes(self) -> list[Route]:
        """Return their paths."""
        programs = api.Api(self._lookup, self._names)
        return [
            Route(paths.STATUS, self._guarded(self._status)),
            Route(paths.FAILURES, self._guarded(self._failures)),
            Route(paths.JSON, self._guarded(programs.json)),
            Route(paths.CSV, self._guarded(programs.csv)),
            Route(paths.RUNBOOKS, self._runbook),
            Route(paths.RUNBOOKS + "/{name}", self._runbook),
            Route(paths.STATIC + "{name}", self._assets.answer),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            # A browser does not give the password for one name to a page of another.
            if self._has_users() or is_local(request.scope):
                return secured(await endpoint(request))
            if not self._is_public:
                return secured(PlainTextResponse(_PRIVATE, HTTPStatus.FORBIDDEN))
            if not self._hosts.are_asked(request.scope):
                return secured(PlainTextResponse(_ANOTHER_NAME, HTTPStatus.FORBIDDEN))
            return secured(await endpoint(request))

        return answer

    async def _status(self, request: Request) -> Response:
        history = self._state.history
        if self._state.tally is None or history is None:
            loading = {"takes_events": self._state.takes_events}
            return self._page("loading.html", loading, HTTPStatus.SERVICE_UNAVAILABLE)
        values = {
            "status": status.describe(
                now=self._clock(),
                tally=self._state.tally,
                history=history,
                instruments=self._instruments,
                names=self._names,
                kept=self._site.kept,
                clients=self._clients.seen(),
                replicas=self._state.replicas(),
            ),
            "firing": self._state.firing,
            "runbooks": self._texts,
            "target": self._target(request),
            "needs_password": self._has_users(),
        }
        return self._page("status.html", values)

    async def _failures(self, request: Request) -> Response:
        query, page, problem = Query(), Page(()), None
        kept = self._site.kept
        answer = HTTPStatus.OK
        if self._lookup:
            try:
                query = self._lookup.query(request.query_params.multi_items())
                page = await self._lookup.page(query)
            except QueryError as error:
                answer, problem = HTTPStatus.BAD_REQUEST, str(error)
            except ReadError as error:
                answer, problem = HTTPStatus.SERVICE_UNAVAILABLE, str(error)
        given = _given(request)
        values = {
            "page": page,
            "query": query,
            "problem": problem,
            "now": self._clock(),
            "given": dict(given),
            "choices": self._choices(dict(given)),
            "periods": {
                text: self._link(
                    paths.FAILURES,
                    [pair for pair in given if pair[0] not in _TIMES],
                    **{"from": ago},
                )
                for text, ago in _PERIODS.items()
            },
            "json": self._link(paths.JSON, given),
            "csv": self._link(paths.CSV, given),
            "newest": self._link(paths.FAILURES, given),
            "newer": self._link(paths.FAILURES, given, newer=page.newer),
            "older": self._link(paths.FAILURES, given, older=page.older),
            "oldest": self._link(paths.FAILURES, given, newer=OLDEST),
            "most_lines": api.MOST_LINES,
            "findable": kept and findable(kept, self._instruments, self._clock()),
        }
        return self._page("failures.html", values, answer)

    async def _runbook(self, request: Request) -> Response:
        """Answer anybody: whoever is woken follows a link, and nothing in it is of a call."""
        name = request.path_params.get("name")
        if name is not None and name not in self._texts:
            return secured(PlainTextResponse("no such runbook\n", HTTPStatus.NOT_FOUND))
        return secured(self._page("runbook.html", {"name": name, "runbooks": self._texts}))

    def _choices(self, given: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Return what can be chosen in each filter, with how it is called."""
        tally = self._state.tally
        causes = [one for one in (tally.causes() if tally else CAUSES) if one != HANGUP]
        causes += [labels.MISSING, labels.INVALID]
        applications = tally.applications() if tally else list(self._names)
        choices = {
            "fault_domain": [one for one in FAULT_DOMAINS if one != fault_domain(HANGUP)],
            "cause": causes,
            "application": sorted(
                (self._names.get(one, one) for one in applications), key=formats.natural
            ),
            "direction": [*DIRECTIONS],
        }
        named = {name: {one: one for one in values} for name, values in choices.items()}
        for name, values in named.items():
            if given.get(name):
                values.setdefault(given[name], given[name])
        return named

    def _target(self, request: Request) -> str:
        """Return the address under which Prometheus may reach this listener."""
        host = host_name(request.headers.get("host", ""))
        external = self._site.external_url
        is_proxys = (
            external is not None
            and host.lower() == external.host
            and external.port != self._site.address.port
        )
        if not _HOST.fullmatch(host) or is_local_name(host) or is_proxys:
            is_local = self._site.address.is_loopback()
            host = self._site.address.host if is_local else socket.gethostname()
        return str(Address(host, self._site.address.port))

    def _link(self, path: str, given: list[tuple[str, str]], **more: object) -> str:
        """Return an address with a query string; None if the added parameter has no value."""
        if None in more.values():
            return ""
        parameters = urlencode([*given, *more.items()])
        return self._site.link_prefix + (f"{path}?{parameters}" if parameters else path)

    def _page(
        self, template: str, values: Mapping[str, object], code: HTTPStatus = HTTPStatus.OK
    ) -> Response:
        shared = {
            "site": self._site,
            "names": self._names,
            "paths": {
                "status": self._link(paths.STATUS, []),
                "failures": self._link(paths.FAILURES, []),
                "runbooks": self._link(paths.RUNBOOKS, []),
                "metrics": self._link(self._site.telemetry_path, []),
                "healthy": self._link(paths.HEALTHY, []),
                "ready": self._link(paths.READY, []),
            },
            "fault_domain": fault_domain,
            "transfer": TRANSFER_DISCONNECT,
        }
        return HTMLResponse(self._assets.render(template, {**shared, **values}), code)


def _given(request: Request) -> list[tuple[str, str]]:
    """Return a query's parameters, but for the place in the list."""
    return [
        (name, value.strip())
        for name, value in request.query_params.multi_items()
        if name not in ("older", "newer") and value.strip()
    ]

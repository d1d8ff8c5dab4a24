"""The failures page for programs: JSON by pages, CSV as one file."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bandwidth_voice_exporter.ledger import MOST, Lookup, Page, Query, QueryError, ReadError
from bandwidth_voice_exporter.ops import rows

MOST_LINES = 100_000

NOT_KEPT = "calls are kept in memory only as counts: there is none to look up"


class Api:
    """Both forms; ``lookup`` is None where no calls are kept, ``names`` by application id."""

    def __init__(self, lookup: Lookup | None, names: Mapping[str, str]) -> None:
        self._lookup = lookup
        self._names = names

    async def json(self, request: Request) -> Response:
        """Answer with a page, and the places where the list goes on."""
        if self._lookup is None:
            return _problem(HTTPStatus.NOT_FOUND, NOT_KEPT)
        try:
            query = self._lookup.query(request.query_params.multi_items())
            page = await self._lookup.page(query)
        except (QueryError, ReadError) as error:
            return _refusal(error)
        return _json(
            {
                "failures": [rows.row(call, self._names) for _, call in page.calls],
                "older": page.older and str(page.older),
                "newer": page.newer and str(page.newer),
                "notes": query.notes,
            }
        )

    async def csv(self, request: Request) -> Response:
        """Answer with every call that matches, newest first, up to MOST_LINES or the limit."""
        if self._lookup is None:
            return _problem(HTTPStatus.NOT_FOUND, NOT_KEPT)
        try:
            query = self._lookup.query(request.query_params.multi_items())
            most = query.limit if "limit" in request.query_params else MOST_LINES
            query = _of_file(query, most)
            page = await self._lookup.page(query)
        except (QueryError, ReadError) as error:
            return _refusal(error)
        name = f"failures-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.csv"
        return StreamingResponse(
            self._lines(self._lookup, query, page, most),
            media_type="text/csv",
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    async def _lines(
        self, lookup: Lookup, query: Query, page: Page, most: int
    ) -> AsyncIterator[bytes]:
        yield rows.csv_head()
        written = 0
        while True:
            yield rows.csv_lines((call for _, call in page.calls), self._names)
            written += len(page.calls)
            if page.older is None or written >= most:
                return
            page = await lookup.page(msgspec.structs.replace(query, older=page.older))


def _of_file(query: Query, most: int) -> Query:
    """Return the query of a file's first page. Raises QueryError."""
    if query.newer:
        raise QueryError("newer: a file goes from the newest call on")
    return msgspec.structs.replace(query, limit=min(most, MOST))


def _refusal(error: QueryError | ReadError) -> Response:
    is_wrong = isinstance(error, QueryError)
    return _problem(
        HTTPStatus.BAD_REQUEST if is_wrong else HTTPStatus.SERVICE_UNAVAILABLE, str(error)
    )


def _problem(status: HTTPStatus, message: str) -> Response:
    return _json({"error": message}, status)


def _json(content: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")

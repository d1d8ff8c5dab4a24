"""The list of failures: pages of it, of all of them or of the kinds that are wanted."""

from collections.abc import Iterator

from bandwidth_voice_exporter.ledger.look import ReadTransaction, by_rows, shown, too_slow
from bandwidth_voice_exporter.ledger.page import Page, page_of
from bandwidth_voice_exporter.ledger.query import Place, Query
from bandwidth_voice_exporter.ledger.schema import IS_FAILURE

_MOST_KINDS = 2000

_KIND = ("cause", "application", "direction")
_KINDS = "SELECT cause, application, direction FROM calls INDEXED BY failures_by_kind"
# The next kind after one: of the same cause and application, else of the same cause, else any. Not
# as one comparison of three: SQLite would walk all rows of the cause for it.
_NEXT_KINDS = tuple(
    f"""
    {_KINDS} WHERE {IS_FAILURE} {"".join(f"AND {column} = ? " for column in _KIND[:same])}
        AND {_KIND[same]} > ?
    ORDER BY {", ".join(_KIND)} LIMIT 1
    """
    for same in (2, 1, 0)
)
_PLACES = """
    SELECT received, id FROM calls INDEXED BY {index}
    WHERE {is_wanted} AND (received, id) > (?, ?) AND (received, id) < (?, ?)
    ORDER BY received {order}, id {order} LIMIT ?
"""
_IS_KIND = f"{IS_FAILURE} AND cause = ? AND application = ? AND direction = ?"

_KindOfFailure = tuple[str, str, str]


def page(look: ReadTransaction, query: Query) -> Page:
    """Take one more than is wanted, which tells whether the list goes on."""
    places = _places(look, query)
    calls = dict(by_rows(look, [place.row for place in places]))
    return page_of(query, [(place, shown(calls[place.row])) for place in places])


def _places(look: ReadTransaction, query: Query) -> list[Place]:
    """Return the first places in the list's direction, of each kind and then of all of them."""
    order = "ASC" if query.newer else "DESC"
    low, high = query.bounds
    if not query.has_kind:
        statement = _PLACES.format(index="failures_by_time", is_wanted=IS_FAILURE, order=order)
        between = (low.received, low.row, high.received, high.row)
        return [Place(*row) for row in look.rows(statement, (*between, query.limit + 1))]
    statement = _PLACES.format(index="failures_by_kind", is_wanted=_IS_KIND, order=order)
    best: list[Place] = []
    for kind in _kinds(look, query):
        between = (low.received, low.row, high.received, high.row)
        best += [Place(*row) for row in look.rows(statement, (*kind, *between, query.limit + 1))]
        best.sort(reverse=not query.newer)
        del best[query.limit + 1 :]
        if len(best) > query.limit:  # farther ones are not wanted
            low, high = (low, best[-1]) if query.newer else (best[-1], high)
    return best


def _kinds(look: ReadTransaction, query: Query) -> Iterator[_KindOfFailure]:
    """Yield the kinds of failure that are there and wanted, by a look at the index or two each."""
    looks = 0
    for cause in query.known_causes or ("",):
        after: _KindOfFailure = (cause, "", "")
        while kind := _next_kind(look, after):
            if query.known_causes and kind[0] != cause:
                break
            after = kind
            looks += 1
            if looks > _MOST_KINDS:
                raise too_slow()
            if query.wants_kind(*kind):
                yield kind


def _next_kind(look: ReadTransaction, after: _KindOfFailure) -> _KindOfFailure | None:
    for statement, same in zip(_NEXT_KINDS, (2, 1, 0), strict=True):
        for cause, application, direction in look.rows(statement, after[: same + 1]):
            return cause, application, direction
    return None

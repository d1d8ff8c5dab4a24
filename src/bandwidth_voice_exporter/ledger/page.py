"""A page of the calls that were asked for, and from where the list goes on."""

from collections.abc import Sequence

import msgspec

from bandwidth_voice_exporter.ledger.query import OLDEST, Place, Query
from bandwidth_voice_exporter.voice import CallEnded

Found = tuple[Place, CallEnded]


class Page(msgspec.Struct, frozen=True):
    """Some of the calls, newest first; ``is_cut`` where more have an id than are looked at."""

    calls: tuple[Found, ...]
    older: Place | None = None
    newer: Place | None = None
    is_cut: bool = False


def page_of(query: Query, found: Sequence[Found]) -> Page:
    """Cut the calls found to a page; they come in the direction in which the list was followed.

    One call more than the page takes shows that the list goes on.
    """
    calls = tuple(found[: query.limit])
    goes_on = len(found) > query.limit
    if query.newer:
        calls = calls[::-1]
        has_older = query.newer > OLDEST
        has_newer = goes_on
    else:
        has_older = goes_on
        has_newer = query.older is not None
    if not calls:
        return Page((), newer=OLDEST if query.older else None)
    return Page(
        calls,
        older=calls[-1][0] if has_older else None,
        newer=calls[0][0] if has_newer else None,
    )

"""Taking away the rows that are due, whoever counts them: a bounded step at a time."""

from collections.abc import Iterable

from bandwidth_voice_exporter.ledger.postgres import horizon, rows, schema
from bandwidth_voice_exporter.ledger.postgres.connection import PostgresConnection, Record
from bandwidth_voice_exporter.ledger.pruning import Pruned
from bandwidth_voice_exporter.metrics import Kind

_WALK = 5000  # rows in a step

_IS_KIND: dict[Kind, str] = {"normal": "cause = 'hangup'", "failure": "cause <> 'hangup'"}
# Rows that its replica's saved totals are without stay.
_WALKED = """
    SELECT id, received FROM legs
    WHERE id > $1 AND id <= (SELECT last_row FROM replicas WHERE id = $2) AND {is_kind}
    ORDER BY id LIMIT {most}
"""
_DELETE = "DELETE FROM legs WHERE id > $1 AND id <= $2 AND {is_kind}"


async def step(
    connection: PostgresConnection, kind: Kind, before: int, now: int, marks: dict[int, int]
) -> Pruned:
    """Take away some rows of a kind that were received before a time (microseconds).

    One exporter does it at a time. ``marks`` have the row of each replica up to which none is left,
    as far as this exporter knows. Rows from the future go with the next that is due.
    """
    async with connection.transaction():
        if not await connection.fetchval(
            "SELECT pg_try_advisory_xact_lock($1::int, $2::int)",
            schema.COMMON_LOCK,
            schema.PRUNING,
        ):
            return Pruned(kind, 0, 0, has_more=False)
        for (replica,) in await connection.fetch("SELECT id FROM replicas ORDER BY id"):
            mark = marks.setdefault(replica, rows.first_row(replica))
            for most in (1, _WALK):  # mostly not even the first is due
                query = _WALKED.format(is_kind=_IS_KIND[kind], most=most)
                walked = await connection.fetch(query, mark, replica)
                last, newest = _due(walked, before, now)
                if not last:
                    break
            if not last:
                continue
            done = await connection.execute(_DELETE.format(is_kind=_IS_KIND[kind]), mark, last)
            note = horizon.encoded(min(newest, now))
            await connection.execute(horizon.PUT, horizon.PRUNED[kind], note)
            marks[replica] = last
            is_full = len(walked) == _WALK
            return Pruned(kind, int(done.split()[-1]), min(newest, now), has_more=is_full)
        return Pruned(kind, 0, 0, has_more=False)


def _due(walked: Iterable[Record], before: int, now: int) -> tuple[int, int]:
    """Return the last row that is due, and when the newest of them was received; 0 for none."""
    last, newest = 0, 0
    for row, received in walked:
        if before <= received <= now:
            break
        if received < before:
            last, newest = row, max(newest, received)
    return last, newest

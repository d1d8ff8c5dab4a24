"""Taking away the rows that are due, whoever counts them: a bounded step at a time.

Rows are walked in their order, those of the other kind too: however many of these are kept for
longer, no statement looks at more than some thousand rows.
"""

from bandwidth_voice_exporter.ledger.postgres import horizon, rows, schema
from bandwidth_voice_exporter.ledger.postgres.connection import PostgresConnection
from bandwidth_voice_exporter.ledger.pruning import Mark, Pruned
from bandwidth_voice_exporter.metrics import Kind

_WALK = 5000  # rows that a statement looks at, or takes away
_NO_ROW = 2**63 - 1  # after all

_IS_KIND: dict[Kind, str] = {"normal": "cause = 'hangup'", "failure": "cause <> 'hangup'"}
# Of the rows before the first that is of the kind and to be kept: how many there are, the last, the
# last that is due, when the newest of those was received, and whether any is from the future.
_LOOK = """
    WITH walked AS MATERIALIZED (
        SELECT id, received, {is_kind} AS is_kind FROM legs
        WHERE id > $1 AND id <= $2 ORDER BY id LIMIT {most}
    ), kept AS (
        SELECT coalesce(min(id), {no_row}) AS first FROM walked
        WHERE is_kind AND received BETWEEN $3 AND $4
    )
    SELECT count(*), max(id), max(id) FILTER (WHERE is_kind AND received < $3),
        max(received) FILTER (WHERE is_kind AND received < $3),
        coalesce(bool_or(is_kind AND received > $4), false)
    FROM walked, kept WHERE id < kept.first
"""
_END = """
    SELECT max(id) FROM (
        SELECT id FROM legs WHERE id > $1 AND id <= $2 ORDER BY id LIMIT {most}
    ) AS walked
"""
_DELETE = "DELETE FROM legs WHERE id > $1 AND id <= $2 AND {is_kind}"


async def step(
    connection: PostgresConnection, kind: Kind, before: int, now: int, marks: dict[int, Mark]
) -> Pruned:
    """Take away some rows of a kind that were received before a time (microseconds).

    One exporter does it at a time. ``marks`` say how far each replica's rows are, as far as this
    exporter knows. Rows from the future go with the next that is due; rows that their replica's
    saved totals are without stay.
    """
    pruning = _Step(connection, kind, before, now)
    async with connection.transaction():
        if not await connection.fetchval(
            "SELECT pg_try_advisory_xact_lock($1::int, $2::int)",
            schema.COMMON_LOCK,
            schema.PRUNING,
        ):
            return Pruned(kind, 0, 0, has_more=False)
        replicas = await connection.fetch("SELECT id, last_row FROM replicas ORDER BY id")
        for replica, last_row in replicas:
            first = rows.first_row(replica)
            mark = marks.get(replica, Mark(first, first))
            pruning.marks[replica] = await pruning.go_on(mark, last_row)
            if pruning.has_more:
                break
        if pruning.newest:
            note = horizon.encoded(pruning.newest)
            await connection.execute(horizon.PUT, horizon.PRUNED[kind], note)
    marks.update(pruning.marks)  # now that it is committed
    return Pruned(kind, pruning.rows, pruning.newest, has_more=pruning.has_more)


class _Step:
    """A step through the rows of one replica after the other, until it has passed enough."""

    def __init__(self, connection: PostgresConnection, kind: Kind, before: int, now: int) -> None:
        self._connection = connection
        self._kind = kind
        self._before = before
        self._now = now
        self._passed = 0
        self.marks: dict[int, Mark] = {}
        self.rows = 0
        self.newest = 0  # of the rows that are due (microseconds)
        self.has_more = False

    async def go_on(self, mark: Mark, last_row: int) -> Mark:
        """Take away what is due of a replica's next rows; return how far it is then."""
        for most in (1, _WALK):  # mostly not even the first may be passed
            passed, end, due, newest, has_future = await self._connection.fetchrow(
                _LOOK.format(is_kind=_IS_KIND[self._kind], most=most, no_row=_NO_ROW),
                *(mark.seen, last_row, self._before, self._now),
            )
            if end is None:
                return mark
        self._passed += passed
        self.has_more = self._passed >= _WALK
        if due is None:
            is_none_left = mark.gone == mark.seen and not has_future
            return Mark(end if is_none_left else mark.gone, end)
        self.newest = max(self.newest, min(newest, self._now))
        gone = await self._delete(mark.gone, due)
        if gone < due:  # so many from the future are before it
            self.has_more = True
            return Mark(gone, mark.seen)
        return Mark(due if has_future else end, end)

    async def _delete(self, after: int, through: int) -> int:
        """Take away rows after one and through another; return up to which none is left."""
        end: int = await self._connection.fetchval(_END.format(most=_WALK), after, through)
        query = _DELETE.format(is_kind=_IS_KIND[self._kind])
        done = await self._connection.execute(query, after, end)
        self.rows += int(done.split()[-1])
        return end

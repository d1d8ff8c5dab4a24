"""How large a shared ledger becomes: a simulated week of calls that come and go by retention.

Three replicas write calls at a rate, a quarter of them failures, and the rows that are due go in
the batches that the exporter takes away. After so many days as retention lasts, rows and sizes
should stay what they are. Autovacuum is as the exporter sets it for the table, but looks every
second: a second here is hours of the week, so that it comes later than it would.
"""

import argparse
import asyncio
import random
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING
from unittest import mock

from bandwidth_voice_exporter.ledger.postgres.saved import SharedSaved
from bandwidth_voice_exporter.ledger.postgres.session import Session
from bandwidth_voice_exporter.ledger.postgres.target import LedgerTarget
from bandwidth_voice_exporter.metrics import KINDS, Kind
from testkit import ledgers
from testkit.postgres import Postgres

if TYPE_CHECKING:
    from bandwidth_voice_exporter.ledger.pruning import Mark

DAY = 86_400 * 10**6
_ROOM = "bandwidth_voice_exporter.ledger.postgres"  # whose time limits a busy machine would break
_SETTINGS = ("autovacuum_naptime=1s", "shared_buffers=128MB")
_ROWS = 64  # in a commit
_SIZES = """
    SELECT 'table', pg_table_size('bandwidth_voice.legs')
    UNION ALL SELECT indexrelname, pg_relation_size(indexrelid) FROM pg_stat_user_indexes
    WHERE schemaname = 'bandwidth_voice' AND relname = 'legs' ORDER BY 1
"""


class Week:
    """Replicas that write and prune at a clock of their own, in microseconds."""

    def __init__(self, sessions: list[Session], keep: dict[Kind, int]) -> None:
        self._sessions = sessions
        self._keep = keep
        self._marks: dict[Kind, dict[int, Mark]] = {kind: {} for kind in KINDS}
        self._rows: Counter[int] = Counter()
        self._dice = random.Random(1)

    async def begin(self) -> None:
        """Number the rows from where each replica's begin."""
        for session in self._sessions:
            saved, _ = await session.load()
            self._rows[session.replica] = saved.last_row

    async def pass_by(self, start: int, end: int, every: int) -> None:
        """Write a call each so many microseconds, and take away what is due."""
        for turn, now in enumerate(range(start, end, every * _ROWS)):
            session = self._sessions[turn % len(self._sessions)]
            calls = [
                ledgers.a_call(self._dice, received)
                for received in range(now, min(now + every * _ROWS, end), every)
            ]
            first = self._rows[session.replica] + 1
            self._rows[session.replica] += len(calls)
            await session.insert(list(enumerate(calls, first)))
            await session.save(SharedSaved(self._rows[session.replica], None))
            for kind in KINDS:
                while (
                    await session.prune(kind, now - self._keep[kind], now, self._marks[kind])
                ).has_more:
                    pass


async def simulate(server: Postgres, database: str, options: argparse.Namespace) -> None:
    """Let the days pass, and print a line for each."""
    target = LedgerTarget(server.url(database), None, "")
    keep: dict[Kind, int] = {
        "normal": options.retention_normal * DAY,
        "failure": options.retention * DAY,
    }
    sessions = [
        await Session.open(LedgerTarget(target.url, None, name), uuid.uuid4(), is_first=True)
        for name in ("one", "two", "three")
    ]
    week = Week(sessions, keep)
    await week.begin()
    began = time.time_ns() // 1000
    for day in range(1, options.days + 1):
        await week.pass_by(began + (day - 1) * DAY, began + day * DAY, round(10**6 / options.rate))
        await asyncio.to_thread(report, server, database, f"day {day}")
    for session in sessions:
        await session.leave()


def report(server: Postgres, database: str, when: str) -> None:
    """Print how many rows there are, and the megabytes that they take."""
    (rows,) = server.ask(database, "SELECT count(*) FROM bandwidth_voice.legs")[0]
    sizes = {name: size / 2**20 for name, size in server.ask(database, _SIZES)}
    whole = sum(sizes.values())
    each = ", ".join(f"{name} {size:.1f}" for name, size in sizes.items())
    print(
        f"{when}: {rows} rows, {whole:.1f} MB, {whole * 2**20 / rows:.0f} B a row; {each}",
        flush=True,
    )


def main() -> None:
    """Let a week pass, and say what it would take written anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=0.5, help="calls a second")
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--retention", type=int, default=7, help="days, of failures")
    parser.add_argument("--retention-normal", type=int, default=3, help="days, of the others")
    options = parser.parse_args()
    with (
        mock.patch(f"{_ROOM}.session.STATEMENT_SECONDS", 60.0),
        mock.patch(f"{_ROOM}.target.STATEMENT_SECONDS", 60.0),
        mock.patch.dict(f"{_ROOM}.target.SESSION", statement_timeout="0"),
        Postgres(settings=_SETTINGS) as server,
    ):
        database, started = server.database(), time.monotonic()
        asyncio.run(simulate(server, database, options))
        print(f"simulated in {time.monotonic() - started:.0f} s")
        server.ask(database, "VACUUM FULL bandwidth_voice.legs")
        report(server, database, "written anew")


if __name__ == "__main__":
    main()

"""Looking calls up in a shared ledger of ten million rows, through the HTTP API of an exporter.

The rows are made by the server, six in ten of them calls that ended normally; then it is asked
what people ask: a page of failures, with filters or without, and calls by their ids. The search by
call id and the newest page must take less than 50 ms.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from bandwidth_voice_exporter.ledger.postgres.rows import NAMES, first_row
from bandwidth_voice_exporter.ledger.postgres.session import Session
from bandwidth_voice_exporter.ledger.postgres.target import LedgerTarget
from testkit import calls
from testkit.exporter import Exporter
from testkit.postgres import Postgres

PROMISED_MS = 50
_SPAN = 2 * 86_400 * 10**6  # microseconds, within which all rows were received
_CAUSES = ("hangup",) * 6 + ("busy", "timeout", "cancel", "error")
_SETTINGS = ("shared_buffers=256MB", "maintenance_work_mem=256MB", "max_wal_size=8GB")

_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'bandwidth_voice' AND tablename = 'legs' AND indexname <> 'legs_pkey'
"""
# Of every thousand rows one has a rare cause.
_FILL = f"""
    INSERT INTO bandwidth_voice.legs ({NAMES})
    SELECT $1 + n, $2 + n * $3, 'disconnect', 'c-' || md5(n::text), NULL, NULL,
        '{calls.APPLICATION}', (ARRAY['inbound', 'outbound'])[1 + n % 2],
        CASE WHEN n % 1000 = 7 THEN 'account-limit' ELSE ($4::text[])[1 + n % 10] END,
        n % 10 < 6, CASE WHEN n % 10 >= 6 THEN md5('error' || n) END,
        CASE WHEN n % 10 >= 6 THEN 'Call was not answered' END, NULL,
        $2 + n * $3 - 60000000, $2 + n * $3, 200000, NULL, 3000000, 57000000, NULL, false
    FROM generate_series(1, $5::bigint) AS n
"""  # noqa: S608  # constants


def fill(server: Postgres, database: str, rows: int) -> None:
    """Make that many rows, and have them analysed as autovacuum would."""
    target = LedgerTarget(server.url(database), None, "filler")

    async def begin() -> int:
        session = await Session.open(target, uuid.uuid4(), is_first=True)
        await session.leave()
        return first_row(session.replica)

    first = asyncio.run(begin())
    indexes = server.ask(database, _INDEXES)
    for name, _ in indexes:
        server.ask(database, f"DROP INDEX bandwidth_voice.{name}")
    oldest = time.time_ns() // 1000 - _SPAN
    server.ask(database, _FILL, first, oldest, _SPAN // rows, list(_CAUSES), rows)
    for _, definition in indexes:
        server.ask(database, definition)
    server.ask(database, "UPDATE bandwidth_voice.replicas SET last_row = $1", first + rows)
    server.ask(database, "VACUUM ANALYZE bandwidth_voice.legs")


def questions(server: Postgres, database: str, rows: int) -> dict[str, str]:
    """The questions that are asked, by name."""
    (call_id, error_id), *_ = server.ask(
        database,
        "SELECT call_id, error_id FROM bandwidth_voice.legs "
        "WHERE error_id IS NOT NULL AND id % 281474976710656 > $1 ORDER BY id LIMIT 1",
        rows // 3,
    )
    return {
        "call id": f"call_id={call_id}",
        "call id that nothing has": "call_id=c-nothing",
        "newest page": "",
        "oldest page": "newer=0-0",
        "a day ago": "from=48h&to=24h",
        "common cause": "cause=busy",
        "rare cause": "cause=account-limit",
        "all filters": "cause=timeout&direction=outbound&from=3d",
        "error id": f"error_id={error_id}",
        "any id": f"q={error_id}",
    }


def milliseconds(one: Exporter, question: str, rounds: int) -> list[float]:
    """How long each answer took."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        answer = one.ops.request("GET", f"/api/v1/failures?{question}")
        times.append((time.perf_counter() - started) * 1000)
        assert answer.status == 200, answer.text
    return times


def main() -> None:
    """Fill, ask, and print a table; fail where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, Postgres(settings=_SETTINGS) as server:
        database, started = server.database(), time.monotonic()
        fill(server, database, options.rows)
        size = server.ask(
            database,
            "SELECT pg_table_size('bandwidth_voice.legs'), pg_indexes_size('bandwidth_voice.legs')",
        )[0]
        print(
            f"{options.rows} rows in {time.monotonic() - started:.0f} s: "
            f"{size[0] / options.rows:.0f} bytes a row, and {size[1] / options.rows:.0f} of indexes"
        )
        url = f"--ledger.url={server.url(database)}"
        with Exporter(Path(directory), url, "--replica.name=one", timeout=60) as one:
            medians = {}
            print(f"{'question':28}{'first ms':>10}{'median ms':>11}{'slowest ms':>12}")
            for name, question in questions(server, database, options.rows).items():
                first, *times = milliseconds(one, question, options.rounds + 1)
                medians[name] = statistics.median(times)
                print(f"{name:28}{first:10.1f}{medians[name]:11.1f}{max(times):12.1f}", flush=True)
    late = [name for name in ("call id", "newest page") if medians[name] >= PROMISED_MS]
    sys.exit(f"more than {PROMISED_MS} ms: {', '.join(late)}" if late else 0)


if __name__ == "__main__":
    main()

"""The tables of a shared ledger, made by whoever comes first."""

import asyncio
import uuid

import pytest

from bandwidth_voice_exporter.ledger.postgres.session import Session
from bandwidth_voice_exporter.ledger.postgres.target import LedgerTarget
from testkit.postgres import Postgres

TOGETHER = 5
ROUNDS = 3


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_several_replicas_begin_at_once(postgres: Postgres, isolation: str) -> None:
    """Each gets its own share of a new ledger at the first attempt, whatever the isolation is."""

    async def share(url: str, name: str) -> int:
        session = await Session.open(LedgerTarget(url, None, name), uuid.uuid4(), is_first=True)
        session.close()
        return session.replica

    async def begin(url: str) -> list[int]:
        return await asyncio.gather(*(share(url, f"replica-{one}") for one in range(TOGETHER)))

    for _ in range(ROUNDS):
        database = postgres.database()
        postgres.ask(
            "postgres",
            f"ALTER DATABASE {database} SET default_transaction_isolation = '{isolation}'",
        )
        replicas = asyncio.run(begin(postgres.url(database)))
        assert sorted(replicas) == [*range(1, TOGETHER + 1)]

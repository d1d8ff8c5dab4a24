"""A ledger on a primary with a synchronous standby, which takes over from it under load."""

import random
import time
from pathlib import Path

import pytest

from testkit import calls, waiting
from testkit.exporter import MODULE, Exporter
from testkit.fleet import Balanced, Fleet
from testkit.ledgers import value
from testkit.postgres import STANDBY, USER, Postgres

NUMBER = 600
SOAK_ROUNDS = 10
LONGEST = 15.0  # seconds that Bandwidth waits for an answer


def is_up(exporter: Exporter) -> bool:
    """Whether all that it counted is in the database."""
    return value(exporter, "ledger_up") == 1


def fail_over(directory: Path, pause: float, seed: int) -> None:
    """Kill the primary in mid-load, promote the standby after a pause, and compare all counts."""
    with (
        Postgres(settings=[f"synchronous_standby_names={STANDBY}"]) as primary,
        Postgres(primary=primary) as standby,
    ):
        hosts = f"{primary.address},{standby.address}"
        url = f"postgresql://{USER}@{hosts}/postgres?sslmode=disable"
        with Fleet(directory, url, MODULE) as fleet:
            for name in ("one", "two"):
                fleet.start(name)
            sender = Balanced(fleet, NUMBER, seed=seed, once=True, timeout=LONGEST)
            with sender:
                waiting.until(lambda: sender.left < NUMBER / 2, "half of the calls", 60)
                primary.process.kill()
                time.sleep(pause)  # until somebody finds out
                standby.promote()
                sender.wait()
            assert sender.slowest < LONGEST
            assert not sender.refused
            waiting.until(lambda: all(map(is_up, fleet.replicas.values())), "both to record", 60)
            again = Balanced(fleet, NUMBER, seed=seed, once=True)  # the same calls
            with again:
                again.wait()
            assert fleet.counted_twice() == 0
            assert fleet.counted() == calls.expected(sender.sent)
            assert standby.ask("postgres", "SELECT count(*) FROM bandwidth_voice.legs") == [
                (NUMBER,)
            ]


@pytest.mark.program
@pytest.mark.needs("postgres", "initdb", "pg_basebackup")
def test_nothing_is_lost_with_a_primary(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Every call is answered in time and counted once, those recorded before included."""
    dice = random.Random(8)
    is_long = request.config.getoption("--soak")
    for number in range(SOAK_ROUNDS if is_long else 1):
        pause = dice.uniform(0, 12) if is_long else 0.5
        fail_over(tmp_path / str(number), pause, number)

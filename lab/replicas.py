"""Rounds of three replicas that share a ledger, in which everything fails that can, at random.

Each round kills replicas, lets the server crash, stops a replica past its lease while a successor
starts, and cuts one connection in so many messages, while calls come through nginx, a third of them
several times and to different replicas. A real Prometheus scrapes all of it. It sees no reset, and
its sums are what distinct calls come to: every counter, every bucket, count and sum.
"""

import argparse
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from testkit import waiting
from testkit.cutter import Cutter
from testkit.fleet import Balanced, Fleet
from testkit.fronted import NAMES, Fronted
from testkit.postgres import Postgres

_FAULTS = 8  # in a round


def kill(fleet: Fleet, server: Postgres, dice: random.Random) -> None:
    """Kill a replica, and start it anew."""
    del server
    name = dice.choice(NAMES)
    fleet.replicas[name].kill()
    fleet.start(name)


def crash(fleet: Fleet, server: Postgres, dice: random.Random) -> None:
    """Let the server crash, and come back."""
    del fleet, dice
    server.restart()


def freeze(fleet: Fleet, server: Postgres, dice: random.Random) -> None:
    """Stop a replica past its lease, start its successor, and let it go on."""
    del server
    name = dice.choice(NAMES)
    frozen = fleet.replicas[name]
    frozen.process.send_signal(signal.SIGSTOP)
    fleet.start(name)
    time.sleep(dice.uniform(0, 2))
    frozen.process.send_signal(signal.SIGCONT)
    assert frozen.process.wait(60) == 1, frozen.process.tail()


_KINDS: tuple[Callable[[Fleet, Postgres, random.Random], None], ...] = (kill, kill, crash, freeze)


def play(server: Postgres, seed: int, number: int) -> str:
    """One round, in a database of its own; return what it was, in a line."""
    dice = random.Random(seed)
    database, started = server.database(), time.monotonic()
    with (
        tempfile.TemporaryDirectory() as directory,
        Cutter(server.address, every=dice.choice((200, 1000, 5000)), seed=seed) as network,
        Fronted(Path(directory), server.url(database, address=network.address)) as fleet,
    ):
        faults: Counter[str] = Counter()
        with Balanced(fleet, number, seed=seed) as sender:
            whole = sender.left
            for step in range(1, _FAULTS + 1):
                left = whole * (1 - step / (_FAULTS + 1))
                waiting.until(lambda left=left: sender.left < left, "calls to be sent", 900)  # type: ignore[misc]
                fault = dice.choice(_KINDS)
                fault(fleet, server, dice)
                faults[fault.__name__] += 1
            sender.wait(900)
            assert not sender.refused, sender.refused
        assert fleet.counted_twice() == 0
        fleet.assert_exact(sender.sent)
        told = ", ".join(f"{many} {fault}" for fault, many in sorted(faults.items()))
        lasted = time.monotonic() - started
        return f"{number} calls, {told}; slowest {sender.slowest:.1f} s; exact, in {lasted:.0f} s"


def main() -> None:
    """Play rounds, each with a seed of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    options = parser.parse_args()
    with Postgres() as server:
        for seed in range(options.seed, options.seed + options.rounds):
            print(f"round {seed}: {play(server, seed, options.calls)}", flush=True)


if __name__ == "__main__":
    main()

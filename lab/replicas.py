"""Rounds of three replicas that share a ledger, in which everything fails that can, at random.

Each round kills replicas, lets the server crash, stops a replica past its lease while a successor
starts, and cuts one connection in so many messages, while calls come, a third of them several times
and to different replicas. Then every count is compared, by cause and direction, and talk in whole
milliseconds. Replicas' shares are scraped all the while: none of them ever falls.
"""

import argparse
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from testkit import calls, waiting
from testkit.cutter import Cutter
from testkit.fleet import Balanced, Fleet
from testkit.postgres import Postgres

_NAMES = ("one", "two", "three")
_FAULTS = 8  # in a round


def kill(fleet: Fleet, server: Postgres, dice: random.Random) -> None:
    """Kill a replica, and start it anew."""
    del server
    name = dice.choice(_NAMES)
    fleet.replicas[name].kill()
    fleet.start(name)


def crash(fleet: Fleet, server: Postgres, dice: random.Random) -> None:
    """Let the server crash, and come back."""
    del fleet, dice
    server.restart()


def freeze(fleet: Fleet, server: Postgres, dice: random.Random) -> None:
    """Stop a replica past its lease, start its successor, and let it go on."""
    del server
    name = dice.choice(_NAMES)
    frozen = fleet.replicas[name]
    frozen.process.send_signal(signal.SIGSTOP)
    fleet.start(name)
    time.sleep(dice.uniform(0, 2))
    frozen.process.send_signal(signal.SIGCONT)
    assert frozen.process.wait(60) == 1, frozen.process.tail()


_KINDS: tuple[Callable[[Fleet, Postgres, random.Random], None], ...] = (kill, kill, crash, freeze)


def play(seed: int, number: int) -> str:
    """One round; return what it was, in a line."""
    dice = random.Random(seed)
    with (
        tempfile.TemporaryDirectory() as directory,
        Postgres() as server,
        Cutter(server.address, every=dice.choice((200, 1000, 5000)), seed=seed) as network,
        Fleet(Path(directory), server.url("postgres", address=network.address)) as fleet,
    ):
        for name in _NAMES:
            fleet.start(name)
        faults: Counter[str] = Counter()
        highest: Counter[str] = Counter()
        with Balanced(fleet, number, seed=seed) as sender:
            whole = sender.left
            for step in range(1, _FAULTS + 1):
                left = whole * (1 - step / (_FAULTS + 1))
                waiting.until(lambda left=left: sender.left < left, "calls to be sent", 900)  # type: ignore[misc]
                look(fleet, highest)
                fault = dice.choice(_KINDS)
                fault(fleet, server, dice)
                faults[fault.__name__] += 1
                look(fleet, highest)
            sender.wait(900)
            assert not sender.refused, sender.refused
        twice = fleet.counted_twice()
        counted, expected = fleet.counted(), calls.expected(sender.sent)
        sum_of = counted["calls"].total()
        assert sum_of - twice == number, f"seed {seed}: {sum_of} - {twice}, of {number}"
        assert twice or counted == expected, f"seed {seed}: counts differ"
        told = ", ".join(f"{many} {fault}" for fault, many in sorted(faults.items()))
        return f"{number} calls, {told}; counted twice: {twice}, slowest {sender.slowest:.1f} s"


def look(fleet: Fleet, highest: Counter[str]) -> None:
    """See that no share has fallen."""
    for name, one in fleet.replicas.items():
        share = calls.counted(one.metrics())["calls"].total()
        assert share >= highest[name], f"{name} fell from {highest[name]} to {share}"
        highest[name] = share


def main() -> None:
    """Play rounds, each with a seed of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    options = parser.parse_args()
    for seed in range(options.seed, options.seed + options.rounds):
        print(f"round {seed}: {play(seed, options.calls)}", flush=True)


if __name__ == "__main__":
    main()

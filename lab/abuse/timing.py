"""Whether the time of an answer tells an unknown user from a wrong password."""

import argparse
import random
import socket
import time

from lab.abuse.exporter import (
    PASSWORD,
    USER,
    WEBHOOK_PATH,
    Report,
    Running,
    authorization,
    exporter,
    percentile,
    take_load_core,
)

_BOOTSTRAPS = 10_000
_LARGEST = 0.02  # of the median

# Of one length, for what is compared is the check and not the parser.
_WRONG = {
    "unknown user": authorization(USER[::-1], PASSWORD),
    "wrong password": authorization(USER, PASSWORD[::-1]),
}


def delivery(credentials: str) -> bytes:
    """A POST that is refused for its credentials."""
    lines = (f"POST {WEBHOOK_PATH} HTTP/1.1", "Host: localhost", credentials, "Content-Length: 2")
    return "\r\n".join((*lines, "", "{}")).encode()


def measure(running: Running, each: int, dice: random.Random) -> dict[str, list[float]]:
    """Seconds of so many answers to each kind, in random order on one connection."""
    deliveries = {kind: delivery(credentials) for kind, credentials in _WRONG.items()}
    order = [*deliveries] * each
    dice.shuffle(order)
    seconds: dict[str, list[float]] = {kind: [] for kind in deliveries}
    with socket.create_connection(running.webhook) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, kind in enumerate([*order[:1000], *order]):
            began = time.perf_counter_ns()
            connection.sendall(deliveries[kind])
            answer = connection.recv(4096)
            took = time.perf_counter_ns() - began
            while not answer.endswith(b"}"):
                answer += connection.recv(4096)
            assert answer.startswith(b"HTTP/1.1 401 "), answer
            if number >= 1000:  # those before it have warmed it up
                seconds[kind].append(took / 1e9)
    return seconds


def resampled_median(ordered: list[float], dice: random.Random) -> float:
    """The median of as many values drawn with replacement: an order statistic, drawn directly."""
    size = len(ordered)
    rank = size // 2 + 1
    return ordered[min(size - 1, int(size * dice.betavariate(rank, size - rank + 1)))]


def interval(seconds: dict[str, list[float]], dice: random.Random) -> tuple[float, float, float]:
    """The difference of the medians relative to the median: itself, and its 95 % interval."""
    unknown, wrong = (sorted(seconds[kind]) for kind in _WRONG)
    base = percentile(unknown + wrong, 0.5)
    differences = [
        (resampled_median(unknown, dice) - resampled_median(wrong, dice)) / base
        for _ in range(_BOOTSTRAPS)
    ]
    middle = (percentile(unknown, 0.5) - percentile(wrong, 0.5)) / base
    return middle, percentile(differences, 0.025), percentile(differences, 0.975)


def main() -> None:
    """Measure, then write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    take_load_core()
    dice = random.Random()
    report = Report(
        "timing", f"unknown user and wrong password, {options.each:,} each, {options.rounds} times"
    )
    with exporter() as running:
        rounds = [measure(running, options.each, dice) for _ in range(options.rounds)]
    for number, seconds in enumerate(rounds, start=1):
        middle, low, high = interval(seconds, dice)
        median = percentile([*seconds["unknown user"], *seconds["wrong password"]], 0.5)
        report.figure(
            f"round {number}: difference of medians (95 % interval)",
            f"{middle:+.2%} ({low:+.2%} to {high:+.2%})",
            f"within ±{_LARGEST:.0%}",
            is_met=low >= -_LARGEST and high <= _LARGEST,
        )
        report.details[f"median_us_{number}"] = round(median * 1e6, 1)
    report.finish()


if __name__ == "__main__":
    main()

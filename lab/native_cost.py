"""The cost of native histograms in a scrape: bytes, series, processor time beside those without."""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import structs

from bandwidth_voice_exporter.metrics import (
    COUNTERS,
    Instruments,
    Limits,
    Lines,
    Messages,
    Tally,
    catalog,
    exposition,
    snapshot_of,
)
from bandwidth_voice_exporter.voice import SECOND, from_json, read_event
from testkit import calls

_BEGIN = 1_700_000_000 * SECOND
_CALLS = 5  # a second
_METRICS = (*catalog.CALL_METRICS, *COUNTERS)


@dataclass
class Kept:
    """A tally, with native histograms or without, and its exposition for who may have them."""

    tally: Tally
    instruments: Instruments
    has_natives: bool

    def __post_init__(self) -> None:
        """Nothing is encoded yet."""
        self._lines = Lines({}, _METRICS, is_openmetrics=True)
        self._messages = Messages({}, _METRICS)

    def scrape(self, now: int) -> bytes:
        """The answer to a scrape at a time in microseconds, in gzip."""
        shown = snapshot_of(self.tally, now, is_scrape=True, has_natives=self.has_natives)
        shown = structs.replace(shown, counts=shown.counts | self.instruments.counts())
        calls_of_it = (
            self._messages.write(shown) if self.has_natives else self._lines.write(shown).encode()
        )
        return exposition.render(
            calls_of_it,
            self.instruments.others,
            exposition.PROTOBUF if self.has_natives else exposition.OPENMETRICS,
            compress=True,
        )


def measure(applications: int, scrapes: int, seconds: int) -> str:
    """Fold some calls and scrape both, again and again; tell what it took."""
    names = tuple(f"{number:08x}{calls.APPLICATION[8:]}" for number in range(applications))
    instruments, dice = Instruments(), random.Random(1)
    without, with_natives = (
        Kept(Tally(Limits(applications=names, native_histograms=has), _BEGIN), instruments, has)
        for has in (False, True)
    )

    now = _BEGIN

    def fold(number: int) -> None:
        nonlocal now
        for _ in range(number):
            now += SECOND // _CALLS
            event = json.dumps(calls.ended_call(dice, applicationId=dice.choice(names))).encode()
            call = read_event(from_json(event), now).call
            assert call
            for kept in (without, with_natives):
                kept.tally.fold(call)

    fold(5000)
    sizes = [len(kept.scrape(now)) for kept in (without, with_natives)]
    ratios, took = [], []
    for _ in range(scrapes):
        fold(_CALLS * seconds)
        before, after = (_seconds(kept.scrape, now) for kept in (without, with_natives))
        ratios.append(after / before)
        took.append((before, after))
    medians = [statistics.median(each) * 1000 for each in zip(*took, strict=True)]
    series = sum(len(of_one) for of_one in with_natives.tally.natives.values())
    return (
        f"{applications:3} applications: {series:,} native series, {sizes[0]:,} -> {sizes[1]:,} "
        f"bytes, {medians[0]:.2f} -> {medians[1]:.2f} ms, ratio {statistics.median(ratios):.2f}"
    )


def _seconds(scrape: Callable[[int], bytes], now: int) -> float:
    before = time.process_time()
    scrape(now)
    return time.process_time() - before


def main() -> None:
    """Measure at several numbers of applications."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--scrapes", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=15, help="between two, with 5 calls each")
    options = parser.parse_args()
    for applications in options.applications:
        print(measure(applications, options.scrapes, options.seconds))


if __name__ == "__main__":
    main()

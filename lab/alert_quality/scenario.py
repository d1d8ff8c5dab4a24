"""What happens in a run: its incidents or benign events, and what was scraped of it."""

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from lab.alert_quality import benign, by_count, by_event, traffic
from lab.alert_quality.benign import LATE_WEBHOOKS, RESTART, ROLLING_DEPLOY, SCRAPE_GAP
from lab.alert_quality.catalogue import MINUTES, WARM_UP, Entry, catalogue
from lab.alert_quality.counters import Replica
from lab.alert_quality.ended import Ended
from lab.alert_quality.traffic import UNSTEADY, USUAL, Character, Starts

Bools = npt.NDArray[np.bool_]
Suite = Literal["incidents", "unsteady", "benign"]

_ONE_BY_ONE = 60  # calls a minute up to which each call is simulated
_LOST_IN_RESTART = 1 / 3  # of that minute's calls


class Run(msgspec.Struct, frozen=True, order=True):
    """One simulation: ``unsteady`` has the incidents in traffic that is harder to judge."""

    suite: Suite
    level: int
    seed: int

    @property
    def name(self) -> str:
        """What its results are filed under."""
        return f"{self.suite}-{self.level}-{self.seed}"

    @property
    def character(self) -> Character:
        """How unsteady its traffic is."""
        return UNSTEADY if self.suite == "unsteady" else USUAL

    @property
    def minutes(self) -> int:
        """How long it takes, warm-up included."""
        return benign.MINUTES if self.suite == "benign" else MINUTES

    @property
    def scored_from(self) -> int:
        """The first minute that counts: a run without baseline is benign, too."""
        return 0 if self.suite == "benign" else WARM_UP

    def entries(self) -> tuple[Entry, ...]:
        """Its incidents."""
        if self.suite == "benign":
            return ()
        return catalogue(self.level, self.seed, self.character)

    def replicas(self) -> tuple[Replica, ...]:
        """Simulate its calls, and the exporters that counted them."""
        starts = traffic.starts(self.level, self.seed, self.minutes, self.character)
        if self.suite == "benign":
            starts = Starts(benign.apply_to_starts(starts.rate), starts.share)
        how = by_event if self.level <= _ONE_BY_ONE else by_count
        incidents = [entry.incident for entry in self.entries()]
        ended = how.ended(starts, incidents, self.seed, self.character)
        return _deployed(ended, self.seed) if self.suite == "benign" else (Replica.steady(ended),)


def _deployed(ended: Ended, seed: int) -> tuple[Replica, ...]:
    """Share the calls out between two replicas, to which benign things happen."""
    rng = np.random.default_rng((seed, 6))
    calls, short, talk = ended.calls, ended.short, ended.talk
    for counted in (calls, short, talk):
        # Held back by whoever delivers them, then all at once.
        late = slice(LATE_WEBHOOKS.start, LATE_WEBHOOKS.start + LATE_WEBHOOKS.length)
        counted[..., late.stop] += counted[..., late].sum(axis=-1)
        counted[..., late] = 0
    # Both are restarted at once: what comes meanwhile is refused, and not sent again.
    calls[..., RESTART.start] = rng.binomial(calls[..., RESTART.start], 1 - _LOST_IN_RESTART)
    share = np.full(short.shape[1], 0.5)
    half = ROLLING_DEPLOY.start + ROLLING_DEPLOY.length // 2
    share[ROLLING_DEPLOY.start + 1 : half - 1] = 0.0  # the first is replaced, then the second
    share[half + 1 : half + ROLLING_DEPLOY.length // 2 - 1] = 1.0
    first = Ended(rng.binomial(calls, share), rng.binomial(short, share), talk * share)
    second = Ended(calls - first.calls, short - first.short, talk - first.talk)
    return tuple(
        Replica(f"exporter-{number}:9000", counted, _failed(idle, short.shape[1]))
        for number, (counted, idle) in enumerate(((first, share == 0.0), (second, share == 1.0)))
    )


def _failed(idle: Bools, minutes: int) -> Bools:
    failed = np.zeros(minutes + 1, np.bool_)
    failed[1:] = idle
    failed[RESTART.start + 1] = True
    failed[SCRAPE_GAP.start + 1 : SCRAPE_GAP.start + 1 + SCRAPE_GAP.length] = True
    return failed

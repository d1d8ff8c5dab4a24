"""Three replicas of a ledger behind a real nginx, and a real Prometheus that scrapes them."""

import contextlib
import random
import time
from collections.abc import Sequence
from pathlib import Path

from testkit import calls, sums
from testkit.exporter import Exporter
from testkit.fleet import Fleet
from testkit.nginx import Nginx
from testkit.prometheus import Job, Prometheus
from testkit.proxy import NOWHERE, Proxy

NAMES = ("one", "two", "three")
_HOLD = 2  # seconds, for which a series born late is shown at 0
_JOB = "replicas"
# Every series is there from the start: what it comes to is its increase.
_FLAGS = (
    f"--labels.application={calls.APPLICATION}=centre",
    "--errors.max-ids=0",
    f"--metrics.newborn-hold={_HOLD}s",
)


class Fronted(Fleet):
    """They have addresses that stay, whichever process is the replica."""

    def __init__(self, directory: Path, url: str) -> None:
        """Start all of it: Prometheus has scraped each replica once."""
        super().__init__(directory, url)
        with contextlib.ExitStack() as opened:
            opened.callback(super().close)
            self._webhooks = {name: opened.enter_context(Proxy(NOWHERE)) for name in NAMES}
            self._ops = {name: opened.enter_context(Proxy(NOWHERE)) for name in NAMES}
            for name in NAMES:
                self.start(name)
            doors = [one.address for one in self._webhooks.values()]
            self._nginx = opened.enter_context(Nginx(directory / "nginx", doors))
            job = Job(_JOB, [one.address for one in self._ops.values()], "1s")
            self.prometheus = opened.enter_context(Prometheus(directory / "prometheus", job))
            self.prometheus.wait_for_scrapes(_JOB, 1)
            self._open = opened.pop_all()

    def start(self, name: str, *flags: str) -> Exporter:
        """Start a replica, anew where there was one of the name."""
        one = super().start(name, *_FLAGS, *flags)
        self._webhooks[name].lead_to(one.webhook_address)
        self._ops[name].lead_to(one.ops_address)
        return one

    def address(self, dice: random.Random) -> str:
        """Where a delivery goes: to nginx."""
        del dice
        return self._nginx.address

    def assert_exact(self, sent: Sequence[calls.Event]) -> None:
        """Prometheus has each call once, in every counter and bucket, and saw no share fall."""
        self.prometheus.wait_until_scraped_after(time.time() + _HOLD)
        assert sums.resets(self.prometheus) == {}
        expected = sums.of_events(sent, {calls.APPLICATION: "centre"})
        assert sums.difference(sums.of_raw_samples(self.prometheus), expected) == {}
        assert sums.difference(sums.of_increases(self.prometheus), expected) == {}
        summed = self.prometheus.query("sum(sum without (instance) (bandwidth_voice_calls_total))")
        assert summed == {frozenset(): len(sent)}

    def close(self) -> None:
        """End all of it."""
        self._open.close()

"""The demonstration's course: each step is said when it begins, with the seconds so far."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bandwidth_voice_exporter.simulate.profile import APPLICATIONS
from demo import messages, stage
from demo.backfill import make_up
from demo.stage import Clock
from testkit.exporter import Exporter
from testkit.notifications import Notification, Notifications
from testkit.ruler import Ruler

_SCALE = 60
_RATE = 600  # calls a minute: ten for each of the rules' minutes
_NAMES = dict(
    zip(
        (application.application_id for application in APPLICATIONS),
        ("contact-centre", "dialler", "ivr"),
        strict=True,
    )
)
_CAUSE, _DOMAIN = "callback-error", "application"
_CALM = 10  # seconds between the made-up past and the incident
_LASTS = 90  # seconds of the incident
_FADES = 180  # seconds after the incident in which its end must have been told
_EVERY = 15  # seconds between two lines of calls where there is no Prometheus


class Show:
    """Everything that is started is put on the ``stack``, which ends it."""

    def __init__(self, stack: ExitStack, folder: Path, clock: Clock) -> None:
        self._stack = stack
        self._folder = folder
        self._clock = clock
        self._say = clock.say

    def run(self, *, is_check: bool) -> int:
        """Show it all; with ``is_check`` return 0 once the incident was told, and its end."""
        alerts_port = stage.free_port(9093)
        exporter = self._stack.enter_context(stage.exporter(self._folder, _NAMES, alerts_port))
        self._say(
            f"started   the exporter, with a ledger in {self._folder}",
            *self._addresses(exporter),
        )
        control = self._simulated(exporter)
        self._say(
            f"simulated {_RATE} calls a minute, of {', '.join(_NAMES.values())}",
            "awaited   the first call",
        )
        self._say(f"counted   {stage.first_call(exporter)}: the first call")
        if reason := self._fetched():
            self._say(f"missing   {reason}", "          So there are no alerts here.")
            return 1 if is_check else self._without(exporter, control)
        notifications, prometheus = self._watched(exporter, alerts_port)
        self._say("made up   nine days of calls, for the rules to compare with ...")
        rules = stage.rules(self._folder, exporter.ops_url, _SCALE)
        make_up(prometheus, rules, scale=_SCALE, rate=_RATE, names=_NAMES)
        self._say(f"awaited   {_CALM} s without an incident")
        time.sleep(_CALM)
        hit = self._incident(control)
        self._say("awaited   Alertmanager's message")
        return self._told(notifications, hit, is_check=is_check)

    def _addresses(self, exporter: Exporter) -> Iterator[str]:
        pages = (("status", "/"), ("failed calls", "/failures"), ("runbooks", "/runbooks"))
        for name, path in (*pages, ("metrics", "/metrics")):
            yield f"          {name:<13} {exporter.ops_url}{path}"

    def _simulated(self, exporter: Exporter) -> Path:
        return stage.simulate(
            self._stack, self._folder, exporter.webhook_url, f"--rate={_RATE}", "--flat"
        )

    def _fetched(self) -> str:
        if not stage.is_fetched():
            self._say("awaited   Prometheus and Alertmanager, which Debian's packages bring")
        return stage.fetch()

    def _watched(self, exporter: Exporter, alerts_port: int) -> tuple[Notifications, Ruler]:
        """Start what watches the exporter, and say where it is."""
        notifications = self._stack.enter_context(Notifications())
        manager = stage.alertmanager(self._folder, notifications.url, alerts_port)
        self._stack.enter_context(manager)
        prometheus = self._stack.enter_context(
            stage.prometheus(self._folder, exporter.ops_address, manager.address)
        )
        self._say(
            "started   Prometheus, which scrapes once a second, and Alertmanager",
            f"          {'Prometheus':<13} {stage.page(prometheus.address, stage.OF_PROMETHEUS)}",
            f"          {'Alertmanager':<13} {stage.page(manager.address, stage.OF_MANAGER)}",
            f"disk      {stage.disk(self._folder)}",
        )
        return notifications, prometheus

    def _incident(self, control: Path) -> float:
        line = f"cause={_CAUSE},direction=inbound,for={_LASTS}s,share=0.5"
        control.write_text(f"{line}\n")
        self._say(
            f"incident  For {_LASTS} s half of the inbound calls end with {_CAUSE}, as",
            f"            echo {line} > {control}",
            "          told the simulator; it takes any other, too.",
        )
        return time.time()

    def _without(self, exporter: Exporter, control: Path) -> int:
        """Show the incident by the exporter alone."""
        self._incident(control)
        while True:
            time.sleep(_EVERY)
            self._say(f"counted   {stage.counted(exporter)}")

    def _told(self, notifications: Notifications, hit: float, *, is_check: bool) -> int:
        """Show each message; return 0 once the incident's page came and its end, 1 if not."""
        is_told = False
        for one in self._arriving(notifications, hit + _LASTS + _FADES if is_check else None):
            self._say(*stage.under("message   ", messages.lines(one)))
            if not messages.is_page(one):
                continue
            if one.of["fault_domain"] != _DOMAIN or one.at < hit:
                self._say("          which is not the incident's")
                if is_check:
                    return 1
            elif one.status == "firing" and not is_told:
                is_told = True
                self._say(
                    f"told      {one.at - hit:.0f} s after the incident began",
                    "          The status page shows it too. Ctrl-C stops everything.",
                )
            elif one.status == "resolved" and is_told:
                self._say("over      the incident, and calls go on. Ctrl-C stops everything.")
                if is_check:
                    return 0
        self._say("no message that came, and ended")
        return 1

    def _arriving(
        self, notifications: Notifications, until: float | None
    ) -> Iterator[Notification]:
        """Yield messages as they come, until a time (unix seconds)."""
        seen = 0
        while until is None or time.time() < until:
            news = notifications.messages[seen:]
            seen += len(news)
            yield from news
            time.sleep(0.2)

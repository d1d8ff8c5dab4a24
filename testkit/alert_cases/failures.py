"""Alerts on failures of the application, the account and Bandwidth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bandwidth_voice_exporter.voice.causes import fault_domain
from testkit.alert_cases import series
from testkit.alert_cases.case import Case, Scene, from_least
from testkit.alert_cases.model import Values, counter, level
from testkit.alert_cases.promtool import closed
from testkit.alert_cases.series import APPLICATION, JOB, named
from testkit.alert_cases.settings import CONFIG
from testkit.alert_cases.share import WINDOWS, Share

_DIRECTION = "inbound"
_LABELS = {"job": JOB, "direction": _DIRECTION}
RATIO = "bandwidth_voice_failure_ratio"
_LEVELS = ("direction_fault_domain", "direction")
_WARM_UP, _AFTER = 20, 75  # minutes as usual, before and after an incident


@dataclass(frozen=True)
class Incident:
    """So many minutes, with so many calls a minute, at a place with this share of failures."""

    minutes: int
    rate: float
    expected: float | None = 0.004
    spread: float = 1

    def counters(self, failed: int) -> tuple[list[float], list[float]]:
        """Return failed calls and others, when so many fail in the incident."""
        usual = self.rate * (self.expected or 0)
        bad = failed / self.minutes
        return (
            counter((_WARM_UP, usual), (self.minutes, bad), (_AFTER, usual)),
            counter(
                (_WARM_UP, self.rate - usual),
                (self.minutes, self.rate - bad),
                (_AFTER, self.rate - usual),
            ),
        )

    @property
    def calls(self) -> int:
        """The calls of the incident."""
        return int(self.minutes * self.rate)

    @property
    def says(self) -> str:
        """The share expected, as a text has it."""
        return "unknown" if self.expected is None else f"{100 * self.expected:g}%"

    def baseline(self, share: str, labels: Mapping[str, str]) -> dict[str, Values]:
        """Return what a week's history has recorded of a share."""
        steps = _WARM_UP + self.minutes + _AFTER + 1
        flowing: dict[str, Values] = {
            named("direction:bandwidth_voice_calls:ended15m", direction=labels["direction"]): level(
                (steps, 15 * self.rate)
            )
        }
        if self.expected is None:
            return flowing
        return flowing | {
            named(f"{share}:{operation}", **labels): level((steps, value))
            for operation, value in (
                ("median7d", self.expected),
                ("expected1h", self.expected),
                *((f"spread{window}", self.spread) for window in WINDOWS),
            )
        }


# Each has another window, floor or count that decides.
INCIDENTS = (
    ("many calls, minutes", Incident(minutes=6, rate=60)),
    ("few calls, an hour", Incident(minutes=60, rate=0.9)),
)
_OTHER_INCIDENTS = (
    ("some calls, a quarter of an hour", Incident(minutes=15, rate=6)),
    ("very many calls, minutes", Incident(minutes=6, rate=3000)),
)
_MORE_INCIDENTS = (
    ("few calls, minutes", Incident(minutes=6, rate=1.7)),
    ("few calls, hours", Incident(minutes=240, rate=0.3)),
)
UNKNOWN = Incident(minutes=20, rate=5, expected=None)
_RESTLESS = Incident(minutes=20, rate=20, expected=0.02, spread=1.8)


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for kind, cause, incidents in (
        ("ApplicationFailure", "callback-error", INCIDENTS),
        ("BandwidthFailure", "error", _OTHER_INCIDENTS),
        ("AccountLimit", "account-limit", _MORE_INCIDENTS),
        ("UndocumentedFailure", "sudden-silence", INCIDENTS),
    ):
        for name, incident in (*incidents, ("no baseline", UNKNOWN)):
            yield _failures(f"BandwidthVoice{kind}Spike", name, cause, incident, is_page=True)
            yield _failures(f"BandwidthVoice{kind}Rise", name, cause, incident, is_page=False)
    alert = "BandwidthVoiceApplicationFailureRise"
    yield _failures(alert, "a share that varies", "invalid-bxml", _RESTLESS, is_page=False)
    for name, incident in (*INCIDENTS, ("no baseline", UNKNOWN)):
        yield _single(name, incident)
    yield from_least("BandwidthVoiceErrorBudgetBurn", "failures of a thousand", _burn)
    yield from_least("BandwidthVoiceErrorBudgetBurn", "calls of which all fail", _burn_of_few)
    yield from_least("BandwidthVoiceErrorBudgetBurn", "hours after days", _burn_of_hours, high=100)
    yield from_least(
        "BandwidthVoiceErrorBudgetBurn", "the first days", _burn_when_young, low=200, high=300
    )


def _failures(alert: str, name: str, cause: str, incident: Incident, *, is_page: bool) -> Case:
    labels = {**_LABELS, "fault_domain": fault_domain(cause)}

    def scene(failed: int) -> Scene:
        bad, good = incident.counters(failed)
        share = Share([bad], [good], incident.expected, incident.spread)
        return Scene(
            {
                series.calls(_DIRECTION, cause): bad,
                series.calls(_DIRECTION, "hangup"): good,
                **incident.baseline(f"direction_fault_domain:{RATIO}", labels),
            },
            share.pages(CONFIG.spike) if is_page else share.holds(CONFIG.rise),
            _LABELS,
            [
                f"{_DIRECTION} calls ",
                f"expected: {incident.says}.",
                f"Causes: {cause} (",
                f"Applications: {APPLICATION} (",
            ],
        )

    return from_least(alert, f"failures: {name}", scene, high=incident.calls)


def _single(name: str, incident: Incident) -> Case:
    """The failures of one application, beside another one whose calls are all well."""
    labels = {**_LABELS, "application": APPLICATION}
    of_one = "application_direction:bandwidth_voice_application_failure_ratio"

    def scene(failed: int) -> Scene:
        bad, good = incident.counters(failed)
        share = Share([bad], [good], incident.expected, incident.spread)
        other = counter((_WARM_UP + incident.minutes + _AFTER, 10 * incident.rate))
        return Scene(
            {
                series.calls(_DIRECTION, "callback-error"): bad,
                series.calls(_DIRECTION, "hangup"): good,
                series.calls(_DIRECTION, "hangup", application="sales"): other,
                series.calls(_DIRECTION, "callback-error", application="sales"): [0] * len(other),
                **incident.baseline(of_one, labels),
            },
            share.holds(CONFIG.single_application),
            labels,
            [
                f"calls of {APPLICATION} end",
                f"expected: {incident.says}.",
                "Causes: callback-error (",
            ],
        )

    alert = "BandwidthVoiceSingleApplicationFailureSpike"
    return from_least(alert, f"failures: {name}", scene, high=incident.calls)


def _burn(failed: int) -> Scene:
    return _since_days(failed, 1010 - failed)


def _burn_of_few(failed: int) -> Scene:
    return _since_days(failed, 0)


def _since_days(failed: int, others: int) -> Scene:
    """Four days of hours with so many calls each, and a day without failures."""
    return _budget(level((300, failed), (96, 0)), level((300, others), (96, failed + others)))


def _burn_of_hours(steps: int) -> Scene:
    """Four days without a failure, then so many quarters of an hour with one call of twenty."""
    rest = 100 - steps
    return _budget(
        level((384, 0), (steps, 50), (rest, 0)), level((384, 1000), (steps, 950), (rest, 1000))
    )


def _burn_when_young(steps: int) -> Scene:
    """Half of the calls of so many quarters of an hour, from the first one on."""
    return _budget(level((steps, 500), (400 - steps, 0)), level((steps, 500), (400 - steps, 1000)))


def _budget(bad: Sequence[float], good: Sequence[float]) -> Scene:
    """The failed calls of hours and others, at steps of a quarter of an hour."""
    everything = [b + g for b, g in zip(bad, good, strict=True)]
    allowed = 1 - CONFIG.objective.availability

    def share(step: int) -> float:
        points = range(step - 288 + (not closed()), step + 1)
        steps = [point for point in points if point >= 0 and point % 4 == 0]
        calls = sum(everything[point] for point in steps)
        return sum(bad[point] for point in steps) / calls if calls else 0

    holds = [
        step >= 240
        and share(step) > allowed
        and bad[step] / everything[step] > 2 * allowed
        and bad[step] > CONFIG.objective.least_calls - 0.3
        for step in range(len(bad))
    ]
    of_domain = {"direction": _DIRECTION, "fault_domain": "application"}
    calls = "bandwidth_voice_calls"
    given: dict[str, Values] = {}
    for window, times in (("15m", 1 / 4), ("1h", 1), ("6h", 6)):
        domain, all_of_them = (f"{of}:{calls}:increase{window}" for of in _LEVELS)
        given[named(domain, **of_domain)] = [times * value for value in bad]
        given[named(all_of_them, direction=_DIRECTION)] = [times * value for value in everything]
    return Scene(given, holds, {"job": JOB, "fault_domain": "application"}, minutes=15)

"""A look at a simulated run, and what a person should see of it, counted from the sender's log.

Only what nobody knows but the exporter or Prometheus itself (how long a commit took, how much
memory there is) is counted from the raw samples that were scraped.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from operator import attrgetter

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice.call import DIRECTIONS
from bandwidth_voice_exporter.voice.causes import CAUSES, FAULT_DOMAINS, HANGUP, fault_domain
from testkit.dashboard_counts import (
    NOTHING,
    Leg,
    Legs,
    Vector,
    count,
    cumulated,
    filled,
    increase,
    labels,
    quantile,
    scaled,
    share,
    total,
)
from testkit.dashboards import View
from testkit.prometheus import Labels, Prometheus, Sample
from testkit.simulator import LogLine

ALL = ("application", "direction", "fault_domain", "cause")
CALLS = ("application", "direction")


@dataclass(frozen=True)
class Moment:
    """A look at a run: what was sent until then, and a week before, and what was chosen."""

    time: float
    view: View
    job: str
    instance: str
    applications: Sequence[str]
    log: Sequence[LogLine]
    now: Legs
    week_ago: Legs
    server: Prometheus

    def raw(self, selector: str) -> Mapping[Labels, list[Sample]]:
        """The samples that were scraped until then."""
        return self.server.raw_samples(selector, f"{self.view.rate_interval}s", self.time)

    def last(self, name: str, *by: str) -> Vector:
        """The last sample of each series, by some of its labels."""
        return {
            frozenset(pair for pair in found if pair[0] in by): samples[-1][1]
            for found, samples in self.raw(name).items()
        }

    def growth(self, name: str) -> Vector:
        """The growth of each series of a counter, by all its labels."""
        begin = self.time - self.view.rate_interval
        return {
            found: increase(samples, begin, self.time) for found, samples in self.raw(name).items()
        }

    def directions(self) -> Sequence[str]:
        """Return the chosen directions, by default both that exist from the start."""
        return self.view.chosen.get("direction", DIRECTIONS)


Expected = Callable[[Moment], Vector]


def failed(found: Sequence[Leg]) -> list[Leg]:
    """Calls that ended other than by a hangup."""
    return [leg for leg in found if leg.cause != HANGUP]


def answered(found: Sequence[Leg]) -> list[Leg]:
    """Calls that were answered."""
    return [leg for leg in found if leg.answered]


def offered(found: Sequence[Leg]) -> list[Leg]:
    """Calls that the account's limits did not refuse."""
    return [leg for leg in found if leg.cause != "account-limit"]


def short(found: Sequence[Leg]) -> list[Leg]:
    """Answered calls of at most 6 s."""
    return [leg for leg in found if leg.talk is not None and leg.talk <= 6]


def directed(moment: Moment, found: Sequence[Leg]) -> Vector:
    """Legs by direction, with those directions that have none."""
    return filled(count(found, "direction"), "direction", moment.directions())


def per_minute(moment: Moment, vector: Vector) -> Vector:
    """A rate over the whole window, in minutes."""
    return scaled(vector, lambda number: number / moment.view.rate_interval * 60)


def shares(part: Sequence[Leg], whole: Sequence[Leg]) -> Vector:
    """Quotients by direction, where there is anything in the part."""
    return share(count(part, "direction"), count(whole, "direction"), "direction")


def asr(moment: Moment) -> Vector:
    """Answered among offered."""
    found = moment.now.calls(*CALLS)
    whole = count(offered(found), "direction")
    return share(directed(moment, answered(found)), whole, "direction")


def ner(moment: Moment) -> Vector:
    """1 minus Bandwidth's failures among offered."""
    found = moment.now.calls(*CALLS)
    bad = directed(moment, [leg for leg in found if leg.fault_domain == "bandwidth"])
    return scaled(
        share(bad, count(offered(found), "direction"), "direction"), lambda ratio: 1 - ratio
    )


def failing(moment: Moment) -> Vector:
    """Failures of each fault domain among all calls."""
    found = moment.now.calls(*CALLS)
    known = [domain for domain in FAULT_DOMAINS if domain not in {"none", "unclassified"}]
    by_domain = filled(count(failed(found), "fault_domain"), "fault_domain", known)
    return share(by_domain, count(found))


def acd(moment: Moment) -> Vector:
    """Talk time by answered calls."""
    found = answered(moment.now.calls(*CALLS))
    talk = total(found, lambda leg: leg.talk or 0, "direction")
    return share(talk, count(found, "direction"), "direction")


def last_event(*by: str, obeyed: bool = True) -> Expected:
    """Time since the exporter says that it received the last event; the run checks what it says."""

    def expected(moment: Moment) -> Vector:
        latest: Vector = {}
        for found, value in moment.last(catalog.LAST_EVENT.name, "application").items():
            application = dict(found)["application"]
            chosen = moment.view.chosen.get("application", [application])
            if value > 0 and (application in chosen or not obeyed):
                key = frozenset(pair for pair in found if pair[0] in by)
                latest[key] = max(latest.get(key, 0), value)
        return scaled(latest, lambda received: moment.time - received)

    return expected


def last_hour(*domains: str, directions: Sequence[str] = DIRECTIONS) -> Expected:
    """Failures of fault domains among all calls, of all applications."""

    def expected(moment: Moment) -> Vector:
        found = [leg for leg in moment.now.calls("direction") if leg.direction in directions]
        bad = [leg for leg in found if leg.fault_domain in domains]
        quotients = share(
            count(bad, "direction", "fault_domain"), count(found, "direction"), "direction"
        )
        return {key | {("job", moment.job)}: value for key, value in quotients.items()}

    return expected


def limits(*domains: str, directions: Sequence[str] = DIRECTIONS) -> Expected:
    """The series that the run's own rules record: a thousandth for each label set that there is."""

    def expected(moment: Moment) -> Vector:
        known = Counter(fault_domain(cause) for cause in CAUSES)
        return {
            labels(
                __name__="direction_fault_domain:bandwidth_voice_failure_ratio:threshold1h",
                job=moment.job,
                direction=direction,
                fault_domain=domain,
            ): (known[domain] * len(moment.applications) * 2 / 1000)
            for direction in moment.directions()
            if direction in directions
            for domain in domains
        }

    return expected


def by_cause(moment: Moment) -> Vector:
    """Calls by cause and its fault domain."""
    return count(moment.now.calls(*CALLS), "cause", "fault_domain")


def quantiles(
    fraction: float,
    metric: catalog.Metric,
    length: str,
    *obeyed: str,
    by: str = "",
    week_ago: bool = False,
) -> Expected:
    """A quantile of a length of calls, by a label or of all."""

    def expected(moment: Moment) -> Vector:
        past = moment.week_ago if week_ago else moment.now
        found = past.calls(*obeyed)
        values = {getattr(leg, by) for leg in found} if by else {""}
        vector = {}
        for value in values:
            group = [leg for leg in found if not by or getattr(leg, by) == value]
            counts = cumulated(group, attrgetter(length), metric.buckets)
            number = quantile(fraction, counts, metric.buckets)
            if number is not None:
                vector[labels(**{by: value}) if by else NOTHING] = number
        return vector

    return expected


def heat(moment: Moment) -> Vector:
    """How many calls are at most as long as each bound."""
    bounds = catalog.DURATION.buckets
    counts = cumulated(moment.now.calls("direction"), attrgetter("talk"), bounds)
    names = [*(str(float(bound)) for bound in bounds), "+Inf"]
    return {labels(le=name): number for name, number in zip(names, counts, strict=True)}


def scraped_quantile(fraction: float, metric: catalog.Metric) -> Expected:
    """A quantile of what only the exporter knows, from what was scraped of it."""

    def expected(moment: Moment) -> Vector:
        growth = moment.growth(f"{metric.name}_bucket")
        below = {float(dict(key)["le"]): value for key, value in growth.items()}
        number = quantile(fraction, [below[bound] for bound in sorted(below)], metric.buckets)
        return {} if number is None else {NOTHING: number}

    return expected


def error_ids(moment: Moment) -> Vector:
    """Each error id once."""
    return {
        key | {("instance", moment.instance)}: value
        for key, value in count(
            [leg for leg in moment.now.calls("direction", "cause") if leg.error_id is not None],
            *("error_id", "cause", "direction"),
        ).items()
    }


def results(moment: Moment) -> Vector:
    """Requests that were taken, by whether the leg had come before."""
    taken = [(line["event_type"], line["call_id"]) for line in moment.log if line["status"] == 204]
    found = {"counted": len(set(taken)), "duplicate": len(taken) - len(set(taken)), "ignored": 0}
    return {labels(result=result): number for result, number in found.items()}


def codes(moment: Moment) -> Vector:
    """Requests by the status of their answer."""
    found = Counter(str(line["status"]) for line in moment.log)
    return {labels(code=code): number for code, number in found.items()}


def version(moment: Moment) -> Vector:
    """The versions that are installed, once; the revision is only known to the build."""
    installed = metadata.version("bandwidth-voice-exporter")
    [known] = moment.last(catalog.BUILD_INFO.name, "revision")
    return {known | {("version", installed)}: 1}


def processor(moment: Moment) -> Vector:
    """Processor time a second."""
    [grown] = moment.growth("process_cpu_seconds_total").values()
    return {labels(instance=moment.instance): grown / moment.view.rate_interval}


def last(name: str, *by: str) -> Expected:
    """The last sample of a gauge."""
    return lambda moment: moment.last(name, *by)


def each(value: float) -> Expected:
    """The same of the one exporter that there is."""
    return lambda moment: {labels(instance=moment.instance): value}


def nothing(moment: Moment) -> Vector:
    """Panels that may be empty in health, and have their own run."""
    del moment
    return {}


def of_failures(*by: str) -> Expected:
    """Failures a minute."""
    return lambda m: per_minute(m, count(failed(m.now.calls(*ALL)), *by))

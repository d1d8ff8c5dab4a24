"""What a Prometheus would have scraped at a site: of each replica, environment by environment."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice.causes import CAUSES, fault_domain
from lab.alert_quality import counters
from lab.alert_quality.counters import JOB, MINUTE, UP
from lab.alert_quality.lengths import ANSWERED_SHARE
from lab.alert_quality.samples import STALE, Series
from lab.alert_quality.server import Grid
from lab.alert_quality.sites.calendar import MINUTES, WARM_UP, Clock
from lab.alert_quality.sites.calls import CAUSES_SEEN, Counted
from lab.alert_quality.sites.site import Site
from lab.alert_quality.traffic import BASE_SHARE, DAY, HOUR, LEAD, Floats

LAST_EVENT = catalog.LAST_EVENT.name
SCRAPED = (*counters.SCRAPED, LAST_EVENT)
_DEPLOY_AT, _DEPLOY = 12 * HOUR + 15, 2  # every day on the clock on the wall, and so long
_REPLACED_FOR = 2  # minutes from the old instance's end to the new one's first scrape
_Bools = npt.NDArray[np.bool_]
_Whole = npt.NDArray[np.int64]


class Instance(msgspec.Struct, frozen=True):
    """A target: of each scrape, whether it is there and answers; and since when it counts."""

    name: str
    environment: str
    exists: _Bools  # one more than minutes: the first scrape is at the first's begin
    answers: _Bools
    begins: int  # the minute from which on its counters count what its replica counted
    replica: int


def instances(site: Site, clock: Clock, seed: int) -> tuple[Instance, ...]:
    """The targets of a site over a run."""
    found: list[Instance] = []
    for environment in site.environments:
        for number in range(site.replicas):
            name = f"exporter-{environment}-{number}:9000"
            always = np.ones(MINUTES + 1, np.bool_)
            answers = always & ~_deployed(site, clock)
            if site.replicas > 1 and number > 0:
                found += _replaced(site, name, environment, number, seed)
            else:
                found.append(Instance(name, environment, always, answers, 0, number))
    return tuple(found)


def series(
    site: Site, clock: Clock, epoch: int, lines: Iterable[Counted], seed: int
) -> Iterator[Series]:
    """Yield everything that was scraped: a sample a minute, and a marker where one is missing."""
    targets = instances(site, clock, seed)
    rng = site.chance(seed, 17)
    named = len(site.environments) > 1
    last: dict[tuple[str, str], Floats] = {}
    for target in targets:
        yield _sampled(
            epoch,
            _labels(UP, target, {}, named=named),
            target.answers.astype(np.float64),
            target.exists,
        )
    first = True
    for line in lines:
        mine = [one for one in targets if one.environment == line.line.environment]
        for target, part in _shared(line, mine, rng):
            for name, labels, increments in _counters(part, first=first):
                # A new application's series are all born with its first call, an undocumented
                # cause's with the first that ends so.
                known = labels.get("cause", CAUSES[0]) in CAUSES
                first_of = part.total if known else increments
                born = _first(target, first_of) if line.line.begins or not known else 0
                values, there = _accumulated(target, increments, born)
                there &= target.answers
                if there.any():
                    yield _sampled(epoch, _labels(name, target, labels, named=named), values, there)
            key = (target.name, line.line.application)
            latest = _latest(rng, part.total)
            last[key] = np.maximum(last[key], latest) if key in last else latest
        first = False
    for target in targets:
        for (name, application), latest in last.items():
            if name == target.name:
                moments = np.concatenate(([-1.0], np.maximum.accumulate(latest)))
                there = target.exists & target.answers & (moments >= 0)
                labels = _labels(LAST_EVENT, target, {"application": application}, named=named)
                yield _sampled(epoch, labels, epoch / 1000 + moments, there)


def grid(epoch: int) -> Grid:
    """When it is scraped."""
    return Grid(epoch, MINUTE, MINUTES + 1)


def _deployed(site: Site, clock: Clock) -> _Bools:
    failed = np.zeros(MINUTES + 1, np.bool_)
    if site.deploys:
        at = clock.minute[LEAD:]
        failed[:-1] = (at >= _DEPLOY_AT) & (at < _DEPLOY_AT + _DEPLOY)
    return failed


def _replaced(
    site: Site, name: str, environment: str, number: int, seed: int
) -> Iterator[Instance]:
    """The second replica is replaced in the second scored week and the third in the third.

    The second's counters go on under the new instance's name, as with a database or a volume that
    moves with it; the third's begin at zero.
    """
    rng = site.chance(seed, number, 18)
    at = WARM_UP + 7 * DAY * number + int(rng.integers(5 * DAY))
    minute = np.arange(MINUTES + 1)
    before, after = minute < at, minute >= at + _REPLACED_FOR
    begins = 0 if number == 1 else at
    yield Instance(name, environment, before, before, 0, number)
    new = name.replace(":", "-new:")
    yield Instance(new, environment, after, after, begins, number)


def _shared(
    line: Counted, targets: list[Instance], rng: np.random.Generator
) -> Iterator[tuple[Instance, Counted]]:
    """Share the calls of a line out between the replicas that take calls in a minute."""
    replicas = sorted({one.replica for one in targets})
    # What a target counts is what comes while it answers: in the minute after its scrape.
    taking = {
        number: np.any([one.answers[1:] for one in targets if one.replica == number], axis=0)
        for number in replicas
    }
    left = np.sum([taking[number] for number in replicas], axis=0)
    lost = left == 0
    rest = Counted(line.line, line.calls.copy(), line.short.copy(), line.talk.copy())
    for part in (rest.calls, rest.short, rest.talk):
        part[..., lost] = 0  # refused, and not sent again
    parts: dict[int, Counted] = {}
    for number in replicas:
        share = np.where(taking[number], 1 / np.maximum(left, 1), 0.0)
        whole = len(replicas) == 1
        calls = rest.calls.copy() if whole else rng.binomial(rest.calls, share)
        short = np.minimum(rest.short, calls[:, 1].sum(axis=0))
        short = short if whole else np.minimum(short, rng.binomial(rest.short, share))
        parts[number] = Counted(line.line, calls, short, rest.talk * share)
        rest = Counted(
            line.line, rest.calls - calls, rest.short - short, rest.talk - parts[number].talk
        )
        left = left - taking[number]
    for target in targets:
        yield target, parts[target.replica]


def _counters(
    part: Counted, *, first: bool
) -> Iterator[tuple[str, dict[str, str], _Whole | Floats]]:
    labels = {"application": part.line.application, "direction": part.line.direction}
    for place, cause in enumerate(CAUSES_SEEN):
        documented = place < len(CAUSES)
        # Of what can never be, one line's zeros stand for all.
        usual = documented and (first or cause in BASE_SHARE[part.line.direction])
        if not usual and not part.calls[place].any():
            continue
        of_cause = {**labels, "cause": cause, "fault_domain": fault_domain(cause)}
        share = ANSWERED_SHARE[place] if documented else 0.5
        for answered, possible in ((0, 1 - share), (1, share)):
            if possible:
                more = {**of_cause, "answered": "true" if answered else "false"}
                yield catalog.CALLS.name, more, part.calls[place, answered]
    yield catalog.SHORT_CALLS.name, labels, part.short
    yield catalog.TALK.name, labels, 60 * part.talk


def _accumulated(target: Instance, increments: _Whole | Floats, born: int) -> tuple[Floats, _Bools]:
    counted = np.where(np.arange(MINUTES) >= target.begins, increments, 0)
    values = np.concatenate(([0.0], np.cumsum(counted, dtype=np.float64)))
    there = target.exists.copy()
    there[:born] = False
    values[born : born + 1] = 0.0  # so it is shown to the first scrape
    return values, there


def _first(target: Instance, calls: _Whole | Floats) -> int:
    """The scrape that is the first to see what a target counts; beyond the last if none does."""
    at = np.flatnonzero((calls > 0) & (np.arange(MINUTES) >= target.begins))
    return int(at[0]) + 1 if at.size else MINUTES + 1


def _latest(rng: np.random.Generator, calls: _Whole) -> Floats:
    """Of each minute, when its last call ended, in seconds since the first; -1: none did."""
    within = 60 * rng.random(calls.size) ** (1 / np.maximum(calls, 1))
    return np.where(calls > 0, 60 * np.arange(calls.size) + within, -1.0)


def _labels(name: str, target: Instance, more: Mapping[str, str], *, named: bool) -> dict[str, str]:
    environment = {"env": target.environment} if named else {}
    return {"__name__": name, "job": JOB, "instance": target.name, **environment, **more}


def _sampled(epoch: int, labels: Mapping[str, str], values: Floats, there: _Bools) -> Series:
    times = epoch + MINUTE * np.arange(there.size, dtype=np.int64)
    gone = np.flatnonzero(~there & np.concatenate(([False], there[:-1])))
    kept = there.copy()
    kept[gone] = True
    marked = values.astype(np.float64)
    marked[gone] = STALE
    return Series(labels, times[kept], marked[kept])

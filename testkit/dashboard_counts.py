"""The values that queries should have, counted from a sender's log in plain Python."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bandwidth_voice_exporter.voice.causes import fault_domain
from bandwidth_voice_exporter.voice.event_types import DISCONNECT
from testkit.prometheus import Labels, Sample
from testkit.simulator import LogLine

Vector = dict[Labels, float]
Value = Callable[["Leg"], float]

NOTHING: Labels = frozenset()


@dataclass(frozen=True)
class Leg:
    """One ended call leg, with the label values that it is counted under; times in seconds."""

    event_type: str
    application: str
    direction: str
    cause: str
    answered: bool
    talk: float | None
    setup: float | None
    unanswered: float | None
    queue: float | None
    error_id: str | None
    code: str | None

    @property
    def fault_domain(self) -> str:
        """The fault domain of its end."""
        return fault_domain(self.cause)


def legs(lines: Iterable[LogLine], names: Mapping[str, str]) -> list[Leg]:
    """The distinct legs of a log that were answered 2xx; names are applications' by id."""
    taken = {
        (line["event_type"], line["call_id"]): line
        for line in lines
        if line["status"] is not None and 200 <= line["status"] < 300
    }
    return [
        Leg(
            line["event_type"],
            names.get(line["application"], line["application"]),
            line["direction"],
            line["cause"],
            line["answered"],
            line["duration_seconds"],
            line["setup_seconds"],
            line["unanswered_seconds"],
            line["queue_seconds"],
            line["error_id"],
            None if line["sip_response_code"] is None else str(line["sip_response_code"]),
        )
        for line in taken.values()
    ]


@dataclass(frozen=True)
class Legs:
    """Legs, and what a person chose of them: values by variable, where not All."""

    all: Sequence[Leg]
    chosen: Mapping[str, Sequence[str]]

    def calls(self, *variables: str) -> list[Leg]:
        """The calls that obey these variables."""
        return self.of(DISCONNECT, *variables)

    def of(self, event_type: str, *variables: str) -> list[Leg]:
        """The legs of an event type that obey these variables."""
        return [
            leg
            for leg in self.all
            if leg.event_type == event_type
            and all(
                getattr(leg, variable) in self.chosen[variable]
                for variable in variables
                if variable in self.chosen
            )
        ]


def labels(**pairs: str) -> Labels:
    """A label set."""
    return frozenset(pairs.items())


def count(found: Iterable[Leg], *by: str) -> Vector:
    """How many legs there are by labels."""
    return total(found, lambda _: 1, *by)


def total(found: Iterable[Leg], value: Value, *by: str) -> Vector:
    """The sum of a value by labels."""
    sums: Vector = {}
    for leg in found:
        key = labels(**{name: getattr(leg, name) for name in by})
        sums[key] = sums.get(key, 0) + value(leg)
    return sums


def filled(vector: Vector, label: str, values: Iterable[str]) -> Vector:
    """With a 0 for each value that is known from the start."""
    return {**{labels(**{label: value}): 0.0 for value in values}, **vector}


def scaled(vector: Vector, scale: Callable[[float], float]) -> Vector:
    """Each value as a function of it."""
    return {key: scale(value) for key, value in vector.items()}


def share(part: Vector, whole: Vector, *on: str) -> Vector:
    """Quotients where the whole, found by its labels `on`, is above 0."""
    found = {}
    for key, value in part.items():
        base = whole.get(frozenset(pair for pair in key if pair[0] in on), 0)
        if base > 0:
            found[key] = value / base
    return found


def cumulated(
    found: Iterable[Leg], value: Callable[[Leg], float | None], bounds: Sequence[float]
) -> list[int]:
    """How many legs are at most as long as each bound; the last one counts them all."""
    times = [seconds for leg in found if (seconds := value(leg)) is not None]
    return [sum(seconds <= bound for seconds in times) for bound in bounds] + [len(times)]


def quantile(fraction: float, counts: Sequence[float], bounds: Sequence[float]) -> float | None:
    """The quantile, straight between the bounds of its bucket; None where there is nothing."""
    if counts[-1] == 0:
        return None
    rank = fraction * counts[-1]
    at = next(index for index, below in enumerate(counts) if below >= rank)
    if at == len(bounds):
        return bounds[-1]
    begin, before = (bounds[at - 1], counts[at - 1]) if at else (0.0, 0.0)
    return begin + (bounds[at] - begin) * ((rank - before) / (counts[at] - before))


def increase(samples: Sequence[Sample], begin: float, end: float) -> float:
    """A counter's growth as Prometheus extrapolates it to the edges of a window."""
    inside = [sample for sample in samples if begin <= sample[0] <= end]
    (first, least), (last, _) = inside[0], inside[-1]
    grown = sum(later - earlier for (_, earlier), (_, later) in pairwise(inside))
    between = last - first
    spacing = between / (len(inside) - 1)
    to_start = first - begin
    if grown > 0:
        to_start = min(to_start, between * (least / grown))
    covered = between + sum(
        gap if gap < spacing * 1.1 else spacing / 2 for gap in (to_start, end - last)
    )
    return grown * (covered / between)

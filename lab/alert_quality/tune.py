"""A report for the author of rules: incidents missed, false alarms, slow rules."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lab.alert_quality.catalogue import Entry
from lab.alert_quality.figures import figures
from lab.alert_quality.incident import KINDS
from lab.alert_quality.results import Raw
from lab.alert_quality.scenario import Run
from lab.alert_quality.score import FalseAlarm, Found, Score, score
from lab.alert_quality.traffic import DAY, HOUR

_COSTLY = 12


def summary(found: Mapping[Run, Raw]) -> Iterator[str]:
    """Yield lines about the alarms of runs that have incidents, one level at a time."""
    for level in sorted({run.level for run in found}):
        raws = {run: raw for run, raw in found.items() if run.level == level}
        scores = {
            run: score(run.entries(), raw.alarms, run.scored_from, run.minutes)
            for run, raw in raws.items()
        }
        yield f"== {level} calls a minute, seeds {', '.join(str(run.seed) for run in raws)}"
        yield from _totals([(run.entries(), one) for run, one in scores.items()])
        for run, one in scores.items():
            yield from _missed(run, one)
            yield from (f"  false {run.seed} {_false(alarm)}" for alarm in one.false_alarms)
        yield from _costs(raws.values())


def _totals(scores: Sequence[tuple[Sequence[Entry], Score]]) -> Iterator[str]:
    of = figures(scores)
    yield (
        f"  false a week: critical {of.false_critical / of.weeks:.2f},"
        f" any {of.false_any / of.weeks:.2f} (in {of.weeks:.1f} weeks);"
        f" named {of.named.hits}/{of.named.of}"
    )
    yield "  recall: " + ", ".join(
        f"{kind} {of.recall[kind].hits}/{of.recall[kind].of}" for kind in KINDS
    )
    yield (
        f"  detected after {of.detected.median:.0f} / {of.detected.p90:.0f} min,"
        f" technical {of.detected_technical.median:.0f} / {of.detected_technical.p90:.0f},"
        f" >= 60 % {of.detected_large.median:.0f} / {of.detected_large.p90:.0f},"
        f" about 20 % {of.detected_fifth.median:.0f};"
        f" resolved after {of.cleared.median:.0f} / {of.cleared.p90:.0f},"
        f" every right alert {of.resolved.median:.0f} / {of.resolved.p90:.0f}"
    )
    first: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for entries, one in scores:
        for entry, found in zip(entries, one.found, strict=True):
            if entry.material:
                first[entry.incident.kind][found.by or "nothing"] += 1
    for kind, counts in first.items():
        yield f"  {kind} first told by: " + ", ".join(f"{k} {n}" for k, n in counts.most_common())


def _missed(run: Run, one: Score) -> Iterator[str]:
    for entry, found in zip(run.entries(), one.found, strict=True):
        if entry.material and found.detected is None:
            yield f"  missed {run.seed} {_incident(entry)}{_instead(found)}"
        elif entry.material and not found.named:
            yield f"  misnamed {run.seed} {_incident(entry)}, then {found.by}"


def _incident(entry: Entry) -> str:
    one = entry.incident
    return (
        f"{_at(one.start)} {one.kind} {one.cause or ''} {one.share:.0%} of"
        f" {one.application or 'all'} {one.direction} for {one.length} min,"
        f" excess {entry.weight.excess:.0f}, points {entry.weight.points:.0%}"
    )


def _instead(found: Found) -> str:
    return ", something else fired" if found.named is False else ""


def _false(alarm: FalseAlarm) -> str:
    length = alarm.end - alarm.start
    return f"{_at(alarm.start)} {alarm.alert} {alarm.severity} {alarm.labels} for {length:.0f} min"


def _at(minute: float) -> str:
    day, rest = divmod(int(minute), DAY)
    return f"d{day:02d} {rest // HOUR:02d}:{rest % HOUR:02d}"


def _costs(raws: Iterable[Raw]) -> Iterator[str]:
    spent: Counter[str] = Counter()
    runs = 0
    for raw in raws:
        runs += 1
        for cost in raw.costs:
            spent[f"{cost.rule} ({cost.series} series)"] += cost.cpu  # type: ignore[assignment]
    total = sum(spent.values()) / runs
    yield f"  {total:.0f} s of CPU a run in Prometheus, most of it in:"
    yield from (f"    {cpu / runs:5.1f} s {rule}" for rule, cpu in spent.most_common(_COSTLY))

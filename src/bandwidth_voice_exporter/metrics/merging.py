"""The totals of several exporters made those of one: what the sum of their series shows."""

from collections.abc import Iterable, Sequence
from typing import Protocol, Self, TypeVar

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.error_ids import ErrorIds, Key
from bandwidth_voice_exporter.metrics.totals import Totals


class _Summed(Protocol):
    def add(self, other: Self) -> None: ...


_Series = TypeVar("_Series", bound=_Summed)


def merge(parts: Sequence[Totals]) -> Totals:
    """Return the totals of all calls of some; the first one's are changed.

    A series that one of them has shown for longer than its hold is not newborn. Error ids may be
    more than their cap: whoever goes on from the totals gives up the oldest.
    """
    whole, *others = parts
    for part in others:
        _merge_births(whole, part)
        for name, counts in part.counts.items():
            if name == catalog.LAST_EVENT.name:
                last = whole.counts.setdefault(name, {})
                for key, count in counts.items():
                    if key not in last or last[key].value < count.value:
                        last[key] = count
            else:
                _add(whole.counts.setdefault(name, {}), counts)
        for name, histograms in part.histograms.items():
            _add(whole.histograms.setdefault(name, {}), histograms)
        for name, natives in part.natives.items():
            _add(whole.natives.setdefault(name, {}), natives)
        whole.causes = _all_of(whole.causes, part.causes)
        whole.applications = _all_of(whole.applications, part.applications)
        whole.codes = _all_of(whole.codes, part.codes)
        _merge_error_ids(whole.error_ids, part.error_ids)
    return whole


def _add(whole: dict[Key, _Series], part: dict[Key, _Series]) -> None:
    for key, series in part.items():
        if key in whole:
            whole[key].add(series)
        else:
            whole[key] = series


def _merge_births(whole: Totals, part: Totals) -> None:
    """Merge the births, before the series themselves."""
    births: dict[tuple[str, Key], int] = {}
    for series, born in (*whole.newborn.items(), *part.newborn.items()):
        if all(series in one.newborn or not one.has(*series) for one in (whole, part)):
            births[series] = max(born, births.get(series, born))
    whole.newborn = births


def _merge_error_ids(whole: ErrorIds, part: ErrorIds) -> None:
    births = dict(part.births)
    for key, born in whole.births.items():
        births[key] = min(born, births.get(key, born))
    whole.births = dict(sorted(births.items(), key=lambda one: one[1]))
    if part.minute > whole.minute:
        whole.minute, whole.taken = part.minute, part.taken


def _all_of(first: Iterable[str], second: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))

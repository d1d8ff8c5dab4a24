"""A tally as bytes and back, also under a changed configuration."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.closed_sets import CappedLabel
from bandwidth_voice_exporter.metrics.error_ids import ErrorIds
from bandwidth_voice_exporter.metrics.merging import merge
from bandwidth_voice_exporter.metrics.tally import Tally
from bandwidth_voice_exporter.metrics.totals import Limits, Totals
from bandwidth_voice_exporter.voice import CallEnded

Shape = tuple[tuple[str, ...], tuple[float, ...]]


class _Saved(msgspec.Struct):
    """Totals, and the terms of their making: labels and buckets by metric, names by id, limits.

    A field that a later version adds needs a default, or that version counts from 0 again.
    """

    shapes: dict[str, Shape]
    names: dict[str, str]
    limits: Limits
    totals: Totals


class CheckpointError(ValueError):
    """Bytes that are not a checkpoint of this version or an earlier one."""


def encode(tally: Tally, names: Mapping[str, str]) -> bytes:
    """Return a tally's totals as they are now."""
    return msgspec.msgpack.encode(_Saved(_shapes(), dict(names), tally.limits, tally.totals()))


def resume(
    state: bytes | None,
    limits: Limits,
    names: Mapping[str, str],
    born: int,
    since: Iterable[CallEnded] = (),
) -> tuple[Tally, list[str]]:
    """Return a tally that goes on from encoded totals and the calls since, and what starts anew.

    The calls since are folded as they were at first, under the settings of then. Only then a metric
    whose labels or buckets are others now starts anew, alone, and so do the counters of an
    application whose name is another: a series that appeared at its old value would look like as
    many calls at once. Raises CheckpointError.
    """
    if state is None:
        tally = Tally(limits, born)
        for call in since:
            tally.fold(call)
        return tally, []
    checkpoint = _decoded(state)
    anew = _drop_changed(checkpoint.shapes, checkpoint.totals)
    past = Tally(checkpoint.limits, born, checkpoint.totals)
    for call in since:
        past.fold(call)
    totals = past.totals()
    anew += _drop_renamed(checkpoint.names, names, totals)
    totals.applications = [
        identifier
        for identifier in dict.fromkeys([*totals.applications, *checkpoint.names])
        if identifier not in names
    ]
    totals.newborn = {born: at for born, at in totals.newborn.items() if totals.has(*born)}
    return Tally(limits, born, totals), anew


def admitted(state: bytes) -> dict[CappedLabel, list[str]]:
    """Return the label values that encoded totals name beside those known from the start.

    Raises CheckpointError.
    """
    totals = _decoded(state).totals
    return {"cause": totals.causes, "application": totals.applications}


def merged(states: Sequence[bytes]) -> tuple[bytes, list[str]]:
    """Return the totals of several exporters as those of one, encoded, and what starts anew.

    They are made under the same names of applications. Raises CheckpointError.
    """
    parts = [_decoded(state) for state in states]
    first = parts[0]
    if any(part.names != first.names for part in parts):
        raise CheckpointError(
            "the shares were counted under different --labels.application: start each replica "
            "once with the same, and stop it again"
        )
    anew = [name for part in parts for name in _drop_changed(part.shapes, part.totals)]
    totals = merge([part.totals for part in parts])
    whole = _Saved(_shapes(), first.names, first.limits, totals)
    return msgspec.msgpack.encode(whole), list(dict.fromkeys(anew))


def _decoded(state: bytes) -> _Saved:
    try:
        return msgspec.msgpack.decode(state, type=_Saved)
    except msgspec.DecodeError as error:
        raise CheckpointError(str(error)) from None


def _shapes() -> dict[str, Shape]:
    return {metric.name: (metric.labels, metric.buckets) for metric in catalog.CALL_METRICS}


def _drop_changed(shapes: Mapping[str, Shape], totals: Totals) -> list[str]:
    current = _shapes()
    changed = [name for name, shape in shapes.items() if current.get(name) != shape]
    for name in changed:
        totals.counts.pop(name, None)
        totals.histograms.pop(name, None)
        totals.natives.pop(name, None)
    if catalog.CALL_ERRORS.name in changed:
        totals.error_ids = ErrorIds(0, 0, 0)
    return changed


def _drop_renamed(then: Mapping[str, str], now: Mapping[str, str], totals: Totals) -> list[str]:
    renamed = [
        identifier
        for identifier in dict.fromkeys([*then, *totals.applications])
        if then.get(identifier) != now.get(identifier)
    ]
    totals.drop_applications(renamed)
    return [f"application {identifier}" for identifier in renamed]

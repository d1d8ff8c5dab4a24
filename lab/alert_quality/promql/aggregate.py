"""Aggregations over series: sum by, max without and the like."""

from collections.abc import Callable, Iterable

import numpy as np
from promql_parser import AggModifier, AggModifierType

from lab.alert_quality.promql.vector import Bools, Floats, Labels, Vector

_Reduce = Callable[[Floats, Bools], Floats]  # rows of one group to one row


def _mean(values: Floats, present: Bools) -> Floats:
    mean: Floats = _sum(values, present) / present.sum(axis=0)
    return mean


def _sum(values: Floats, present: Bools) -> Floats:
    total: Floats = np.where(present, values, 0.0).sum(axis=0)
    return total


def _lowest(values: Floats, present: Bools) -> Floats:
    lowest: Floats = np.fmin.reduce(np.where(present, values, np.nan), axis=0)
    return lowest


def _highest(values: Floats, present: Bools) -> Floats:
    highest: Floats = np.fmax.reduce(np.where(present, values, np.nan), axis=0)
    return highest


def _number(_values: Floats, present: Bools) -> Floats:
    number: Floats = present.sum(axis=0).astype(np.float64)
    return number


_ADDED: dict[str, _Reduce] = {  # can be made of the same of parts
    "sum": _sum,
    "min": _lowest,
    "max": _highest,
    "group": lambda values, _present: np.ones(values.shape[1]),
}
_WHOLE: dict[str, _Reduce] = {**_ADDED, "avg": _mean, "count": _number}


def aggregated(
    op: str, parts: Iterable[Vector], modifier: AggModifier | None, moments: int
) -> Vector:
    """Aggregate series that come some at a time; raises ValueError for what is not known."""
    if op not in _WHOLE:
        raise ValueError(f"no aggregation {op} here")
    if op not in _ADDED:
        parts = [_stacked(list(parts), moments)]
    found = Vector.empty(moments)
    for part in parts:
        found = (
            _grouped(_WHOLE[op], part, modifier)
            if not found.labels
            else _grouped(
                _WHOLE[op],
                _stacked([found, _grouped(_WHOLE[op], part, modifier)], moments),
                modifier,
            )
        )
    return found


def _stacked(parts: list[Vector], moments: int) -> Vector:
    parts = [part for part in parts if part.labels]
    if not parts:
        return Vector.empty(moments)
    return Vector(
        [labels for part in parts for labels in part.labels],
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.present for part in parts]),
    )


def _grouped(reduce: _Reduce, vector: Vector, modifier: AggModifier | None) -> Vector:
    groups: dict[Labels, list[int]] = {}
    for place, labels in enumerate(vector.labels):
        groups.setdefault(_kept(labels, modifier), []).append(place)
    if not groups:
        return vector
    values, present = [], []
    with np.errstate(all="ignore"):
        for rows in groups.values():
            there = vector.present[rows]
            values.append(reduce(vector.values[rows], there))
            present.append(there.any(axis=0))
    return Vector(tuple(groups), np.stack(values), np.stack(present))


def _kept(labels: Labels, modifier: AggModifier | None) -> Labels:
    names = set(modifier.labels) if modifier else set()
    by = modifier is None or modifier.type == AggModifierType.By
    return tuple(pair for pair in labels if (pair[0] in names) == by)

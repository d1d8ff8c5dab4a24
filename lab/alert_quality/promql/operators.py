"""Binary operators: arithmetic, comparisons and sets, and which series go with which."""

import operator
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from promql_parser import BinModifier, LabelModifierType, VectorMatchCardinality

from lab.alert_quality.promql.vector import Bools, Floats, Labels, Scalar, Vector, united

_ARITHMETIC: dict[str, Callable[..., Floats]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
}
_COMPARISON: dict[str, Callable[..., Bools]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_SETS = frozenset({"and", "or", "unless"})


class Matching(msgspec.Struct, frozen=True):
    """Which labels say what goes with what; ``many`` is the side that may have several."""

    labels: frozenset[str] = frozenset()
    on: bool = False
    many: str = ""  # left, right
    include: tuple[str, ...] = ()
    as_bool: bool = False

    @classmethod
    def of(cls, modifier: BinModifier | None) -> "Matching":
        """The matching that the expression names; by default all labels must be equal."""
        if modifier is None:
            return cls()
        side = ""
        if modifier.card == VectorMatchCardinality.ManyToOne:
            side = "left"
        elif modifier.card == VectorMatchCardinality.OneToMany:
            side = "right"
        matching = modifier.matching
        return cls(
            frozenset(matching.labels) if matching else frozenset(),
            matching is not None and matching.type == LabelModifierType.Include,
            side,
            tuple(modifier.group_labels or ()) if side else (),
            bool(modifier.return_bool),
        )

    def key(self, labels: Labels) -> Labels:
        """The labels that must be equal."""
        return tuple(pair for pair in labels if (pair[0] in self.labels) == self.on)


def binary(
    op: str, left: Vector | Scalar, right: Vector | Scalar, matching: Matching
) -> Vector | Scalar:
    """Apply an operator, at every moment."""
    with np.errstate(all="ignore"):
        if isinstance(left, Vector) and isinstance(right, Vector):
            if op in _SETS:
                return _set(op, left, right, matching)
            return _matched(op, left, right, matching)
        if isinstance(right, Vector):
            assert not isinstance(left, Vector), "two vectors are matched"
            return _compared(op, right, left, right.values, as_bool=matching.as_bool)
        if isinstance(left, Vector):
            return _compared(op, left, left.values, right, as_bool=matching.as_bool)
        if op in _COMPARISON:
            return np.asarray(_COMPARISON[op](left, right), np.float64)
        return _ARITHMETIC[op](left, right)


def _compared(op: str, of: Vector, left: Scalar, right: Scalar, *, as_bool: bool) -> Vector:
    if op not in _COMPARISON:
        return of.replaced(_ARITHMETIC[op](left, right))
    holds = _COMPARISON[op](left, right)
    return of.replaced(holds.astype(np.float64)) if as_bool else of.where(holds)


def _set(op: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    moments = left.values.shape[1]
    if op == "or":
        there = _by_key(left, matching)
        nothing = np.zeros(moments, np.bool_)
        hidden = [there.get(matching.key(labels), nothing) for labels in right.labels]
        rest = right.where(~np.stack(hidden)) if hidden else right
        return united([left, rest], moments)
    there = _by_key(right, matching)
    nothing = np.zeros(moments, np.bool_)
    other = [there.get(matching.key(labels), nothing) for labels in left.labels]
    if not other:
        return left
    return left.where(np.stack(other) if op == "and" else ~np.stack(other))


def _by_key(vector: Vector, matching: Matching) -> dict[Labels, Bools]:
    found: dict[Labels, Bools] = {}
    for labels, present in zip(vector.labels, vector.present, strict=True):
        key = matching.key(labels)
        found[key] = found[key] | present if key in found else present
    return found


def _matched(op: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    swapped = matching.many == "right"
    many, one = (right, left) if swapped else (left, right)
    moments = left.values.shape[1]
    keys = [matching.key(labels) for labels in one.labels]
    ones: dict[Labels, list[int]] = {}
    for place, key in enumerate(keys):
        ones.setdefault(key, []).append(place)
    parts: list[Vector] = []
    for place, labels in enumerate(many.labels):
        # Several can have their turn, one after another; `united` refuses two at a time.
        for other in ones.get(matching.key(labels), ()):
            here = Vector(
                (_result(labels, one.labels[other], matching, op),),
                many.values[place : place + 1],
                many.present[place : place + 1] & one.present[other],
            )
            values = one.values[other]
            pair = (values, here.values) if swapped else (here.values, values)
            parts.append(_applied(op, here, pair, as_bool=matching.as_bool))
    return united(parts, moments)


def _applied(op: str, here: Vector, pair: Sequence[Floats], *, as_bool: bool) -> Vector:
    if op not in _COMPARISON:
        return here.replaced(_ARITHMETIC[op](*pair))
    holds = _COMPARISON[op](*pair)
    if as_bool:
        return here.replaced(holds.astype(np.float64))
    # A comparison keeps what stands on its left.
    return here.replaced(np.broadcast_to(pair[0], here.values.shape)).where(holds)


def _result(many: Labels, one: Labels, matching: Matching, op: str) -> Labels:
    if matching.many:
        of_one = dict(one)
        kept = dict(many)
        for name in matching.include:
            kept.pop(name, None)
            if of_one.get(name):
                kept[name] = of_one[name]
        return tuple(sorted(kept.items()))
    if op in _COMPARISON and not matching.as_bool:
        return many if not matching.on else matching.key(many)
    return matching.key(many)

"""An expression evaluated at every moment of a grid; stands in for a Prometheus, and is faster."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import numpy as np
import promql_parser
from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
)

from lab.alert_quality.promql import functions
from lab.alert_quality.promql.aggregate import aggregated
from lab.alert_quality.promql.counter import COUNTER, counted
from lab.alert_quality.promql.operators import Matching, binary
from lab.alert_quality.promql.store import Samples, Store
from lab.alert_quality.promql.vector import Bools, Floats, Scalar, Vector, united
from lab.alert_quality.promql.windows import OVER_TIME, Whole, Windows, quantile, reduced
from lab.alert_quality.samples import Series
from lab.alert_quality.server import Grid, Result

_LOOKBACK = 300_000  # milliseconds in which a sample is still seen, the last one included
_MINUTE = 60_000
_WHEN = "timestamp"
_RANGED = frozenset({"quantile_over_time"}) | COUNTER | OVER_TIME


class Evaluator:
    """Holds samples from ``begin`` to ``end``, in unix milliseconds, and evaluates over them.

    Raises ValueError for what PromQL has and this does not: `@`, histograms, `topk` and the like.
    """

    def __init__(self, begin: int, end: int) -> None:
        self._store = Store(begin, end)

    def write(self, series: Iterable[Series], grid: Grid) -> None:
        """Store series that have samples at moments of this grid."""
        self._store.write(series, grid)

    def evaluate(self, expr: str, grid: Grid) -> list[Result]:
        """Evaluate an expression at every moment of a grid, as `Storage.evaluate` does."""
        found = self._value(promql_parser.parse(expr), grid.times)
        if not isinstance(found, Vector):
            everywhere = np.broadcast_to(np.asarray(found, np.float64), (1, grid.count))
            found = Vector(((),), everywhere, np.ones((1, grid.count), np.bool_))
        return [
            Result(dict(labels), np.flatnonzero(there), values[there])
            for labels, values, there in zip(found.labels, found.values, found.present, strict=True)
            if there.any()
        ]

    def _value(self, expr: Expr, moments: Whole) -> Vector | Scalar:
        found: Vector | Scalar
        match expr:
            case ParenExpr():
                found = self._value(expr.expr, moments)
            case NumberLiteral():
                found = float(expr.val)
            case UnaryExpr():
                found = binary("*", -1.0, self._value(expr.expr, moments), Matching())
            case BinaryExpr():
                left, right = (self._value(side, moments) for side in (expr.lhs, expr.rhs))
                found = binary(str(expr.op), left, right, Matching.of(expr.modifier))
            case AggregateExpr():
                parts = self._parts(expr.expr, moments)
                found = aggregated(str(expr.op), parts, expr.modifier, moments.size)
            case Call() if expr.func.name not in _RANGED | {_WHEN}:
                found = self._call(expr.func.name, expr.args, moments)
            case _:
                found = united(self._parts(expr, moments), moments.size)
        return found

    def _vector(self, expr: Expr, moments: Whole) -> Vector:
        found = self._value(expr, moments)
        if not isinstance(found, Vector):
            raise ValueError(f"{expr} is a scalar")  # noqa: TRY004 - the expression is at fault
        return found

    def _parts(self, expr: Expr, moments: Whole) -> Iterator[Vector]:
        """Yield the series of an expression, those of a selector some at a time."""
        while isinstance(expr, ParenExpr):
            expr = expr.expr
        when = isinstance(expr, Call) and expr.func.name == _WHEN
        if isinstance(expr, Call) and when:
            (expr,) = expr.args
        if isinstance(expr, VectorSelector):
            at = moments - _milliseconds(expr.offset)
            for samples in self._store.select(_plain(expr)):
                yield _seen(samples, at, when=when)
        elif isinstance(expr, Call) and expr.func.name in _RANGED:
            *before, ranged = expr.args
            share = self._value(before[0], moments) if before else None
            yield from self._ranged(expr.func.name, share, ranged, moments)
        else:
            yield self._vector(expr, moments)

    def _ranged(
        self, name: str, share: Vector | Scalar | None, expr: Expr, moments: Whole
    ) -> Iterator[Vector]:
        while isinstance(expr, ParenExpr):
            expr = expr.expr
        if isinstance(expr, MatrixSelector):
            selector = _plain(expr.vector_selector)
            at = moments - _milliseconds(selector.offset)
            samples: Iterable[Samples] = self._store.select(selector)
        elif isinstance(expr, SubqueryExpr):
            if expr.at is not None:
                raise ValueError(f"no @ here: {expr}")
            at = moments - _milliseconds(expr.offset)
            samples = [self._subquery(expr, at)]
        else:
            raise ValueError(f"{expr} is no range")  # noqa: TRY004 - the expression is at fault
        length = _milliseconds(expr.range)
        for some in samples:
            if not some.labels:
                continue
            values, present = _over(name, share, some, at, length)
            yield Vector(some.labels, values, present)

    def _subquery(self, expr: SubqueryExpr, at: Whole) -> Samples:
        # At whole steps since 1970, whatever the moments are; before the first sample is nothing.
        step = _milliseconds(expr.step) if expr.step else _MINUTE
        begin = max(int(at[0]) - _milliseconds(expr.range), self._store.begin)
        start = -(-begin // step) * step
        inner = np.arange(start, max(int(at[-1]), start) + 1, step, dtype=np.int64)
        found = self._vector(expr.expr, inner)
        return Samples(start, step, found.labels, found.values, found.present)

    def _call(self, name: str, args: Sequence[Expr], moments: Whole) -> Vector | Scalar:
        found: Vector | Scalar
        match name, args:
            case _, [one, *more] if name in functions.OF_VALUES:
                told = [_scalar(self._value(other, moments)) for other in more]
                found = functions.of_values(name, self._vector(one, moments), told)
            case _, [one] if name in functions.OF_TIME:
                of = self._vector(one, moments)
                found = of.replaced(functions.OF_TIME[name](of.values))
            case _, [] if name in functions.OF_TIME:
                found = _alone(functions.OF_TIME[name](moments / 1000))
            case "time", []:
                found = moments / 1000
            case "vector", [one]:
                found = _alone(np.broadcast_to(_scalar(self._value(one, moments)), moments.shape))
            case "scalar", [one]:
                found = functions.scalar(self._vector(one, moments))
            case "absent", [one]:
                found = functions.absent(self._vector(one, moments), _asked(one))
            case "absent_over_time", [one]:
                ranged = self._ranged("present_over_time", None, one, moments)
                found = functions.absent(united(ranged, moments.size), _asked(one))
            case "label_replace", [one, *texts]:
                words = [text.val for text in texts if isinstance(text, StringLiteral)]
                found = functions.relabelled(self._vector(one, moments), *words)
            case _:
                raise ValueError(f"no function {name} here")
        return found


def _over(
    name: str, share: Vector | Scalar | None, some: Samples, at: Whole, length: int
) -> tuple[Floats, Bools]:
    if name in COUNTER:
        return counted(name, some, at, length)
    count = some.values.shape[1]
    windows = Windows.over(at, length, start=some.start, step=some.step, count=count)
    values = some.values.astype(np.float64)
    if name == "quantile_over_time":
        assert isinstance(share, float)
        present = reduced("present_over_time", values, some.present, windows)[1]
        return quantile(share, values, some.present, windows), present
    return reduced(name, values, some.present, windows)


def _seen(samples: Samples, at: Whole, *, when: bool = False) -> Vector:
    """The latest sample at each moment, if it is not old and nothing said since that it is gone."""
    count = samples.values.shape[1]
    place = (at - samples.start) // samples.step
    there = (place >= 0) & (at - (samples.start + place * samples.step) <= _LOOKBACK)
    place = np.clip(place, 0, count - 1)
    present = samples.present[:, place] & there
    taken = (samples.start + place * samples.step) / 1000
    values = samples.values[:, place].astype(np.float64)
    return Vector(samples.labels, np.broadcast_to(taken, values.shape) if when else values, present)


def _alone(values: Floats) -> Vector:
    return Vector(((),), np.asarray(values, np.float64)[None], np.ones((1, values.size), np.bool_))


def _scalar(value: Vector | Scalar) -> Scalar:
    if isinstance(value, Vector):
        raise ValueError("a vector where a scalar belongs")  # noqa: TRY004 - as above
    return value


def _plain(selector: VectorSelector) -> VectorSelector:
    if selector.at is not None:
        raise ValueError(f"no @ here: {selector}")
    return selector


def _asked(expr: Expr) -> list[tuple[str, str]]:
    while not isinstance(expr, VectorSelector):
        inside = expr.vector_selector if isinstance(expr, MatrixSelector) else None
        if inside is None:
            return []
        expr = inside
    return [
        (one.name, one.value)
        for one in expr.matchers.matchers
        if one.op == promql_parser.MatchOp.Equal
    ]


def _milliseconds(duration: timedelta | None) -> int:
    return round(duration.total_seconds() * 1000) if duration else 0

"""What has been scraped and recorded: a block of samples for each name and replica's rhythm."""

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from promql_parser import MatchOp, VectorSelector

from lab.alert_quality.promql.vector import Bools, Labels, labelled
from lab.alert_quality.samples import STALE, Series
from lab.alert_quality.server import Grid

_AT_ONCE = 64  # series
_GONE = STALE.view(np.uint64)
_WHOLE = 1 << 24  # up to which 32 bits hold a whole number as well as 64
_Numbers = npt.NDArray[np.floating]


class Block(msgspec.Struct):
    """Samples of series that are taken at the same moments, some of them missing.

    One that is missing after one that is not was marked as gone, as Prometheus does.
    """

    start: int  # unix milliseconds
    step: int
    labels: list[Labels]
    values: list[_Numbers]
    present: list[Bools]


class Samples(msgspec.Struct, frozen=True):
    """Some series of a block."""

    start: int
    step: int
    labels: Sequence[Labels]
    values: _Numbers
    present: Bools


class Store:
    """Everything from ``begin`` to ``end``, in unix milliseconds."""

    def __init__(self, begin: int, end: int) -> None:
        self.begin = begin
        self._end = end
        self._blocks: dict[tuple[str, int, int], Block] = {}

    def write(self, series: Iterable[Series], grid: Grid) -> None:
        """Store series whose samples are taken at moments of the grid, or some more of them."""
        for one in series:
            block = self._block(one.labels["__name__"], grid)
            labels = labelled({k: v for k, v in one.labels.items() if k != "__name__"})
            count = (self._end - block.start) // block.step + 1
            if labels not in block.labels:
                block.labels.append(labels)
                block.values.append(np.zeros(count, np.float32))
                block.present.append(np.zeros(count, np.bool_))
            at = block.labels.index(labels)
            places = (one.times - block.start) // block.step
            # A marker that says "gone" says what the missing sample says.
            kept = (places < count) & ~_stale(one.values)
            values = block.values[at]
            if values.dtype == np.float32 and not _fits(one.values[kept]):
                values = block.values[at] = values.astype(np.float64)
            values[places[kept]] = one.values[kept]
            block.present[at][places[kept]] = True

    def select(self, selector: VectorSelector) -> Iterator[Samples]:
        """Yield the series that a selector names, some at a time."""
        matchers = [(one.name, one.op, one.value) for one in selector.matchers.matchers]
        for (name, _, _), block in self._blocks.items():
            if name != selector.name:
                continue
            chosen = [
                place
                for place, labels in enumerate(block.labels)
                if all(_matches(dict(labels).get(label, ""), op, to) for label, op, to in matchers)
            ]
            for first in range(0, len(chosen), _AT_ONCE):
                some = chosen[first : first + _AT_ONCE]
                yield Samples(
                    block.start,
                    block.step,
                    [block.labels[place] for place in some],
                    np.stack([block.values[place] for place in some]),
                    np.stack([block.present[place] for place in some]),
                )

    def _block(self, name: str, grid: Grid) -> Block:
        start = self.begin + (grid.start - self.begin) % grid.step
        return self._blocks.setdefault(
            (name, start, grid.step), Block(start, grid.step, [], [], [])
        )


def _fits(values: npt.NDArray[np.float64]) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(np.all((np.abs(values) < _WHOLE) & (values == np.floor(values))))


def _stale(values: npt.NDArray[np.float64]) -> Bools:
    # Not every NaN: those that 0/0 makes are values.
    return np.asarray(values.view(np.uint64) == _GONE)


def _matches(value: str, op: MatchOp, to: str) -> bool:
    if op in (MatchOp.Equal, MatchOp.NotEqual):
        return (value == to) is bool(op == MatchOp.Equal)
    return (re.fullmatch(to, value) is not None) is bool(op == MatchOp.Re)

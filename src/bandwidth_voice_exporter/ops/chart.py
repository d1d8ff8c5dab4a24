"""The picture of calls per minute: the places of its bars."""

from collections.abc import Sequence

import msgspec

from bandwidth_voice_exporter.metrics import MINUTE
from bandwidth_voice_exporter.ops.history import Minute
from bandwidth_voice_exporter.voice import HANGUP

WIDTH, HEIGHT = 600, 120
_BAR = 10  # a minute's width
_GAP = 1.5
_STEPS = (1, 2, 3, 4, 5, 6, 8)
_TICK = 15  # minutes


class Bar(msgspec.Struct, frozen=True):
    """A minute: when it began (microseconds), its calls, and how high they stand."""

    at: int
    x: float
    normal: int
    failed: int
    normal_y: float
    normal_height: float
    failed_y: float
    failed_height: float


class Tick(msgspec.Struct, frozen=True):
    """A time under the bars (microseconds), and where it stands."""

    at: int
    x: float

    @property
    def percent(self) -> float:
        """Its place, in per cent of the frame's width."""
        return 100 * self.x / WIDTH


class Chart(msgspec.Struct, frozen=True):
    """Bars, the value at their frame's top, and the x at which minutes begin to be known.

    ``ticks`` are the quarters of an hour.
    """

    bars: tuple[Bar, ...]
    top: int
    known_from: float
    ticks: tuple[Tick, ...]

    @property
    def middle(self) -> int | None:
        """The value half-way up, where it is a whole one."""
        return None if self.top % 2 else self.top // 2

    @property
    def calls(self) -> int:
        """All calls in it."""
        return sum(bar.normal + bar.failed for bar in self.bars)

    @property
    def failed(self) -> int:
        """The calls in it that failed."""
        return sum(bar.failed for bar in self.bars)

    @property
    def most(self) -> int:
        """The most calls of a minute."""
        return max((bar.normal + bar.failed for bar in self.bars), default=0)

    @property
    def width(self) -> float:
        """How wide a bar is."""
        return _BAR - _GAP


def draw(minutes: Sequence[Minute]) -> Chart:
    """Place an hour's minutes in a frame of WIDTH by HEIGHT."""
    known = [
        (index, minute.number, sum(minute.causes.values()), minute.causes.get(HANGUP, 0))
        for index, minute in enumerate(minutes)
        if minute.causes is not None
    ]
    top = _top(max((calls for _, _, calls, _ in known), default=0))
    bars = []
    for index, at, calls, normal in known:
        failed = calls - normal
        normal_height, failed_height = (HEIGHT * part / top for part in (normal, failed))
        bars.append(
            Bar(
                at * MINUTE,
                index * _BAR,
                normal,
                failed,
                round(HEIGHT - normal_height, 2),
                round(normal_height, 2),
                round(HEIGHT - normal_height - failed_height, 2),
                round(failed_height, 2),
            )
        )
    ticks = tuple(
        Tick(minute.number * MINUTE, index * _BAR)
        for index, minute in enumerate(minutes)
        if minute.number % _TICK == 0
    )
    return Chart(tuple(bars), top, bars[0].x if bars else WIDTH, ticks)


def _top(most: int) -> int:
    """Return the next round number: never more than twice as much."""
    power = 1
    while True:
        for step in _STEPS:
            if step * power >= most:
                return step * power
        power *= 10

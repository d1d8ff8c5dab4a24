"""The calls expected, by the minute, as the same time of earlier weeks has taught.

A reference of the week learns half of what each quarter of an hour differs from it. One that had
far fewer calls than it should is not learned at once: an outage or a holiday leaves no trace, and a
change of habit is learned a week later. A reference reads itself a week ago, so that a week of
retention is enough. If Prometheus was away at that time, the neighbouring quarters stand in.

Expected are as many calls as around this time of the week, or as in the lowest of the quarters
around where these hold calls enough; none near an opening or a closing; fewer where the hours
before had fewer. The calls expected are added up, so that those since the last one are known.
"""

from collections.abc import Iterator

import msgspec

from bandwidth_voice_exporter.alerts.metrics import ended
from bandwidth_voice_exporter.alerts.rulefile import Recording
from bandwidth_voice_exporter.alerts.series import CALLS, CountOf
from bandwidth_voice_exporter.alerts.wallclock import WallClock

_SEEN = "2m"  # holds two scrapes a minute apart
_LATELY = "5m"
_SLOT = "15m"
_RATE = 0.5  # the share of a week's difference that is learned
_FEW, _LEAST = 0.3, 3  # of the reference; calls expected in a slot
_EDGE = 0.15  # of the busiest quarter within an hour: less is closed
_POOLED = 60  # calls in three slots, whose lowest then says something
_LESS_THAN_A_CALL = 0.5  # what is left of two numbers that are taken from each other
_LOWEST_TODAY = 0.3  # a quiet holiday where nobody closes
_PRIOR_TODAY = 15  # calls that were as expected, whatever came
_PRIOR_SOON = (22, 30)  # calls that came, of those usual, as much as days differ
_AS_BUSY = 0.6  # as now, the hour before
_MORE_SOON = 1.25  # what is usual is the lowest around
_HARDLY_ANY, _MANY = 0.1, 30  # of the calls expected in 5 or 15 minutes, where these are so many
_BACK, _KNOWN = 0.55, 10  # of the usual calls of a quarter; so many that they can be told from it
_BEFORE_IT = "6h"  # today's expectation follows a loss within three hours
_BACK_LATELY, _BACK_SLOT = 0.6, 0.3  # of the calls expected in 5 and in 15 minutes
_OF_DAY = "23h59m30s"  # as many samples in Prometheus 2 as in 3


class Volume(msgspec.Struct, frozen=True):
    """The calls expected under the labels of a count."""

    count: CountOf

    def series(self, operation: str) -> str:
        """Return the name of a series."""
        return f"{self.count.level}:{self.count.of}:{operation}"

    @property
    def usual(self) -> str:
        """Calls a minute that are usual at this time of the week."""
        return self.series("usual1m")

    @property
    def expected(self) -> str:
        """Calls a minute that are expected today."""
        return self.series("expected1m")

    @property
    def soon(self) -> str:
        """Calls a minute that are expected after those of the last hour."""
        return self.series("soon1m")

    @property
    def open(self) -> str:
        """Whether calls come at this time of the week."""
        return self.series("open")

    def since_last(self, matchers: str = "") -> str:
        """Return the calls that were expected since the last one."""
        return f"({self.series('expected')}{matchers} - max_over_time({self.series('atcall')}[1d]))"

    @property
    def opening(self) -> str:
        """When it opened, in the last day."""
        return f"max_over_time({self.series('opening')}[1d])"

    @property
    def last(self) -> str:
        """When the last call was seen, in the last day."""
        return f"max_over_time({self.series('lastcall')}[1d])"

    @property
    def silent(self) -> str:
        """When so many calls were expected since the last one that it is no chance; else 0."""
        return self.series("silent")

    @property
    def back(self) -> str:
        """When calls came as they should, or it could not be known; else 0."""
        return self.series("back")

    @property
    def low(self) -> str:
        """Whether a silence goes on as a loss.

        Today's expectation follows a loss that lasts; the usual one does not, nor does the day's
        that there was before.
        """
        usual = self.usual_of(15, self.today_before)
        lowest = f"min_over_time({self.slot}[4m30s])"  # a lull of chance the other way is no end
        return f"({lowest} < bool {_BACK} * {usual}) * ({usual} >= bool {_KNOWN})"

    def within(self, minutes: int, matchers: str = "") -> str:
        """Return the calls expected in the last minutes."""
        return f"({_of_minutes(minutes, self.expected + matchers)})"

    def usual_of(self, minutes: int, today: str) -> str:
        """Return the usual calls of the last minutes on a day with such a share of them."""
        return f"({_of_minutes(minutes, self.usual)} * {today})"

    @property
    def today(self) -> str:
        """The share of the usual calls that the last hours had."""
        return self.series("today")

    @property
    def today_before(self) -> str:
        """The same before a loss that has lasted for hours."""
        return f"max_over_time({self.today}[{_BEFORE_IT}])"

    def busiest(self, clock: WallClock) -> str:
        """Return the calls of the busiest quarter within an hour of this time last week."""
        return clock.week_ago(
            self.series("learned30m"), window="[2h]", over="max_over_time", later=75
        )

    @property
    def seen(self) -> str:
        """Calls that ended just now."""
        return self.series("ended2m")

    @property
    def lately(self) -> str:
        """Calls that ended in the last five minutes."""
        return self.series("ended5m")

    def of_minutes_lately(self, minutes: int) -> str:
        """Return the calls that ended in the last minutes."""
        return self.series(f"ended{minutes}m")

    @property
    def slot(self) -> str:
        """Calls that ended in the last quarter of an hour."""
        return self.series("ended15m")

    def recordings(self, job: str, clock: WallClock, least: int, most: int) -> Iterator[Recording]:
        """Yield the reference, what is expected of it, and whether calls are missing.

        A silence is told at ``least`` calls expected since the last one where the reference rests
        on 300 calls, and at up to ``most`` where it rests on fewer.
        """
        for name, window in ((self.seen, _SEEN), (self.lately, _LATELY), (self.slot, _SLOT)):
            yield Recording(name, ended(job, window, *self.count.labels))
        learned, held, before = (
            self.series(name) for name in ("learned15m", "held15m", "lastweek15m")
        )
        calls = self.slot
        # The first calls ever are no neighbours of the hour before them.
        known = f"last_over_time({learned}[1d] offset 1w)"
        neighbours = f"avg_over_time({learned}[2h] offset 6d23h)\nand {known}"
        yield Recording(before, f"{clock.week_ago(learned)}\nor\n{neighbours}")
        twice = f"clamp_min(1 - ({clock.week_ago(held)} or 0 * {before}), 0)"
        low = f"({calls} < bool {_FEW} * {before}) * ({before} >= bool {_LEAST})"
        yield Recording(held, clock.unless_closed(f"{low}\n* {twice}"))
        differs = clock.unless_closed(f"{_RATE} * (1 - {held}) * ({calls} - {before})")
        yield Recording(learned, f"{before} + {differs}\nor\n{before}\nor\n{calls}")
        smooth = self.series("learned30m")
        yield Recording(smooth, f"avg_over_time({learned}[14m30s])")
        yield Recording(self.open, self._open(clock))
        yield Recording(self.usual, self._usual(clock))
        yield Recording(self.today, self._today())
        yield Recording(self.expected, f"{self.usual} * {self.today}")
        total, seen = self.series("expected"), f"({self.seen} > bool {_LESS_THAN_A_CALL})"
        yield Recording(
            total,
            f"(max_over_time({total}[1d] offset 1d) or 0 * {self.expected})\n"
            f"+ sum_over_time({self.expected}[{_OF_DAY}])",
        )
        opened = f"clamp_min({self.open} - {self.open} offset 1m, 0)"
        yield Recording(self.series("lastcall"), f"time() * {seen}")
        yield Recording(self.series("opening"), f"time() * ({opened} or 0 * {self.open})")
        # A closed weekend is longer than the day that is looked back: the opening counts too.
        yield Recording(
            self.series("atcall"),
            f"{total} * ({seen} + (1 - {seen}) * ({opened} or 0 * {seen}))",
        )
        yield from self._missing(least, most)

    def of_minutes(self, job: str) -> Iterator[Recording]:
        """Yield the calls of some minutes, and those to expect after the hour before."""
        for minutes in (3, 7):
            counted = ended(job, f"{minutes}m", *self.count.labels)
            yield Recording(self.of_minutes_lately(minutes), counted)
        calls = f"4 * avg_over_time({self.slot}[44m30s] offset 10m)"
        before = f"avg_over_time({self.usual}[44m30s] offset 17m)"
        share = f"({calls} + {_PRIOR_SOON[0]})\n/ (60 * {before} + {_PRIOR_SOON[1]})"
        # Of the first hour after an opening the hour before says nothing.
        known = f"({before} >= bool {_AS_BUSY} * {self.usual})"
        yield Recording(
            self.soon, f"{self.usual}\n* {known}\n* clamp_max(\n{share},\n{_MORE_SOON}\n)"
        )

    def _missing(self, least: int, most: int) -> Iterator[Recording]:
        seen = f"({self.seen} > bool {_LESS_THAN_A_CALL})"
        # It rests on two weeks of the calls of five quarters of an hour.
        enough = f"clamp({most} - {(most - least) / 2:g} * {self.usual}, {least}, {most})"
        # At two evaluations in a row: a minute ago, too, so many were missing.
        since = f"({self.since_last()} - {self.expected})"
        none = f"({since} >= bool {enough}) * (1 - {seen})"
        # Of many calls some talk for long, and end in the silence.
        few = "\n+ ".join(
            f"({self.within(minutes)} >= bool {_MANY})"
            f" * (max_over_time({calls}[90s]) < bool {_HARDLY_ANY} * {self.within(minutes)})"
            for minutes, calls in ((5, self.lately), (15, self.slot))
        )
        yield Recording(self.silent, f"time()\n* {self.open}\n* clamp_max(\n{none}\n+ {few},\n1\n)")
        yield Recording(
            self.back,
            f"time()\n* (1 - {self.low})\n* ({self.silent} == bool 0)\n"
            f"* ({self.lately} >= bool {_BACK_LATELY} * {self.within(5)})\n"
            f"* ({self.slot} >= bool {_BACK_SLOT} * {self.within(15)})",
        )

    def _open(self, clock: WallClock) -> str:
        busiest = self.busiest(clock)
        now = clock.week_ago(self.series("learned30m"), later=15)
        return clock.unless_closed(f"({now} >= bool {_EDGE} * {busiest})\n* ({busiest} > bool 0)")

    def _usual(self, clock: WallClock) -> str:
        learned = self.series("learned15m")
        around = clock.week_ago(learned, window="[1h]", over="avg_over_time", later=37)
        lowest = clock.week_ago(learned, window="[30m]", over="min_over_time", later=22)
        # Five minutes into the opening, and not in the last five before the closing.
        inside = clock.week_ago(learned, window="[20m]", over="min_over_time", later=17)
        return clock.unless_closed(
            f"(\n  {around}\n  - clamp_min({around} - {lowest}, 0)\n"
            f"  * (3 * {around} >= bool {_POOLED})\n) / 15\n"
            f"* ({inside} >= bool {_EDGE} * {self.busiest(clock)})"
        )

    def _today(self) -> str:
        calls = f"12 * avg_over_time({self.slot}[2h59m30s] offset 30m)"
        usual = f"180 * avg_over_time({self.usual}[2h59m30s] offset 30m)"
        share = f"({calls} + {_PRIOR_TODAY})\n/ ({usual} + {_PRIOR_TODAY})"
        return f"clamp(\n{share},\n{_LOWEST_TODAY}, 1\n)\nor\n1 + 0 * {self.usual}"


def _of_minutes(minutes: int, a_minute: str) -> str:
    """Return the calls of the last minutes, from those a minute."""
    return f"{minutes} * avg_over_time({a_minute}[{minutes - 1}m30s])"


OF_DIRECTION = Volume(CALLS)

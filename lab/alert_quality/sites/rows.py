"""The rows of a table of figures, and how a cell is written."""

import math
from collections.abc import Callable, Iterator, Sequence

import msgspec

from lab.alert_quality.figures import Quantiles, Share
from lab.alert_quality.sites import targets
from lab.alert_quality.sites.figures import Rate, SiteFigures
from lab.alert_quality.sites.targets import Target


def header(cells: Sequence[str]) -> Iterator[str]:
    """Yield the two lines with which a table begins."""
    yield row(cells)
    yield row(["---"] * len(cells))


def row(cells: Sequence[str]) -> str:
    """Return a line of a table."""
    return "| " + " | ".join(cells) + " |"


def rate(of: Rate) -> str:
    """Return how many a week, the interval, and how many there were."""
    low, high = of.interval
    return f"{of.value:.2f} ({low:.2f}-{high:.2f}, {of.count})"


def found(share: Share) -> str:
    """Return a share, its interval, and of how many it is."""
    if not share.of:
        return "-"
    low, high = share.interval
    return f"{share.value:.3f} ({low:.2f}-{high:.2f}, n={share.of})"


def both(of: Quantiles) -> str:
    """Return a median and a 90th percentile."""
    return "-" if math.isnan(of.median) else f"{of.median:.0f} / {of.p90:.0f}"


class Row(msgspec.Struct, frozen=True):
    """A figure by level, and what was aimed at."""

    title: str
    cell: Callable[[SiteFigures], str]
    target: Target | None = None


ROWS = (
    Row("weeks without incident", lambda of: f"{of.weeks:.1f}"),
    Row("false pages a week", lambda of: rate(of.false_pages), targets.FALSE_PAGES),
    Row("false alarms a week", lambda of: rate(of.false_alarms), targets.FALSE_ALARMS),
    Row("false entries of the digest a week", lambda of: rate(of.false_digest)),
    Row("found, application and Bandwidth", lambda of: found(of.technical), targets.TECHNICAL),
    Row("found, all material", lambda of: found(of.material), targets.MATERIAL),
    Row("… on Mondays and the day after a holiday", lambda of: found(of.mondays)),
    Row("lost calls told", lambda of: found(of.lost), targets.LOST),
    Row(
        "… on Mondays and the day after a holiday",
        lambda of: found(of.lost_mondays),
        targets.LOST_MONDAYS,
    ),
    Row("… with silences that flap", lambda of: found(of.lost_flapping), targets.LOST_FLAPPING),
    Row("silence told after", lambda of: both(of.silence_told), targets.SILENCE),
    Row(
        "failures of 60 % and more told after",
        lambda of: both(of.failures_told),
        targets.FAILURES,
    ),
    Row(
        "pages that last until five minutes before the end",
        lambda of: found(of.held),
        targets.HELD,
    ),
    Row(
        "resolved after the end, the alert that told first",
        lambda of: both(of.cleared),
        targets.RESOLVED,
    ),
    Row("… every right alert", lambda of: both(of.resolved)),
    Row("… of what flaps", lambda of: both(of.resolved_flapping)),
    Row(
        "critical notifications, an incident and direction",
        lambda of: both(of.notified),
        targets.NOTIFIED,
    ),
    Row("right fault domain first", lambda of: found(of.named), targets.NAMED),
)
_COMPARED = (
    targets.FALSE_PAGES,
    targets.FALSE_ALARMS,
    targets.TECHNICAL,
    targets.MATERIAL,
    targets.SILENCE,
    targets.HELD,
)
COMPARED = tuple(row for row in ROWS if row.target in _COMPARED)

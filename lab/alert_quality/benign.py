"""What looks like an incident and is none: nobody is to be woken by it.

A run of its own for each level and seed: after a first week in which there is no history to
compare with, a case every second day or so, with no incident anywhere. Two replicas share the
calls, so that one of them can be restarted.
"""

import msgspec

from lab.alert_quality.traffic import DAY, HOUR, LEAD, PAIRS, Floats

TUNING_SEEDS = tuple(range(51, 53))
REPORTING_SEEDS = tuple(range(3001, 3004))
REPLICAS = ("a", "b")
MINUTES = 26 * DAY


class Case(msgspec.Struct, frozen=True):
    """Something benign from ``start`` on for ``length`` minutes; what follows it counts too."""

    name: str
    start: int
    length: int
    aftermath: int = 3 * HOUR

    @property
    def watched(self) -> tuple[int, int]:
        """The minutes in which no critical alarm may start."""
        return self.start, self.start + self.length + self.aftermath


def _at(day: int, hour: int, minute: int = 0) -> int:
    return day * DAY + hour * HOUR + minute


FIRST_WEEK = Case("first week without a baseline", 0, 8 * DAY, 0)
SCRAPE_GAP = Case("four minutes without a scrape", _at(8, 10), 4)
RESTART = Case("exporter restarted", _at(9, 11), 1)
ROLLING_DEPLOY = Case("rolling deploy", _at(10, 14), 6)
LATE_WEBHOOKS = Case("burst of late webhooks", _at(11, 15), 12)
CAMPAIGN = Case("campaign, three times the calls", _at(14, 9), 6 * HOUR)
HOLIDAY = Case("holiday, 55 % fewer calls", _at(16, 0), DAY)
CLOCK_CHANGE = Case("clock change", _at(20, 2), 5 * DAY, 0)  # a Sunday
CASES = (
    FIRST_WEEK,
    SCRAPE_GAP,
    RESTART,
    ROLLING_DEPLOY,
    LATE_WEBHOOKS,
    CAMPAIGN,
    HOLIDAY,
    CLOCK_CHANGE,
)
_CAMPAIGN_CALLS = 3.0
_CAMPAIGN_OF = "outbound"
_HOLIDAY_CALLS = 0.45


def apply_to_starts(rate: Floats) -> Floats:
    """Return the expected starts of a benign run: campaign, holiday and clock change applied."""
    # From then on the week's curve comes an hour earlier, as UTC sees it; noise and all.
    moved = LEAD + CLOCK_CHANGE.start
    rate = rate.copy()
    rate[:, moved:-HOUR] = rate[:, moved + HOUR :]
    campaign = slice(LEAD + CAMPAIGN.start, LEAD + CAMPAIGN.start + CAMPAIGN.length)
    outbound = [pair.direction == _CAMPAIGN_OF for pair in PAIRS]
    rate[outbound, campaign] *= _CAMPAIGN_CALLS
    holiday = slice(LEAD + HOLIDAY.start, LEAD + HOLIDAY.start + HOLIDAY.length)
    rate[:, holiday] *= _HOLIDAY_CALLS
    return rate

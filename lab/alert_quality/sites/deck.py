"""What can happen at a site: the sorts of incidents, each drawn equally often."""

import msgspec

from lab.alert_quality.incident import FLOW, SHORT
from lab.alert_quality.sites.happening import UNDOCUMENTED, Course
from lab.alert_quality.traffic import HOUR


class Sort(msgspec.Struct, frozen=True, kw_only=True):
    """One card of the deck; its share and length are even on a logarithmic scale."""

    kind: str
    course: Course = "steady"
    least: float = 0.05  # of the share
    most: float = 1.0
    causes: tuple[str, ...] = ()
    one_application: float = 0.15  # how likely it hits one application and not all
    shortest: int = 10
    longest: int = 8 * HOUR


APPLICATION = ("callback-error", "invalid-bxml", "application-error")
_BANDWIDTH = ("error", "node-capacity-exceeded", "unknown")
DECK = (
    Sort(kind="application", causes=APPLICATION, one_application=0.6),
    Sort(kind="application", causes=APPLICATION, one_application=0.6, course="ramp"),
    Sort(kind="application", causes=APPLICATION, course="flapping", least=0.3, shortest=60),
    Sort(
        kind="application",
        causes=APPLICATION,
        course="slow burn",
        most=0.15,
        shortest=4 * HOUR,
        longest=10 * HOUR,
    ),
    Sort(kind="bandwidth", causes=_BANDWIDTH),
    Sort(kind="bandwidth", causes=_BANDWIDTH, course="ramp"),
    Sort(kind="bandwidth", causes=_BANDWIDTH, course="flapping", least=0.3, shortest=60),
    Sort(kind="bandwidth", causes=UNDOCUMENTED),
    Sort(kind="bandwidth", causes=UNDOCUMENTED, least=0.4),
    Sort(kind="account", causes=("account-limit",)),
    Sort(kind="user", causes=("busy", "timeout", "rejected", "cancel"), least=0.2),
    Sort(kind=SHORT, least=0.2),
    Sort(kind=FLOW, least=1.0),
    Sort(kind=FLOW, least=1.0, shortest=3 * HOUR),
    Sort(kind=FLOW, least=0.7, most=0.9),
    Sort(kind=FLOW, least=0.7, most=0.9, course="ramp", shortest=60),
    Sort(kind=FLOW, least=0.3, most=0.3, shortest=60),
    Sort(kind=FLOW, least=0.5, most=0.5, shortest=60),
    Sort(kind=FLOW, least=1.0, one_application=1.0, shortest=60),
    Sort(kind=FLOW, least=1.0, course="flapping", shortest=90, longest=4 * HOUR),
)
# What strikes an application in its first week.
NEW = Sort(kind="application", causes=APPLICATION, least=0.3, one_application=1.0, shortest=30)

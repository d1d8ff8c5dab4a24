"""The recorded counts that everything else is made of, and in which windows."""

import msgspec

WINDOWS = ("5m", "15m", "1h", "6h")
# Rules are evaluated a minute apart: a window of recorded samples that ends half a minute early
# holds as many of them in Prometheus 3 (which leaves out the left end) as in 2.
_OF_SAMPLES = {"6h": "5h59m30s"}
# Factors for the average of a shorter window's count.
_FROM_1H = {"6h": 6}


class CountOf(msgspec.Struct, frozen=True):
    """Calls counted per window under some labels, besides ``job``."""

    level: str
    of: str
    labels: tuple[str, ...]

    def within(self, window: str) -> str:
        """Return the name of the series for a window."""
        return f"{self.level}:{self.of}:increase{window}"

    def longer(self, window: str) -> str:
        """Return how a longer window is counted from the recorded shorter one."""
        return f"{_FROM_1H[window]} * avg_over_time({self.within('1h')}[{_OF_SAMPLES[window]}])"


def by(*labels: str) -> str:
    """Return the clause that keeps the job and some labels."""
    return f"by ({', '.join(('job', *labels))})"


def on(*labels: str) -> str:
    """Return the clause that matches the job and some labels."""
    return f"on ({', '.join(('job', *labels))})"


# Only for dashboards: that many series cost more than all alerts together.
FINE = CountOf(
    "application_direction_fault_domain_answered",
    "bandwidth_voice_calls",
    ("application", "direction", "fault_domain", "answered"),
)
CALLS = CountOf("direction", "bandwidth_voice_calls", ("direction",))
ANSWERED = CountOf("direction", "bandwidth_voice_answered_calls", ("direction",))
SHORT = CountOf("direction", "bandwidth_voice_short_calls", ("direction",))
TALK = CountOf("direction", "bandwidth_voice_call_talk_seconds", ("direction",))
DOMAIN = CountOf("direction_fault_domain", "bandwidth_voice_calls", ("direction", "fault_domain"))
CAUSE = CountOf("direction_cause", "bandwidth_voice_calls", ("direction", "fault_domain", "cause"))
OF_APPLICATION = CountOf(
    "application_direction", "bandwidth_voice_calls", ("application", "direction")
)
ANSWERED_OF_APPLICATION = CountOf(
    "application_direction", "bandwidth_voice_answered_calls", ("application", "direction")
)
FAILED_OF_APPLICATION = CountOf(
    "application_direction", "bandwidth_voice_application_failures", ("application", "direction")
)
SHORT_OF_APPLICATION = CountOf(
    "application_direction", "bandwidth_voice_short_calls", ("application", "direction")
)
TALK_OF_APPLICATION = CountOf(
    "application_direction", "bandwidth_voice_call_talk_seconds", ("application", "direction")
)
# Beside lengths, which hold the calls that no webhook reported, too.
WITH_RECONCILED = frozenset({FINE, ANSWERED})

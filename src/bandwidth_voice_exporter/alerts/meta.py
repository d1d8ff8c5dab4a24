"""Whether the alerts have what they need."""

from collections.abc import Iterator

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.condition import READY
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.rulefile import Alert, Recording
from bandwidth_voice_exporter.alerts.series import CALLS, by
from bandwidth_voice_exporter.alerts.share import FAILURES, KEPT


def recordings() -> Iterator[Recording]:
    """Yield whether there is a baseline."""
    known = f"count {by('direction')} (last_over_time({FAILURES.series('median7d')}[{KEPT}]))"
    yield Recording(READY, f"clamp_max({known}, 1) or 0 * {CALLS.within('1h')}")


def alerts(config: Config) -> Iterator[Alert]:
    """Yield the alert on a missing baseline."""
    yield Alert(
        name="BandwidthVoiceBaselineMissing",
        expr=f"{READY} == 0",
        severity="info",
        fault_domain="pipeline",
        lasts="1h",
        summary="There is not enough history to compare calls with.",
        description=(
            "The rules have not yet recorded eight days of {{ $labels.direction }} calls: until "
            "then failures are compared with fixed limits, and lost calls with the hours before."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, "job", "direction"),
    )

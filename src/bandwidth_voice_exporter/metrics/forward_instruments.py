"""What the exporter counts about the handlers that it passes requests on to."""

from http import HTTPStatus

from prometheus_client import CollectorRegistry

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.closed_sets import FORWARD_REASONS, ForwardReason
from bandwidth_voice_exporter.metrics.registered import counter, gauge, histogram
from bandwidth_voice_exporter.voice import labels

# A handler's status that HTTP does not have is no label.
_LABELS = {status.value: str(status.value) for status in HTTPStatus}
_ANSWERS = ("200", "204", "401", "404", "500", "502", "503")


class ForwardInstruments:
    """What is said of the handlers, by the path whose requests they get."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = counter(registry, catalog.FORWARD_REQUESTS)
        self.seconds = histogram(registry, catalog.FORWARD_SECONDS)
        self.failures = counter(registry, catalog.FORWARD_FAILURES)
        self.in_flight = gauge(registry, catalog.FORWARD_IN_FLIGHT)
        self.up = gauge(registry, catalog.FORWARD_UP)

    def bear(self, route: str) -> None:
        """Show a route's at 0, and its handler as one that was not tried in vain."""
        for code in _ANSWERS:
            self.requests.labels(route, code)
        for reason in FORWARD_REASONS:
            self.failures.labels(route, reason)
        self.seconds.labels(route)
        self.in_flight.labels(route)
        self.up.labels(route).set(1)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self.requests.labels(route, _LABELS.get(status, labels.OTHER)).inc()
        self.seconds.labels(route).observe(seconds)
        self.up.labels(route).set(1)

    def failed(self, route: str, reason: ForwardReason, *, is_down: bool) -> None:
        """Count a request without an answer."""
        self.failures.labels(route, reason).inc()
        if is_down:
            self.up.labels(route).set(0)

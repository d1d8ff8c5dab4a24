"""The metrics of the handlers that the exporter passes requests on to."""

from functools import partial
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.closed_sets import FORWARD_REASONS, ForwardReason
from bandwidth_voice_exporter.metrics.registered import counter, gauge, histogram
from bandwidth_voice_exporter.voice import labels

# A handler's status that HTTP does not have is no label.
_LABELS = {status.value: str(status.value) for status in HTTPStatus}
_ANSWERS = ("200", "204", "401", "404", "500", "502", "503")


class ForwardInstruments:
    """The handlers' metrics, by the path whose requests they get."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = counter(registry, catalog.FORWARD_REQUESTS)
        self.seconds = histogram(registry, catalog.FORWARD_SECONDS)
        self.failures = counter(registry, catalog.FORWARD_FAILURES)
        self.in_flight = gauge(registry, catalog.FORWARD_IN_FLIGHT)
        self.up = gauge(registry, catalog.FORWARD_UP)


class RouteInstruments:
    """The metrics of one path's handler; at 0 at first, and up until a try fails."""

    def __init__(self, forward: ForwardInstruments, route: str) -> None:
        # Looked up once: a look-up by labels takes a twentieth of the time of passing a request on.
        self.in_flight = forward.in_flight.labels(route)
        self.up = forward.up.labels(route)
        self.up.set(1)
        self._seconds = forward.seconds.labels(route)
        self._requests = {code: forward.requests.labels(route, code) for code in _ANSWERS}
        self._failures: dict[ForwardReason, Counter] = {
            reason: forward.failures.labels(route, reason) for reason in FORWARD_REASONS
        }
        self._of_code = partial(forward.requests.labels, route)

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer."""
        code = _LABELS.get(status, labels.OTHER)
        (self._requests.get(code) or self._of_code(code)).inc()
        self._seconds.observe(seconds)
        self.up.set(1)

    def failed(self, reason: ForwardReason, *, is_down: bool) -> None:
        """Count a request without an answer."""
        self._failures[reason].inc()
        if is_down:
            self.up.set(0)

"""A scrape's answer: which format, compressed or not, and the bytes."""

import gzip
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from prometheus_client.registry import Collector

from bandwidth_voice_exporter.metrics import messages
from bandwidth_voice_exporter.metrics.render import of_collector

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTOBUF = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

_FAMILIES = ("io.prometheus.client.MetricFamily", "delimited")

_FAST_GZIP = 1

_GENERATE: Mapping[str, Callable[[Collector], bytes]] = {
    TEXT: partial(of_collector, is_openmetrics=False),
    OPENMETRICS: partial(of_collector, is_openmetrics=True),
    PROTOBUF: messages.of_collector,
}


def negotiate(accept: str, *, has_protobuf: bool = False) -> str:
    """Return the content type for an Accept header: text unless another is preferred.

    That is OpenMetrics 1.0.0, or the messages of MetricFamily where ``has_protobuf`` offers them.
    """
    best, best_quality = TEXT, 0.0
    for media_type, parameters, quality in _ranges(accept):
        offered = _offer(media_type, parameters)
        if offered == PROTOBUF and not has_protobuf:
            continue
        if offered and quality > best_quality:
            best, best_quality = offered, quality
    return best


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    allowed = {coding: quality > 0 for coding, _, quality in _ranges(accept_encoding)}
    return allowed.get("gzip", allowed.get("*", False))


def render(calls: bytes, own: Collector, content_type: str, *, compress: bool) -> bytes:
    """Put the call metrics as they are written and the exporter's own families together."""
    body = calls + _GENERATE[content_type](own)
    return gzip.compress(body, _FAST_GZIP) if compress else body


def _offer(media_type: str, parameters: Mapping[str, str]) -> str | None:
    version = parameters.get("version")
    if media_type == "application/vnd.google.protobuf" and (
        (parameters.get("proto"), parameters.get("encoding")) == _FAMILIES
    ):
        return PROTOBUF
    if media_type == "application/openmetrics-text" and version in (None, "1.0.0"):
        return OPENMETRICS
    if media_type in ("text/plain", "text/*", "*/*") and version in (None, "0.0.4"):
        return TEXT
    return None


def _ranges(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Split a header of RFC 9110 section 12.5 into values, parameters and quality."""
    for part in header.split(","):
        value, *rest = (piece.strip() for piece in part.split(";"))
        parameters = dict(_parameter(piece) for piece in rest if "=" in piece)
        yield value.lower(), parameters, _quality(parameters.get("q", "1"))


def _parameter(piece: str) -> tuple[str, str]:
    name, _, value = piece.partition("=")
    return name.strip().lower(), value.strip().strip('"')


def _quality(text_value: str) -> float:
    try:
        quality = float(text_value)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0

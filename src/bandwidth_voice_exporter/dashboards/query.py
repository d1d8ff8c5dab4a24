"""PromQL made of the catalog: a metric or label that is renamed there is no longer found here."""

import re
from dataclasses import dataclass

from bandwidth_voice_exporter.metrics import catalog

LAST_WEEK = " offset 1w"
RANGE = "$__range"
HOUR = "1h"

_RATE = "$__rate_interval"
_MATCHER = re.compile(r'(?P<label>\w+)(=|!=|=~|!~)"[^"]*"')


@dataclass(frozen=True)
class Scope:
    """The variables of a dashboard that its selectors obey, beside job and instance."""

    variables: tuple[str, ...] = ()

    def of(self, metric: catalog.Metric, *matchers: str, free: tuple[str, ...] = ()) -> str:
        """Return a selector of a metric's samples, except for the variables in ``free``."""
        return self._obeying(metric, metric.name, matchers, free)

    def buckets(self, metric: catalog.Metric, *matchers: str) -> str:
        """Return a selector of a histogram's buckets."""
        return self._obeying(metric, f"{metric.name}_bucket", matchers, ())

    def _obeying(
        self, metric: catalog.Metric, name: str, matchers: tuple[str, ...], free: tuple[str, ...]
    ) -> str:
        if name not in metric.samples:
            raise ValueError(f"{metric.name} has no samples {name}")
        for matcher in matchers:
            found = _MATCHER.fullmatch(matcher)
            if found is None or found["label"] not in metric.labels:
                raise ValueError(f"{metric.name} has no label for {matcher}")
        obeyed = [name for name in self.variables if name in metric.labels and name not in free]
        return of_any(name, *(f'{name}=~"${name}"' for name in obeyed), *matchers)


def of_any(name: str, *matchers: str) -> str:
    """Return a selector of what an exporter's target has, whether the catalog knows it or not."""
    return _selector(name, 'job=~"$job"', 'instance=~"$instance"', *matchers)


def of_rules(name: str, *matchers: str) -> str:
    """Return a selector of what the rules make: it has no instance."""
    return _selector(name, 'job=~"$job"', *matchers)


def _selector(name: str, *matchers: str) -> str:
    return f"{name}{{{','.join(matchers)}}}"


def increase(selector: str, window: str = RANGE, offset: str = "") -> str:
    """Return how much a counter grew in a window."""
    return f"increase({selector}[{window}]{offset})"


def rate(selector: str, offset: str = "") -> str:
    """Return a counter's growth a second, over the shortest window that has samples."""
    return f"rate({selector}[{_RATE}]{offset})"


def total(by: str, vector: str) -> str:
    """Return the sum by labels (`cause, fault_domain`), or over all where there are none."""
    return f"sum by ({by}) ({vector})" if by else f"sum({vector})"


def per_minute(by: str, selector: str, offset: str = "") -> str:
    """Return a counter's growth a minute, by labels."""
    return f"{total(by, rate(selector, offset))} * 60"


def share(part: str, whole: str, matching: str = "") -> str:
    """Return a quotient that has no value, instead of NaN, where the whole is 0."""
    return f"{part} / {matching + ' ' if matching else ''}({whole} > 0)"


def quantile(fraction: float, by: str, buckets: str, offset: str = "") -> str:
    """Return a quantile by labels, without a value, instead of NaN, where nothing happened."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({fraction}, {total(labels, rate(buckets, offset))}) >= 0"

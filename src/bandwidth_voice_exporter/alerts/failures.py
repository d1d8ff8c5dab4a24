"""Alerts on failures that the application, the account or Bandwidth answers for."""

from collections.abc import Iterator

import msgspec

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.condition import at_least, indented, unusual
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.rulefile import Alert, Recording
from bandwidth_voice_exporter.alerts.series import (
    CALLS,
    DOMAIN,
    FAILED_OF_APPLICATION,
    CountOf,
    by,
    on,
)
from bandwidth_voice_exporter.alerts.share import FAILURES, OF_APPLICATIONS
from bandwidth_voice_exporter.metrics import catalog

_LABELS = ("job", "direction")
_OF_APPLICATION = ("job", "application", "direction")


class _Grade(msgspec.Struct, frozen=True):
    suffix: str
    severity: str
    lasts: str
    calls: str
    keep: str


_SPIKE = _Grade("Spike", "critical", "1m", "Many calls", "8m")
_RISE = _Grade("Rise", "warning", "2m", "More calls than usual", "5m")
# The windows in which failures are worth a page: those that take hours to show are not.
PAGED_IN = ("5m", "15m", "1h")
_PAGED = FAILURES.series("paged")
_OVER = FAILURES.series("over")
_ON = FAILURES.series("goeson")
_MOSTLY = 0.4  # of twenty minutes: what flaps a third of the time goes on for longer
# So many failures in the worst quarter of an hour: 5, 10, 15 or 30 minutes then say whether it goes
# on; of fewer it takes 45.
_MANY, _SOME, _FEW, _HARDLY_ANY = 24, 18, 9, 5
_GOES_ON = 0.3  # of what the last hour had above the expected share
_ABOVE = 0.02  # the expected share: less is over


class _FailureKind(msgspec.Struct, frozen=True):
    name: str
    domain: str
    said: str


_KINDS = (
    _FailureKind(
        "BandwidthVoiceApplicationFailure",
        "application",
        "end because the application could not be reached or answered wrongly",
    ),
    _FailureKind(
        "BandwidthVoiceBandwidthFailure",
        "bandwidth",
        "end because of an error or a lack of capacity at Bandwidth",
    ),
    _FailureKind(
        "BandwidthVoiceAccountLimit",
        "account",
        "are refused because the account's limits are reached",
    ),
    _FailureKind(
        "BandwidthVoiceUndocumentedFailure",
        "unclassified",
        "end with a cause that Bandwidth does not document",
    ),
)


def recordings(config: Config) -> Iterator[Recording]:
    """Yield when a share was worth a page, whether it still is high, and when it was over."""
    found = unusual(FAILURES, config.spike, windows=PAGED_IN)
    none = f"0 * {FAILURES.series('ratio15m')}"
    yield Recording(_PAGED, f"0 * (\n{indented(found)}\n) + time()\nor\n{none}")
    yield Recording(_ON, f"0 * (\n{indented(_goes_on())}\n) + 1\nor\n{none}")
    lately = f"(max_over_time({_PAGED}[15m]) > bool 0)"
    mostly = f"(avg_over_time({_ON}[20m]) > bool {_MOSTLY})"
    yield Recording(_OVER, f"time() * (1 - {lately}) * (1 - {mostly})")


def pages(config: Config) -> Iterator[Alert]:
    """Yield the alerts on shares of failures that wake people."""
    for kind in _KINDS:
        yield _alert(config, kind, _SPIKE, _page(kind))


def alerts(config: Config) -> Iterator[Alert]:
    """Yield the tickets on shares of failures, and on the error budget."""
    for kind in _KINDS:
        matchers = f'{{fault_domain="{kind.domain}"}}'
        yield _alert(config, kind, _RISE, unusual(FAILURES, config.rise, matchers))
    yield _error_budget(config)


def _goes_on() -> str:
    """Return the failures that are not over yet: the fewer there are, the longer it takes to see.

    A share that flaps, or stays near the limit, is then one page.
    """
    worst = f"max_over_time({DOMAIN.within('15m')}[1h])"
    # How many there were at worst, where so many windows tell enough.
    known = (
        (f">= {_MANY}", "5m", 1),
        (f"< {_MANY} >= {_SOME}", "5m", 2),
        (f"< {_SOME} >= {_FEW}", "15m", 1),
        (f"< {_FEW} >= {_HARDLY_ANY}", "15m", 2),
        (f"< {_HARDLY_ANY}", "15m", 3),
    )
    return "\nor\n".join(
        f"{_above(_share_in(window, times))}and {at_least(_added(DOMAIN, window, times), 2)}\n"
        f"and {worst} {at_worst}"
        for at_worst, window, times in known
    )


def _share_in(window: str, times: int) -> str:
    """Return the share of failures in some windows, one after the other."""
    if times == 1:
        return FAILURES.series(f"ratio{window}")
    failed, calls = (_added(count, window, times) for count in (DOMAIN, CALLS))
    return f"{failed}\n/ {FAILURES.matching}{calls}"


def _added(count: CountOf, window: str, times: int) -> str:
    length, counted = int(window.removesuffix("m")), count.within(window)
    ago = (f"{counted} offset {length * place}m" for place in range(1, times))
    return f"({' + '.join((counted, *ago))})" if times > 1 else counted


def _page(kind: _FailureKind) -> str:
    """Return when a page begins, and that it lasts until failures are over."""
    since = f"max_over_time({_PAGED}[8h])\n  > max_over_time({_OVER}[8h])"
    return (
        f'{FAILURES.series("ratio15m")}{{fault_domain="{kind.domain}"}}\n'
        f"and (\n  {_PAGED} > 0\n  or\n  {_ON} == 1\n  and {since}\n)"
    )


def _above(share: str) -> str:
    expected, hour = FAILURES.series("expected1h"), FAILURES.series("ratio1h")
    return (
        f"{share}\n> {expected} + {_ABOVE}\n"
        f"and {share}\n> {1 - _GOES_ON:g} * {expected} + {_GOES_ON} * {hour}\n"
    )


def _alert(config: Config, kind: _FailureKind, grade: _Grade, condition: str) -> Alert:
    domain = f'fault_domain="{kind.domain}"'
    expected = say.share(FAILURES.series("expected1h") + "{}", _LABELS, domain)
    touched = say.looked_up(DOMAIN.within("1h") + "{}", _LABELS, say.NUMBER, domain)
    return Alert(
        name=f"{kind.name}{grade.suffix}",
        expr=condition,
        severity=grade.severity,
        # Bandwidth sends the cause, documented or not, and so has to say what it means.
        fault_domain="bandwidth" if kind.domain == "unclassified" else kind.domain,
        lasts=grade.lasts,
        keep=grade.keep,
        summary=f"{grade.calls} {kind.said}.",
        description=(
            f"{say.VALUE_SHARE} of {{{{ $labels.direction }}}} calls {kind.said}; "
            f"expected: {expected}. "
            f"Calls touched in the last hour: {touched}. "
            f"Causes: {_worst('cause', domain)}. "
            f"Applications: {_worst('application', domain)}."
        ),
        dashboard=say.dashboard(
            config.links, say.FAILURES, "job", "direction", fault_domain=kind.domain
        ),
    )


def _worst(label: str, domain: str) -> str:
    counted = f"increase({catalog.CALLS.name}{{}}[1h])"
    query = f"sort_desc(topk(3, sum by ({label}) ({counted}) > 0.5))"
    return say.listed(query, _LABELS, label, domain)


def of_one_application(config: Config) -> Alert:
    """Return the alert on the failures of one application."""
    limits = config.single_application
    counted = f"increase({catalog.CALLS.name}{{}}[1h])"
    query = f"sort_desc(topk(3, sum by (cause) ({counted}) > 0.5))"
    causes = say.listed(query, _OF_APPLICATION, "cause", 'fault_domain="application"')
    expected = say.share(OF_APPLICATIONS.series("expected1h") + "{}", _OF_APPLICATION)
    touched = say.looked_up(FAILED_OF_APPLICATION.within("1h") + "{}", _OF_APPLICATION, say.NUMBER)
    return Alert(
        name="BandwidthVoiceSingleApplicationFailureSpike",
        expr=unusual(OF_APPLICATIONS, limits),
        severity="warning",
        fault_domain="application",
        lasts="1m",
        keep="2m",
        summary="Calls of one application fail because of it.",
        description=(
            f"{say.VALUE_SHARE} of the {{{{ $labels.direction }}}} calls of "
            "{{ $labels.application }} end because it could not be reached or answered wrongly; "
            f"expected: {expected}. Calls touched in the last hour: {touched}. Causes: {causes}."
        ),
        dashboard=say.dashboard(
            config.links,
            say.FAILURES,
            "job",
            "direction",
            "application",
            fault_domain="application",
        ),
    )


def _error_budget(config: Config) -> Alert:
    budget = 1 - config.objective.availability

    def share(window: str) -> str:
        failed = f'{DOMAIN.within(window)}{{fault_domain=~"application|bandwidth"}}'
        return _share_of_all(failed, CALLS.within(window))

    days = _share_of_all(
        f'avg_over_time({DOMAIN.within("1h")}{{fault_domain=~"application|bandwidth"}}[3d:1h])',
        f"avg_over_time({CALLS.within('1h')}[3d:1h])",
    )

    failed = f'sum {by("fault_domain")} ({DOMAIN.within("1h")}{{fault_domain!="none"}})'
    # A share of three days says nothing of an installation's first one.
    known = f"sum {by()} (last_over_time({CALLS.within('1h')}[12h] offset 60h))"
    return Alert(
        name="BandwidthVoiceErrorBudgetBurn",
        expr=(
            f"{days}\n> {budget:g}\n"
            f"and {share('6h')}\n> {2 * budget:g}\n"
            f"and {share('1h')}\n> {2 * budget:g}\n"
            f"and {share('15m')}\n> {2 * budget:g}\n"
            f"and {at_least(failed, config.objective.least_calls)}\n"
            f"and {on()} {known}"
        ),
        severity="warning",
        fault_domain=None,
        lasts="15m",
        summary="The error budget is being used up.",
        description=(
            f"{say.VALUE_SHARE} of the calls of three days failed because of "
            f"{{{{ $labels.fault_domain }}}}, and they still do; "
            f"the objective allows {100 * budget:.2g}%."
        ),
        dashboard=say.dashboard(config.links, say.FAILURES, "job", "fault_domain"),
    )


def _share_of_all(failed: str, calls: str) -> str:
    return f"sum {by('fault_domain')} ({failed})\n  / {on()} group_left ()\n  sum {by()} ({calls})"

"""The share at which the alert on an hour fires: what dashboards draw as a limit."""

from collections.abc import Iterator

from bandwidth_voice_exporter.alerts.config import Config, Failures
from bandwidth_voice_exporter.alerts.rulefile import Recording
from bandwidth_voice_exporter.alerts.series import CALLS, on
from bandwidth_voice_exporter.alerts.share import FAILURES, KEPT


def recordings(config: Config) -> Iterator[Recording]:
    """Yield the threshold of each fault domain.

    Sought is the count c above e expected calls with c ln(c/e) - c + e = h. Bernstein's bound
    gives a start above it, x calls more than expected; one step of Newton's method from there
    ends less than half a call above it.
    """
    of_domain = {
        "application": config.rise,
        "bandwidth": config.rise,
        "account": config.rise,
        "user": config.users,
    }
    thresholds = (_threshold(domain, limits) for domain, limits in of_domain.items())
    yield Recording(FAILURES.series("threshold1h"), "\nor\n".join(thresholds))


def _threshold(domain: str, limits: Failures) -> str:
    matchers = f'{{fault_domain="{domain}"}}'
    expected = (
        f"clamp_min({FAILURES.series('expected1h')}{matchers}"
        f" * {FAILURES.matching}{CALLS.within('1h')}, 1e-9)"
    )
    spread = f"last_over_time({FAILURES.series('spread1h')}{matchers}[{KEPT}])"
    h = f"{limits.zscore**2 / 2:g} * {spread} ^ 2"
    x = f"({h} / 3 + sqrt(({h}) ^ 2 / 9 + 2 * {h} * {expected}))"
    calls = f"(\n  {x}\n  + {h}\n)\n/ ln(1 + {x} / {expected})"
    share = f"clamp_min(\n{calls},\n{limits.least_calls}\n)\n/ {on('direction')} group_left ()\n"
    share += CALLS.within("1h")
    floor = f"({FAILURES.series('expected1h')}{matchers} + {limits.points:g})"
    return f"{floor}\n+ clamp_min(\n{share}\n- {floor},\n0\n)"

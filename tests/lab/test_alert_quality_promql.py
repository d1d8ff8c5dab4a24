"""The evaluator in NumPy, held against a real Prometheus over the same samples."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lab.alert_quality import rules
from lab.alert_quality.counters import EPOCH, MINUTE
from lab.alert_quality.promql import Evaluator
from lab.alert_quality.replay import Alarm
from lab.alert_quality.samples import STALE, Series
from lab.alert_quality.server import Grid, Result
from lab.alert_quality.sites import order, replay
from lab.alert_quality.sites.replay import Engine, Prometheus, agreement, in_numpy

_MINUTES = 300
_SCRAPES = Grid(EPOCH, MINUTE, _MINUTES + 1)
_MOMENTS = Grid(EPOCH + 20_000, MINUTE, _MINUTES)
_SLOW = Grid(EPOCH + 20_000, 10 * MINUTE, _MINUTES // 10)
_RECORDING = "recorded:every:ten"
_EXPRESSIONS = (
    "calls",
    "sum by (job) (increase(calls[5m]))",
    'increase(calls{cause=~"b.*"}[1h])',
    "rate(calls[7m] offset 3m) * 60",
    "sum without (instance, cause) (calls offset 1h)",
    "changes(calls[10m]) + on (instance, cause) resets(calls[20m])",
    "avg_over_time(calls[13m]) - min_over_time(calls[13m]) + max_over_time(calls[13m])",
    "sum_over_time(gauge[9m]) / count_over_time(gauge[9m]) + stddev_over_time(gauge[9m])",
    "last_over_time(gauge[30m] offset 10m)",
    "quantile_over_time(0.8, abs(gauge - 1)[1h:5m])",
    "quantile_over_time(0.5, (24 * avg_over_time(calls[20m:2m]))[2h:20m])",
    "quantile_over_time(0.25, (gauge / gauge)[30m:1m])",  # NaN, which sorts first
    "max_over_time(sum(increase(calls[5m]))[2h:7m] offset 15m)",
    "calls > 20 and on (cause) calls offset 10m < 100",
    'calls{cause="busy"} unless on (instance) calls{cause="error"} > 5',
    "gauge > bool 1 or calls < 3",
    "avg by (instance) (calls) / on (instance) group_right () calls",
    "calls * on (instance) group_left (zone) info",
    "max by (cause) (calls) - min by (cause) (calls) + count by (cause) (calls)",
    "sgn(gauge - 1) * sqrt(2 * clamp_min(gauge * ln(clamp_min(gauge, 1e-9)) - gauge + 1, 0))",
    "clamp(gauge, 0.5, 1.5) + clamp_max(gauge, 1) - round(gauge, 0.5) + gauge % 2 - -gauge ^ 2",
    "absent(gauge) or absent_over_time(calls[3m]) * 2",
    'absent(nothing{a="b", c!="d"})',
    "hour() * 60 + minute() + 1000 * day_of_week() + month() + day_of_month() + year()",
    "time() - timestamp(calls)",
    "vector(scalar(sum(gauge)) + 1)",
    'label_replace(calls, "short", "$1", "cause", "(.).*")',
    _RECORDING,
    f"last_over_time({_RECORDING}[30m]) - {_RECORDING} offset 20m",
    f"avg_over_time({_RECORDING}[1h])",
)
_OWN_PAST = """
groups:
  - name: g
    rules:
      - record: x:expected:mean
        expr: |
          0.5 * (x:actual:sum offset 1d) + 0.5 * x:expected:mean offset 1d
          or x:actual:sum offset 1d
      - record: x:actual:sum
        expr: sum by (job) (calls) > 3
      - alert: Unexpected
        expr: x:actual:sum > 2 * x:expected:mean
        for: 2m
"""


def _series() -> Iterator[Series]:
    """Counters with a restart, one born late, one gone and back; a gauge with nothing at times."""
    rng = np.random.default_rng(7)
    times = EPOCH + MINUTE * np.arange(_MINUTES + 1, dtype=np.int64)
    for number, (instance, cause) in enumerate(
        (instance, cause) for instance in ("a", "b") for cause in ("busy", "error", "broken")
    ):
        values = np.cumsum(rng.poisson(0.3 * (number + 1), times.size)).astype(np.float64)
        if cause == "error":
            values[150:] -= values[150]
        there = np.ones(times.size, np.bool_)
        there[: 100 * (cause == "broken")] = False
        if instance == "b":
            there[200:207] = False
        gone = ~there & np.concatenate(([False], there[:-1]))
        values[gone] = STALE
        labels = {"__name__": "calls", "job": "j", "instance": instance, "cause": cause}
        yield Series(labels, times[there | gone], values[there | gone])
    there = rng.random(times.size) < 0.8
    gone = ~there & np.concatenate(([False], there[:-1]))
    gauge = np.where(gone, STALE, rng.gamma(2.0, 0.7, times.size))
    gauge[there & (np.arange(times.size) % 17 == 0)] = 0.0
    yield Series({"__name__": "gauge", "job": "j"}, times[there | gone], gauge[there | gone])
    for instance in ("a", "b"):
        labels = {"__name__": "info", "instance": instance, "zone": f"z{instance}"}
        yield Series(labels, times, np.ones(times.size))


def _fill(engine: Engine) -> None:
    engine.write(_series(), _SCRAPES)
    values = np.random.default_rng(8).random(_SLOW.count)
    engine.write([Series({"__name__": _RECORDING, "job": "j"}, _SLOW.times, values)], _SLOW)


def _by_labels(results: list[Result]) -> dict[tuple[tuple[str, str], ...], Result]:
    return {tuple(sorted(one.labels.items())): one for one in results}


@pytest.mark.prometheus
def test_every_value_is_prometheus_s(tmp_path: Path) -> None:
    """Values, gaps and labels of expressions of every sort are those of a real Prometheus."""
    fast = in_numpy(EPOCH, _MINUTES)
    _fill(fast)
    with Prometheus(tmp_path) as real:
        _fill(real)
        for expr in _EXPRESSIONS:
            there, here = (_by_labels(engine.evaluate(expr, _MOMENTS)) for engine in (real, fast))
            assert there.keys() == here.keys(), expr
            assert there, f"{expr} is nothing at all"
            for labels, one in there.items():
                assert one.at.tolist() == here[labels].at.tolist(), (expr, labels)
                np.testing.assert_allclose(
                    here[labels].values, one.values, rtol=1e-9, atol=1e-9, err_msg=expr
                )


@pytest.mark.prometheus
def test_rules_that_read_their_own_past_agree(tmp_path: Path) -> None:
    """A recording that feeds on itself of a day ago is the same in both, and remembers."""
    file = tmp_path / "own.rules.yml"
    file.write_text(_OWN_PAST)
    stages = order.stages(rules.load(file), ("calls",))
    days = 3
    minutes = days * 24 * 60
    times = EPOCH + MINUTE * np.arange(minutes + 1, dtype=np.int64)
    of_day = np.repeat([4.0, 8.0, 40.0], 24 * 60)
    # Nothing at the end of a day and the begin of the next, so that it ends between two spans.
    of_day[1436:1444] = 0.0
    series = Series({"__name__": "calls", "job": "j"}, times, np.append(of_day, 40.0))
    grid = Grid(EPOCH, MINUTE, minutes + 1)
    asked = Grid(EPOCH + 20_000, 30 * MINUTE, minutes // 30)
    fast = in_numpy(EPOCH, minutes)
    with Prometheus(tmp_path / "server") as real:
        alarms, values = [], []
        for engine in (fast, real):
            engine.write([series], grid)
            alarms.append(replay.replay(engine, stages, EPOCH, minutes))
            (found,) = engine.evaluate("x:expected:mean", asked)
            values.append((found.at.tolist(), found.values.tolist()))
    assert values[0] == values[1]
    # On the third day half of the second's and half of the first's, as it remembers it.
    assert values[0][1][-1] == 0.5 * 8 + 0.5 * 4
    # Nothing is expected in the four minutes that were empty the day before, then `for` two.
    assert [alarm.start for alarm in alarms[0]] == [2 * 24 * 60 + 4 + 2.333]
    same, together = agreement(*alarms)
    assert same == together == 1


@pytest.mark.parametrize("expr", ["x @ 5", "histogram_quantile(0.9, x)", "topk(1, x)"])
def test_what_it_does_not_know_it_refuses(expr: str) -> None:
    """An expression that it cannot evaluate is an error, not an empty answer."""
    evaluator = Evaluator(EPOCH, EPOCH + MINUTE)
    with pytest.raises(ValueError, match=r"no (@|function|aggregation)"):
        evaluator.evaluate(expr, Grid(EPOCH, MINUTE, 1))


def test_two_series_at_a_time_are_an_error() -> None:
    """Where Prometheus would say that labels are not unique, so does the evaluator."""
    fast = in_numpy(EPOCH, _MINUTES)
    _fill(fast)
    with pytest.raises(ValueError, match="two series at a time"):
        fast.evaluate("calls * on (instance) info", _MOMENTS)


@pytest.mark.parametrize(
    ("expr", "refused"),
    [("x:a:b offset 1h", True), ("avg_over_time(x:a:b[1d:1h] offset 1d)", False)],
)
def test_own_past_is_at_least_a_day_ago(tmp_path: Path, expr: str, *, refused: bool) -> None:
    """A rule that would have to be evaluated minute by minute is refused, one by days is not."""
    file = tmp_path / "own.rules.yml"
    file.write_text(
        f"groups: [{{name: g, rules: [{{record: 'x:a:b', expr: '{expr} or calls'}},"
        " {alert: A, expr: 'x:a:b > 1'}]}]"
    )
    loaded = rules.load(file)
    if refused:
        with pytest.raises(ValueError, match="read themselves at once"):
            order.stages(loaded, ("calls",))
    else:
        assert [stage.lag for stage in order.stages(loaded, ("calls",))] == [86_400_000, None]


def test_rules_come_after_those_they_read_and_needless_ones_not_at_all(tmp_path: Path) -> None:
    """Recordings are in order, those that no alert needs and alerts on the unknown left out."""
    file = tmp_path / "some.rules.yml"
    file.write_text(
        "groups: [{name: g, rules: ["
        "{record: 'b:x:y', expr: 'a:x:y + 1'}, {record: 'unused:x:y', expr: 'a:x:y'},"
        "{record: 'a:x:y', expr: 'sum(up)'}, {alert: Known, expr: 'b:x:y > 1'},"
        "{alert: Unknown, expr: 'b:x:y > 1 and other'}]}]"
    )
    found = order.stages(rules.load(file), ("up",))
    assert [rule.name for stage in found for rule in stage.rules] == ["a:x:y", "b:x:y", "Known"]
    assert order.replayed(found) == ("Known",)


def test_agreement_is_of_labels_and_minutes() -> None:
    """An alarm that one of two replays has a minute longer is two alarms, none of them the same."""
    alarm = Alarm({"alertname": "A"}, 3.0, 9.0)
    longer = Alarm({"alertname": "A"}, 3.0, 10.0)
    other = Alarm({"alertname": "B"}, 3.0, None)
    assert agreement([alarm, other], [longer, other]) == (1, 3)

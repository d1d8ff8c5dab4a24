"""The rules at sites that open and close, deploy, flap and share a job: one mechanism each."""

import json
from collections.abc import Collection, Hashable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from math import nan
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from bandwidth_voice_exporter.alerts import rules
from bandwidth_voice_exporter.alerts.wallclock import SHIFT
from testkit import prometheus as prom
from testkit.alert_cases import series, shipped
from testkit.alert_cases.model import Values, counter, level
from testkit.alert_cases.promtool import closed
from testkit.alert_cases.series import named
from testkit.alert_cases.settings import CONFIG
from testkit.alert_cases.shipped import Rule

pytestmark = pytest.mark.prometheus

_CALLS = "direction:bandwidth_voice_calls"
_RATIO = "direction_fault_domain:bandwidth_voice_failure_ratio"
_SPIKE = "BandwidthVoiceApplicationFailureSpike"
_SILENT, _ASKS = "BandwidthVoiceCallsSilent", "BandwidthVoiceCallsSilentSinceOpening"
_OUTBOUND = {"direction": "outbound"}
_DAY = 24  # hours, where a step is an hour
_WEEK = 7 * _DAY * 12  # steps of five minutes
_HALF_HOURS = 7 * _DAY * 2

Expected = Mapping[tuple[str, int], Sequence[float]]  # values of an expression at a minute


def named_so(rule: Mapping[str, Any]) -> str:
    """The name of a recording, or of an alert's condition."""
    read = msgspec.convert(rule, Rule)
    return read.condition or read.record or ""


def needed(
    groups: Sequence[Mapping[str, Any]], names: Collection[str], given: Collection[str]
) -> list[Any]:
    """The groups with the rules of these names and of all that they read, but what is given."""
    by_name = {named_so(rule): msgspec.convert(rule, Rule) for g in groups for rule in g["rules"]}
    found: set[str] = set()
    waiting = {*names}
    while waiting:
        found |= waiting
        read = set().union(*(by_name[name].needs for name in waiting if name in by_name))
        waiting = read - found - {*given}
    kept = [
        {**group, "rules": [rule for rule in group["rules"] if named_so(rule) in found]}
        for group in groups
    ]
    return [group for group in kept if group["rules"]]


@cache
def generated(**settings: Hashable) -> list[Any]:
    """The groups of the rules with some settings of a site."""
    text = rules.text(msgspec.structs.replace(CONFIG, **settings))
    groups: list[Any] = yaml.load(text, yaml.CSafeLoader)["groups"]
    return groups


def check(
    directory: Path,
    names: Collection[str],
    given: Mapping[str, Values],
    expected: Expected,
    *,
    step: int = 1,
    **settings: Hashable,
) -> None:
    """Have promtool evaluate a site's rules over series, a sample each ``step`` minutes."""
    shown = {name.partition("{")[0] for name in given}
    groups = needed(generated(**settings), names, shown)
    rules = directory / "rules.json"
    rules.write_text(json.dumps({"groups": groups}))
    test = {
        "interval": f"{step}m",
        "input_series": [
            {"series": name, "values": " ".join("_" if v is None else f"{v:.12g}" for v in values)}
            for name, values in given.items()
        ],
        "promql_expr_test": [
            {
                "expr": f"sort(round(sum by (env) ({expr}), 0.001))",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": value} for value in values],
            }
            for (expr, minute), values in expected.items()
        ],
    }
    document = {
        "rule_files": [rules.name],
        "evaluation_interval": f"{step}m",
        "group_eval_order": [group["name"] for group in groups],
        "tests": [test],
    }
    file = directory / "test.json"
    file.write_text(json.dumps(document))
    result = prom.promtool("test", "rules", str(file), timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


def firing(alert: str, matchers: str = "") -> str:
    """Whether a condition's alert fires: 1 if it does, and nothing if not."""
    rule = shipped.alerts()[alert]
    of = f'alertname="{rule.alert}",severity="{rule.labels["severity"]}"'
    return f'ALERTS{{{of},alertstate="firing"{matchers}}}'


def reference(steps: int, rate: float, since: int = 0) -> dict[str, Values]:
    """Series of a reference that expects so many calls a minute from a step on."""
    return {
        named(f"{_CALLS}:{name}", **_OUTBOUND): level((since, 0), (steps - since, value))
        for name, value in (
            ("usual1m", rate),
            ("open", 1),
            ("today", 1),
            ("lastweek15m", 15 * rate),
        )
    }


def of_week(name: str, *spells: tuple[int, float]) -> dict[str, Values]:
    """A series of the reference, in steps of five minutes."""
    return {named(f"{_CALLS}:{name}", **_OUTBOUND): level(*spells)}


def test_silence_since_the_opening_is_told(tmp_path: Path) -> None:
    """1: after a closed day, the calls that do not come from the opening on are asked for."""
    given = {series.calls("outbound", "hangup"): [100.0] * 200, **reference(200, 4, since=100)}
    expected = {(firing(_ASKS), 90): [], (firing(_ASKS), 110): [1], (firing(_SILENT), 150): []}
    check(tmp_path, [_ASKS, _SILENT], given, expected)


def test_page_lasts_as_long_as_the_silence(tmp_path: Path) -> None:
    """2, 3: at 60 calls a minute silence pages within five minutes, and for hours until its end."""
    given = {
        series.calls("outbound", "hangup"): counter((60, 60), (240, 0), (40, 60)),
        **reference(341, 60),
    }
    at = {65: [1], 180: [1], 295: [1], 320: []}
    check(tmp_path, [_SILENT], given, {(firing(_SILENT), m): v for m, v in at.items()})


@pytest.mark.parametrize(
    ("ended", "held_before", "learned"), [(50, 0, 75), (10, 0, 100), (10, 1, 55), (200, 0, 150)]
)
def test_outage_is_not_learned(
    tmp_path: Path, ended: float, held_before: float, learned: float
) -> None:
    """2: a quarter far under its reference keeps it for a week; all else is half learned."""
    held = f"{_CALLS}:held15m"
    given: dict[str, Values] = {
        **of_week("lastweek15m", (_HALF_HOURS + 3, 100)),
        **of_week("ended15m", (_HALF_HOURS, 10 if held_before else 100), (3, ended)),
    }
    minute = 30 * (_HALF_HOURS + 1)
    expected = {
        (f"{_CALLS}:learned15m", minute): [learned],
        (held, minute): [float(ended < 30 and not held_before)],
    }
    check(tmp_path, [f"{_CALLS}:learned15m"], given, expected, step=30)


def test_first_calls_ever_are_no_neighbours(tmp_path: Path) -> None:
    """Quarters in which Prometheus was away have neighbours; those before the first one do not."""
    first, gap = 36, 48  # steps; the gap begins later
    learned: Values = [
        *([None] * first),
        *([100.0] * gap),
        *([None] * 6),
        *([100.0] * (_WEEK - first - gap - 6 + 120)),
    ]
    last_week = f"{_CALLS}:lastweek15m"
    before, within = 5 * (_WEEK + first - 6), 5 * (_WEEK + first + gap + 3)
    expected: Expected = {(last_week, before): [], (last_week, within): [100]}
    given = {named(f"{_CALLS}:learned15m", **_OUTBOUND): learned}
    check(tmp_path, [last_week], given, expected, step=5)


def test_nothing_is_expected_after_a_hard_closing(tmp_path: Path) -> None:
    """5: calls are expected until shortly before a closing, and none from then on."""
    closing = 120  # steps
    open_then_not = ((closing, 150.0), (_WEEK - closing, 0.0))
    given = {
        **of_week("learned15m", *open_then_not),
        **of_week("learned30m", *open_then_not),
    }
    usual = f"{_CALLS}:usual1m > bool 0"
    begin = 5 * _WEEK
    given = {name: [*values, *[0.0] * 200] for name, values in given.items()}
    expected = {
        (usual, begin + 300): [1.0],
        (usual, begin + 5 * closing - 25): [1.0],
        **{(usual, begin + 5 * closing + after): [0.0] for after in (0, 10, 20, 30, 40)},
    }
    check(tmp_path, [f"{_CALLS}:usual1m"], given, expected, step=5)


def test_closed_days_say_nothing_of_a_share(tmp_path: Path) -> None:
    """4: where four days of seven are empty, the share expected is that of the others."""
    labels = {**_OUTBOUND, "fault_domain": "application"}
    days = [1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0]
    given = {
        named(f"{_CALLS}:increase1h", **_OUTBOUND): [
            100.0 * day for day in days for _ in range(_DAY)
        ],
        named("direction_fault_domain:bandwidth_voice_calls:increase1h", **labels): [
            1.0 * day for day in days for _ in range(_DAY)
        ],
    }
    expected = {(f"{_RATIO}:median7d > bool 0.02", 60 * (11 * _DAY)): [0.0]}
    check(tmp_path, [f"{_RATIO}:median7d"], given, expected, step=60)


def test_first_calls_to_end_are_the_short_ones(tmp_path: Path) -> None:
    """6: after an opening the calls that nobody answers end first, and that is no shift."""
    alert = "BandwidthVoiceAsrLow"
    labels = {**_OUTBOUND, "fault_domain": "user"}
    given = {
        series.calls("outbound", "timeout", answered=False): counter((30, 0), (60, 30)),
        series.calls("outbound", "hangup"): counter((30, 0), (60, 10)),
        **{
            named(f"{_RATIO}:{name}", **labels): level((91, value))
            for name, value in (
                ("usual", 0.1),
                *((f"spread{w}", 1.0) for w in ("5m", "15m", "1h", "6h")),
            )
        },
    }
    check(tmp_path, [alert], given, {(firing(alert), 45): [], (firing(alert), 80): [1]})


def test_undocumented_causes_are_a_share(tmp_path: Path) -> None:
    """7: calls that end with no undocumented cause count as none of them, not as unknown."""
    counted = "direction_fault_domain:bandwidth_voice_calls:increase5m"
    given = {series.calls("outbound", "hangup"): counter((20, 5))}
    expected = {(f'{counted}{{fault_domain="unclassified"}}', 10): [0.0]}
    check(tmp_path, [counted], given, expected)


def test_hours_without_calls_have_no_setup_time(tmp_path: Path) -> None:
    """9: the usual setup time is that of the hours with calls, however many had none."""
    setup = "direction:bandwidth_voice_call_setup_seconds"
    hours = [6.0 if 9 <= hour % _DAY < 18 else nan for hour in range(9 * _DAY)]
    given = {
        named(f"{setup}:mean1h", **_OUTBOUND): hours,
        named("direction:bandwidth_voice_answered_calls:increase1h", **_OUTBOUND): [9.0]
        * len(hours),
    }
    check(
        tmp_path,
        [f"{setup}:median7d"],
        given,
        {(f"{setup}:median7d", 60 * 8 * _DAY): [6.0]},
        step=60,
    )


def test_empty_days_have_no_talk_time(tmp_path: Path) -> None:
    """9: the usual talk time is that of the days with calls, though most of the week had none."""
    talk = "direction:bandwidth_voice_call_talk_seconds"
    calls = [
        50.0 * (day % 7 in {1, 3, 5} and 9 <= hour < 18)
        for day in range(10)
        for hour in range(_DAY)
    ]
    given = {
        named(f"{talk}:increase1h", **_OUTBOUND): [180 * number for number in calls],
        named("direction:bandwidth_voice_answered_calls:increase1h", **_OUTBOUND): calls,
    }
    expected = {(f"{talk}:median7d", 60 * 9 * _DAY): [180.0]}
    check(tmp_path, [f"{talk}:median7d"], given, expected, step=60)


def test_empty_hours_have_no_share(tmp_path: Path) -> None:
    """9: the median hour of a day is one of those with calls, though most of the day had none."""
    alert = "BandwidthVoiceShortCallShareHigh"
    calls = [20.0 * (9 <= hour % _DAY < 18) for hour in range(3 * _DAY)]
    given = {
        named("direction:bandwidth_voice_short_calls:increase1h", **_OUTBOUND): [
            0.3 * number for number in calls
        ],
        named("direction:bandwidth_voice_answered_calls:increase1h", **_OUTBOUND): calls,
    }
    check(tmp_path, [alert], given, {(firing(alert), 60 * (2 * _DAY + 20)): [1]}, step=60)


def test_what_flaps_is_one_page(tmp_path: Path) -> None:
    """10: failures of five minutes in fifteen are a page that lasts."""
    labels = {**_OUTBOUND, "fault_domain": "application"}
    usual, flaps = (30, 0.1), ((5, 12), (10, 0.1)) * 6
    given = {
        series.calls("outbound", "callback-error"): counter(usual, *flaps),
        series.calls("outbound", "hangup"): counter((30, 20), *(((5, 8), (10, 20)) * 6)),
        **{
            named(f"{_RATIO}:{name}", **labels): level((121, value))
            for name, value in (
                ("usual", 0.005),
                *((f"spread{w}", 1.0) for w in ("5m", "15m", "1h")),
            )
        },
    }
    check(tmp_path, [_SPIKE], given, {(firing(_SPIKE), m): [1] for m in range(36, 111, 2)})


def failing(bad: Values, good: Values) -> dict[str, Values]:
    """Calls that fail because of the application, and the others, beside a share of a week."""
    labels = {**_OUTBOUND, "fault_domain": "application"}
    usual = {"usual": 0.005, **{f"spread{window}": 1.0 for window in ("5m", "15m", "1h")}}
    return {
        series.calls("outbound", "callback-error"): bad,
        series.calls("outbound", "hangup"): good,
        **{
            named(f"{_RATIO}:{name}", **labels): level((len(bad), value))
            for name, value in usual.items()
        },
    }


def test_page_of_few_calls_is_not_over_between_two_of_them(tmp_path: Path) -> None:
    """10: with two failures in a quarter of an hour, a quarter of an hour without one is no end."""
    bad = counter((60, 0), (15, 1), *(((14, 0), (1, 2), (5, 0)) * 8), (90, 0))
    given = failing(bad, counter((len(bad) - 1, 0.8)))
    expected = {(firing(_SPIKE), m): [1] for m in range(70, 225, 5)}
    check(tmp_path, [_SPIKE], given, {**expected, (firing(_SPIKE), 300): []})


def test_page_ends_soon_after_a_closing(tmp_path: Path) -> None:
    """6: where many calls came, none in five minutes are the end, of the failures as of the day."""
    bad = counter((60, 0), (30, 10), (40, 0))
    given = failing(bad, counter((60, 20), (30, 10), (39, 0)))
    expected: dict[tuple[str, int], list[float]] = {(firing(_SPIKE), 92): [1]}
    check(tmp_path, [_SPIKE], given, {**expected, (firing(_SPIKE), 90 + 15): []})


def test_page_that_is_over_does_not_come_back_for_a_few_failures(tmp_path: Path) -> None:
    """10: failures too few for a page begin none, even where there was a page an hour ago."""
    bad = counter((60, 0), (15, 10), (45, 0), (5, 1), (60, 0))
    given = failing(bad, counter((len(bad) - 1, 20)))
    expected: dict[tuple[str, int], list[float]] = {
        (firing(_SPIKE), m): [] for m in range(100, 180)
    }
    check(tmp_path, [_SPIKE], given, {**expected, (firing(_SPIKE), 72): [1]})


@pytest.mark.parametrize(("left", "minutes"), [(0.1, 3), (0.25, 5)])
def test_loss_is_told_within_minutes(tmp_path: Path, left: float, minutes: int) -> None:
    """3: calls that talk go on ending: so many fewer than in the hour before are told at once."""
    alert, rate = "BandwidthVoiceCallVolumeLow", 30
    begin = 200
    given = {
        series.calls("outbound", "hangup"): counter((begin, rate), (20, left * rate)),
        named("up", instance=series.INSTANCE): [1.0] * (begin + 21),
        **reference(begin + 21, rate),
    }
    expected: Expected = {
        (firing(alert), begin - 1): [],
        (firing(alert), begin + minutes): [1],
    }
    check(tmp_path, [alert], given, expected)


def test_loss_of_few_calls_is_told_after_hours(tmp_path: Path) -> None:
    """11: of a call in two minutes, three quarters that are lost are known within three hours."""
    alert, begin, lasts = "BandwidthVoiceCallVolumeLow", 420, 240
    given = {
        series.calls("outbound", "hangup"): counter((begin, 0.5), (lasts, 0.125), (120, 0.5)),
        named("up", instance=series.INSTANCE): [1.0] * (begin + lasts + 121),
        **reference(begin + lasts + 121, 0.5),
    }
    at: dict[int, list[float]] = {begin: [], begin + 100: [], begin + 175: [1], begin + 235: [1]}
    expected = {(firing(alert), minute): told for minute, told in at.items()}
    check(tmp_path, [alert], given, {**expected, (firing(alert), begin + lasts + 60): []})


@pytest.mark.parametrize(("rate", "told"), [(60, []), (600, [1])])
def test_campaign_is_no_surge(tmp_path: Path, rate: float, told: list[float]) -> None:
    """8: people begin a campaign when they like; far more calls than in any hour are a surge."""
    alert = "BandwidthVoiceCallSurge"
    days = _WEEK - 30  # steps of five minutes
    campaign = counter((60, 5 * 60), (days, 0), (6, 5 * rate))
    given = {
        series.calls("outbound", "hangup"): campaign,
        **of_week("learned30m", (_WEEK + len(campaign), 1)),
    }
    expected: Expected = {(firing(alert), 5 * (len(campaign) - 1)): told}
    check(tmp_path, [alert], given, expected, step=5, switched_by_hand=("outbound",))


def test_silence_goes_on_where_a_few_calls_come(tmp_path: Path) -> None:
    """2: after a silence a fifth of the calls is no end, and half of them is."""
    given = {
        series.calls("outbound", "hangup"): counter((60, 20), (30, 0), (150, 4), (60, 12)),
        **reference(301, 20),
    }
    expected = {(firing(_SILENT), m): [1] for m in range(65, 240, 5)}
    check(tmp_path, [_SILENT], given, {**expected, (firing(_SILENT), 265): []})


def test_direction_switched_by_hand_is_asked_for_after_hours(tmp_path: Path) -> None:
    """2: what people switch is a ticket after four silent hours, never a page, until calls come."""
    alert = f"{_SILENT}ByHand"
    given = {
        series.calls("outbound", "hangup"): counter((60, 4), (300, 0), (60, 4)),
        **reference(421, 4),
    }
    expected: Expected = {
        **{(firing(alert), m): [] for m in (65, 180, 295, 400)},
        **{(firing(alert), m): [1] for m in (305, 355)},
        **{(firing(_SILENT), m): [] for m in range(60, 420, 20)},
    }
    check(tmp_path, [alert, _SILENT], given, expected, switched_by_hand=("outbound",))


def test_silence_of_a_moment_is_no_page(tmp_path: Path) -> None:
    """Calls that come again before two evaluations in a row missed them were no silence."""
    given = {
        series.calls("outbound", "hangup"): counter((60, 5), (3 + closed(), 0), (60, 5)),
        **reference(124, 4.2),
    }
    none: Expected = {(firing(_SILENT), m): [] for m in range(60, 80)}
    check(tmp_path, [_SILENT], given, none)


def test_silence_that_is_over_does_not_come_back(tmp_path: Path) -> None:
    """At night, half an hour after a silence, five minutes without a call are none."""
    night = ((1, 2), (6, 0)) * 5  # two calls in seven minutes
    given = {
        series.calls("outbound", "hangup"): counter((60, 1), (60, 0), *night, (1, 2), (30, 0)),
        **reference(187, 0.4),
    }
    expected: Expected = {
        (firing(_SILENT), 118): [1],
        **{(firing(_SILENT), m): [] for m in range(140, 165)},
    }
    check(tmp_path, [_SILENT], given, expected)


def test_page_lasts_through_a_loss(tmp_path: Path) -> None:
    """2: a silence in which two or three calls of eight then come is one page."""
    loss = ((10, 2), (10, 3), (10, 4)) * 5
    given = {
        series.calls("outbound", "hangup"): counter((60, 8), (15, 0), *loss, (40, 8)),
        **reference(266, 8),
    }
    expected = {(firing(_SILENT), m): [1] for m in range(65, 225, 5)}
    check(tmp_path, [_SILENT], given, {**expected, (firing(_SILENT), 250): []})


def test_calls_that_talk_hide_no_silence(tmp_path: Path) -> None:
    """3: at five calls a minute a silence is told while those that talk still end."""
    alert = "BandwidthVoiceCallVolumeLow"
    ending = (3, 2, 2, 1, 1, 1, 0, 1, 0, 0)
    given = {
        series.calls("outbound", "hangup"): counter((200, 5), *((1, n) for n in ending)),
        named("up", instance=series.INSTANCE): [1.0] * 211,
        **reference(211, 5),
    }
    check(tmp_path, [alert], given, {(firing(alert), 199): [], (firing(alert), 209): [1]})


def test_extrapolated_minutes_are_no_calls(tmp_path: Path) -> None:
    """Four failures that scrapes saw in five minutes are four, not the five of `increase`."""
    alert = "BandwidthVoiceSingleApplicationFailureSpike"
    ratio = "application_direction:bandwidth_voice_application_failure_ratio"
    labels = {"application": "newcomer", **_OUTBOUND}
    given = {
        series.calls("outbound", "callback-error", application="newcomer"): counter(
            (60, 0), (2, 1), (1, 2 + closed()), (20, 0)
        ),
        series.calls("outbound", "hangup", application="newcomer"): counter((83, 2.4)),
        **{
            named(f"{ratio}:{name}", **labels): level((84, value))
            for name, value in (
                ("median7d", 0.0078),
                *((f"spread{w}", 1.0) for w in ("5m", "15m", "1h", "6h")),
            )
        },
    }
    none: Expected = {(firing(alert), m): [] for m in range(60, 83)}
    check(tmp_path, [alert], given, none)


@pytest.mark.parametrize(("minutes", "told"), [(300, []), (0, [1])])
def test_what_people_do_may_change_in_hours(
    tmp_path: Path, minutes: int, told: list[float]
) -> None:
    """8: what callers do may grow for hours, and is told when it changes at once."""
    alert = "BandwidthVoiceUserCauseShift"
    labels = {**_OUTBOUND, "fault_domain": "user", "cause": "timeout"}
    ratio = "direction_cause:bandwidth_voice_failure_ratio"
    grows = [(20, 1 + 3.0 * place / minutes) for place in range(0, minutes, 20)]
    given = {
        series.calls("outbound", "timeout", answered=False): counter((240, 1), *grows, (60, 4)),
        series.calls("outbound", "hangup"): counter((300 + minutes, 9)),
        **{
            named(f"{ratio}:{name}", **labels): level((301 + minutes, value))
            for name, value in (
                ("usual", 0.1),
                *((f"spread{w}", 1.0) for w in ("5m", "15m", "1h", "6h")),
            )
        },
    }
    check(tmp_path, [alert], given, {(firing(alert), 280 + minutes): told})


@pytest.mark.parametrize(
    ("count", "labels", "usual"),
    [
        ("direction_cause", {"fault_domain": "user", "cause": "timeout"}, 0.245),
        ("direction_fault_domain", {"fault_domain": "user"}, 0.245),
        ("direction_fault_domain", {"fault_domain": "application"}, 0.15),
    ],
)
def test_people_of_the_night_have_habits_of_their_own(
    tmp_path: Path, count: str, labels: Mapping[str, str], usual: float
) -> None:
    """8: a batch at night may have two and a half times the day's share that people answer for."""
    series_of = {**_OUTBOUND, **labels}
    ratio = f"{count}:bandwidth_voice_failure_ratio"
    steps = _HALF_HOURS + 4
    given = {
        named(f"{ratio}:median7d", **series_of): level((steps, 0.1)),
        named(f"{count}:bandwidth_voice_calls:increase1h", **series_of): level((steps, 120)),
        named(f"{_CALLS}:increase1h", **_OUTBOUND): level((steps, 400)),
    }
    expected: Expected = {(f"{ratio}:usual", 30 * (steps - 1)): [usual]}
    check(tmp_path, [f"{ratio}:usual"], given, expected, step=30)


def test_calls_after_an_outage_are_short(tmp_path: Path) -> None:
    """The hour after an outage lacks the calls that would talk for long: no talk time collapsed."""
    alert, minutes = "BandwidthVoiceAcdCollapsed", 170
    talk = named(
        "bandwidth_voice_call_talk_seconds_total",
        application=series.APPLICATION,
        instance=series.INSTANCE,
        **_OUTBOUND,
    )
    ratio = {**_OUTBOUND, "fault_domain": "bandwidth"}
    given = {
        named("direction:bandwidth_voice_call_talk_seconds:median7d", **_OUTBOUND): level(
            (minutes, 180)
        ),
        named(f"{_RATIO}:usual", **ratio): level((minutes, 0.005)),
        talk: counter((minutes, 300)),
        series.calls("outbound", "hangup"): counter((minutes, 6)),
        series.calls("outbound", "error", answered=False): counter((10, 0), (20, 6), (140, 0)),
    }
    expected: Expected = {(firing(alert), m): v for m, v in {80: [], 110: [], 165: [1]}.items()}
    check(tmp_path, [alert], given, expected)


def test_new_application_that_fails_is_told(tmp_path: Path) -> None:
    """11: an application without a past is judged by the absolute share."""
    alert = "BandwidthVoiceSingleApplicationFailureSpike"
    given = {
        series.calls("inbound", "callback-error", application="newcomer"): counter((40, 0.6)),
        series.calls("inbound", "hangup", application="newcomer"): counter((40, 0.4)),
        named("direction:bandwidth_voice_baseline_ready:bool", direction="inbound"): level((41, 1)),
    }
    check(tmp_path, [alert], given, {(firing(alert, ',application="newcomer"'), 35): [1]})


_FIRST = (
    ("BandwidthVoiceAccountLimitReached", "account-limit"),
    ("BandwidthVoiceNewCause", "sudden-silence"),
)


@pytest.mark.parametrize(("alert", "cause"), _FIRST)
def test_counters_that_move_are_no_first_events(tmp_path: Path, alert: str, cause: str) -> None:
    """12: under a new instance's name, persisted counters are not told as the first calls."""
    old = series.calls("outbound", cause, answered=False)
    new = old.replace(series.INSTANCE, "another:10060")
    given: dict[str, Values] = {
        old: [40.0] * 60,
        new: [*[None] * 60, *[40.0] * 60],
        named("up", instance=series.INSTANCE): [1.0] * 60,
        named("up", instance="another:10060"): [*[None] * 60, *[1.0] * 60],
    }
    check(tmp_path, [alert], given, {(firing(alert), minute): [] for minute in (61, 65, 72, 90)})


@pytest.mark.parametrize(("alert", "cause"), _FIRST)
def test_counters_that_were_there_are_no_first_events(
    tmp_path: Path, alert: str, cause: str
) -> None:
    """12: what was counted before Prometheus first came is not told; the next call is."""
    first, next_call = 30, 60
    given: dict[str, Values] = {
        series.calls("outbound", cause, answered=False): [
            *[None] * first,
            *[40.0] * (next_call - first),
            *[41.0] * 20,
        ],
        named("up", instance=series.INSTANCE): [*[None] * first, *[1.0] * 50],
    }
    quiet: Expected = {(firing(alert), minute): [] for minute in range(first, next_call)}
    check(tmp_path, [alert], given, {**quiet, (firing(alert), next_call): [1]})


def test_environments_are_not_added_up(tmp_path: Path) -> None:
    """13: with a label to group by, what fails in staging is not told of production."""
    given = {
        series.calls("outbound", cause).replace("{", f'{{env="{env}",', 1): counter((40, rate))
        for env, cause, rate in (
            ("production", "hangup", 4),
            ("production", "callback-error", 0),
            ("staging", "hangup", 0),
            ("staging", "callback-error", 4),
        )
    }
    staging = ',env="staging"'
    expected = {
        (firing(_SPIKE, ',env="production"'), 35): [],
        (f"sum without (env) ({firing(_SPIKE, staging)})", 35): [1],
    }
    check(tmp_path, [_SPIKE], given, expected, group_labels=("env",))


def reconciled(cause: str, values: Values) -> dict[str, Values]:
    """Calls that no webhook told of, by their cause: those counted, and that they are such."""
    told = series.calls("outbound", cause, answered=False)
    listed = told.replace("bandwidth_voice_calls", "bandwidth_voice_reconciled_calls")
    return {told: [100.0 + (value or 0) for value in values], listed: values}


def test_calls_found_later_are_no_failures_of_now(tmp_path: Path) -> None:
    """Sixty failed calls that no webhook told of, counted at once, are in no share and no alert."""
    burst = counter((30, 0), (1, 60), (50, 0))
    given = {
        **reconciled("callback-error", burst),
        series.calls("outbound", "hangup"): counter((81, 2)),
    }
    counted = f"direction_fault_domain{_CALLS.removeprefix('direction')}:increase"
    failed = '{fault_domain="application"}'
    expected: Expected = {
        **{(firing(_SPIKE), minute): [] for minute in (32, 34, 45)},
        **{(f"{counted}{w}{failed}", m): [0.0] for w in ("5m", "15m", "1h") for m in (31, 33, 60)},
        (f"{_CALLS}:ended15m", 40): [30.0],
    }
    check(tmp_path, [_SPIKE, f"{_CALLS}:ended15m"], given, expected)


def test_calls_found_later_are_not_just_now(tmp_path: Path) -> None:
    """A call refused at the account's limits, which no webhook told of, is not told as new."""
    alert = "BandwidthVoiceAccountLimitReached"
    given = reconciled("account-limit", counter((30, 0), (1, 1), (30, 0)))
    up = {named("up", instance=series.INSTANCE): [1.0] * 62}
    check(tmp_path, [alert], {**given, **up}, {(firing(alert), m): [] for m in (31, 33, 45)})


def test_calls_found_later_mute_alerts_on_lengths(tmp_path: Path) -> None:
    """While an hour holds calls of another time, talk times are not compared; then they are."""
    alert, minutes = "BandwidthVoiceAcdCollapsed", 150
    usual = {
        named("direction:bandwidth_voice_call_talk_seconds:median7d", **_OUTBOUND): level(
            (minutes, 180)
        )
    }
    talk = named(
        "bandwidth_voice_call_talk_seconds_total",
        application=series.APPLICATION,
        instance=series.INSTANCE,
        **_OUTBOUND,
    )
    given = {
        **usual,
        talk: counter((minutes, 60)),
        series.calls("outbound", "hangup"): counter((minutes, 6)),
        **reconciled("hangup", counter((60, 0), (1, 60), (minutes - 61, 0))),
    }
    expected: Expected = {(firing(alert), m): v for m, v in {59: [1], 90: [], 140: [1]}.items()}
    check(tmp_path, [alert], given, expected)


def of_hours(begin: int, end: int) -> list[float]:
    """Calls of a quarter in each half hour of a day, between two hours."""
    return [100.0 * (2 * begin <= half < 2 * end) for half in range(2 * _DAY)]


def test_closed_day_is_not_learned(tmp_path: Path) -> None:
    """A closed day with some calls changes nothing of what is expected a week later."""
    days = [of_hours(9, 17)] * 15
    days[7] = [0.4 * calls for calls in days[7]]
    given: dict[str, Values] = {
        named(f"{_CALLS}:ended15m", **_OUTBOUND): [calls for day in days for calls in day]
    }
    last_week, noon = f"{_CALLS}:lastweek15m", 60 * (14 * _DAY + 12)
    for closed_days, learned in (((date(1970, 1, 8),), 100.0), ((), 70.0)):
        expected = {(last_week, noon): [learned]}
        check(tmp_path, [last_week], given, expected, step=30, closed_days=closed_days)


def test_closed_day_is_no_silence(tmp_path: Path) -> None:
    """No calls on a closed day are no page, and none on the day after it are one."""
    closed_day, calls = 7, [100.0] * (7 * _DAY * 12)
    none, again = [0.0] * (_DAY * 12), [100.0] * (8 * 12)
    lately: Values = [*calls, *none, *again, *none[: 4 * 12]]
    given = {
        **{named(f"{_CALLS}:ended{m}m", **_OUTBOUND): lately for m in (2, 5, 15)},
        named(f"{_CALLS}:learned15m", **_OUTBOUND): [100.0] * len(lately),
    }
    begin = 60 * closed_day * _DAY
    none_told: Expected = {(firing(_SILENT), begin + 60 * hour): [] for hour in range(1, 32)}
    after = begin + 60 * (_DAY + 8)
    expected: Expected = {**none_told, (firing(_SILENT), after + 60): [1]}
    check(
        tmp_path, [_SILENT], given, expected, step=5, closed_days=(date(1970, 1, 1 + closed_day),)
    )


@pytest.mark.parametrize("minutes", [60, -60])
def test_reference_follows_the_clock_on_the_wall(tmp_path: Path, minutes: int) -> None:
    """Weeks after a change of clocks expect the calls of an office when it opens and closes."""
    earlier = minutes // 60  # it opens, in UTC
    week = [of_hours(8, 16)] * 7
    changed = [of_hours(8 - earlier, 16 - earlier)] * 14
    calls: Values = [calls for day in (*week, *changed) for calls in day]
    given = {
        named(f"{_CALLS}:ended15m", **_OUTBOUND): calls,
        SHIFT: level((_HALF_HOURS, 0), (_HALF_HOURS, minutes), (_HALF_HOURS, 0)),
    }
    last_week = f"{_CALLS}:lastweek15m"
    differs = f"max_over_time(abs({last_week} - {_CALLS}:ended15m)[2w:30m])"
    expected = {(differs, 30 * (3 * _HALF_HOURS - 1)): [0.0]}
    check(tmp_path, [last_week], given, expected, step=30, time_zone="Europe/Berlin")


def test_change_of_clocks_is_known_for_a_week(tmp_path: Path) -> None:
    """In the week after a change of clocks the rules know by how many minutes they were put on."""
    groups = generated(time_zone="Europe/Berlin")
    shift = next(rule["expr"] for g in groups for rule in g["rules"] if named_so(rule) == SHIFT)
    expected: dict[tuple[str, int], Sequence[float]] = {}
    for month, day, minutes in ((3, 30, 60), (10, 26, -60)):
        at = round(datetime(2025, month, day, 1, tzinfo=UTC).timestamp() / 60)
        week = 7 * _DAY * 60
        known = {at - 1: 0, at: minutes, at + week - 1: minutes, at + week: 0}
        expected |= {(shift, minute): [value] for minute, value in known.items()}
    check(tmp_path, [], {}, expected, step=_DAY * 60)

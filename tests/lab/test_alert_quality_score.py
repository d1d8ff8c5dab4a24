"""How the benchmark judges alarms."""

import pytest

from lab.alert_quality import score as scoring
from lab.alert_quality.catalogue import Entry
from lab.alert_quality.figures import Share, figures
from lab.alert_quality.incident import FLOW, Incident, Weight
from lab.alert_quality.replay import Alarm
from lab.alert_quality.score import Score

_BEGIN, _END = 0, 10_000
_HEAVY = Weight(excess=100, points=0.9, points_hit=0.9)


def _entry(**changes: object) -> Entry:
    told: dict[str, object] = {
        "kind": "application",
        "cause": "callback-error",
        "share": 0.5,
        "start": 1000,
        "length": 100,
        "application": "ivr",
        "direction": "inbound",
    }
    return Entry(Incident(**{**told, **changes}), _HEAVY)  # type: ignore[arg-type]


def _alarm(start: float, end: float | None, **labels: str) -> Alarm:
    told = {
        "alertname": "Spike",
        "severity": "critical",
        "fault_domain": "application",
        "direction": "inbound",
    }
    return Alarm({k: v for k, v in {**told, **labels}.items() if v}, start, end)


def _score(entry: Entry, *alarms: Alarm) -> Score:
    return scoring.score([entry], alarms, _BEGIN, _END)


@pytest.mark.parametrize(
    ("start", "labels", "found"),
    [
        (1000, {}, True),
        (1105, {}, True),  # five minutes after its end
        (1105.5, {}, False),
        (999.5, {}, False),  # fired before there was anything
        (1010, {"direction": "outbound"}, False),
        (1010, {"direction": ""}, True),
        (1010, {"fault_domain": "bandwidth"}, False),
        (1010, {"application": "ivr"}, True),
        (1010, {"application": "sales"}, False),
        (1010, {"alertname": "CallsSilent"}, False),  # of another kind, whatever its label
    ],
)
def test_found_by_the_right_alarm_in_time(
    start: float, labels: dict[str, str], *, found: bool
) -> None:
    """An incident is found by an alert of its kind and direction that starts while it lasts."""
    (one,) = _score(_entry(), _alarm(start, start + 10, **labels)).found
    assert (one.detected is not None) == found


def test_silence_is_found_by_the_name_of_the_alert() -> None:
    """No fault domain stands for lost traffic: such alerts are known by their names."""
    alarm = _alarm(1010, 1020, alertname="CallVolumeLow", fault_domain="pipeline")
    (one,) = _score(_entry(kind=FLOW, cause=None), alarm).found
    assert one.detected == 10


def test_times_are_those_of_first_and_last_right_alarm() -> None:
    """Detection counts to the first right alarm, resolution from the end to the last one's end."""
    alarms = (
        _alarm(1004, 1090, severity="warning", alertname="Rise"),
        _alarm(1020, 1130),
        _alarm(1095, 1110, severity="warning", alertname="Rise"),
        _alarm(1050, 1300, fault_domain="bandwidth"),
    )
    (one,) = _score(_entry(), *alarms).found
    assert (one.detected, one.critical, one.cleared, one.resolved) == (4, 20, 10, 30)


@pytest.mark.parametrize(("wrong", "named"), [(1003, False), (1004, True), (1005, True)])
def test_named_right_if_the_right_alarm_comes_first(wrong: float, named: bool) -> None:  # noqa: FBT001 - a parameter of the cases
    """The first alarm, or one of the first, has to name the fault domain that is at fault."""
    alarms = (_alarm(1004, 1090), _alarm(wrong, 1090, alertname="Other", fault_domain="user"))
    (one,) = _score(_entry(), *alarms).found
    assert one.named is named


@pytest.mark.parametrize(
    ("start", "end", "labels", "false"),
    [
        (500, 510, {}, 1),
        (500, 1000.5, {}, 0),  # still fires when the incident begins
        (1129, 1140, {}, 0),  # an echo
        (1130, 1140, {}, 1),
        (1050, 1060, {"fault_domain": "bandwidth"}, 0),  # wrong, but not about nothing
        (1050, 1060, {"direction": "outbound"}, 1),
        (1050, 1060, {"direction": ""}, 0),
    ],
)
def test_false_if_there_is_no_incident(
    start: float, end: float, labels: dict[str, str], false: int
) -> None:
    """An alarm is false if it overlaps no incident of its direction nor the half hour after one."""
    assert _score(_entry(), _alarm(start, end, **labels)).false_any == false


def test_close_firings_are_one_false_alarm() -> None:
    """Firings of one alert in one direction within a quarter of an hour are counted once."""
    alarms = (
        _alarm(100, 110),
        _alarm(125, 130, application="ivr"),
        _alarm(146, 150),
        _alarm(126, 130, alertname="Other", severity="warning"),
    )
    score = _score(_entry(), *alarms)
    assert (score.false_any, score.false_critical) == (3, 2)


def test_rates_are_of_time_without_incident() -> None:
    """The weeks that false alarms are counted in leave out incidents and the half hour after."""
    score = _score(_entry(), _alarm(5000, 5009))
    assert score.free_weeks == pytest.approx((10_000 - 130 / 2) / 10_080, abs=1e-4)
    assert score.alarmed_weeks == pytest.approx(10 / 2 / 10_080, abs=1e-4)


def test_only_material_incidents_count_for_recall() -> None:
    """Recall leaves out incidents that are too small to matter, found or not."""
    small = Entry(_entry(start=3000).incident, Weight(excess=5, points=0.9, points_hit=0.9))
    entries = [_entry(), small]
    score = scoring.score(entries, [_alarm(1001, 1010), _alarm(3001, 3010)], _BEGIN, _END)
    assert figures([(entries, score)]).recalled() == Share(1, 1)


def test_interval_is_wilsons() -> None:
    """A share's interval is Wilson's, as published for 81 of 263."""
    assert Share(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=1e-4)

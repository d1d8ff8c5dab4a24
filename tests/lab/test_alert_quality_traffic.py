"""The benchmark's calls: simulated one by one, or drawn as counts."""

import numpy as np
import pytest

from bandwidth_voice_exporter.voice.causes import CAUSES, fault_domain
from lab.alert_quality import by_count, by_event, traffic
from lab.alert_quality.incident import FLOW, SHORT, Incident, Scale, weigh
from lab.alert_quality.traffic import DAY, HOUR, PAIRS, UNSTEADY, USUAL, Character

_LEVEL = 60
_MINUTES = 2 * DAY
_STRAYED = 4.5  # standard errors; a true hypothesis is that far off once in 150,000 times


def _incident(kind: str, cause: str | None, direction: str = "both") -> Incident:
    return Incident(
        kind=kind,
        cause=cause,
        share=0.4,
        start=DAY + 9 * HOUR,
        length=6 * HOUR,
        application=None,
        direction=direction,
    )


@pytest.mark.parametrize("character", [USUAL, UNSTEADY], ids=["usual", "unsteady"])
def test_counts_and_single_calls_agree(character: Character) -> None:
    """Counts that are drawn have the mean and the variance of calls that are simulated singly."""
    starts = traffic.starts(_LEVEL, 5, _MINUTES, character)
    incidents = [
        _incident("application", "callback-error", "inbound"),
        _incident(SHORT, None, "outbound"),
    ]
    one = by_event.ended(starts, incidents, 5, character)
    other = by_count.ended(starts, incidents, 6, character)
    # Poisson counts of the same mean, by hour: their difference has the variance of their sum.
    pairs = (
        (
            one.calls.sum(axis=0).reshape(-1, _MINUTES),
            other.calls.sum(axis=0).reshape(-1, _MINUTES),
        ),
        (one.short, other.short),
        (one.calls.sum(axis=(1, 2)), other.calls.sum(axis=(1, 2))),
    )
    for left, right in pairs:
        a, b = (counts.reshape(len(counts), -1, HOUR).sum(axis=2) for counts in (left, right))
        enough = a + b >= 40
        z = (a - b)[enough] / np.sqrt((a + b)[enough])
        assert abs(z.mean()) * np.sqrt(z.size) < _STRAYED
        assert abs(z.var() - 1) / np.sqrt(2 / z.size) < _STRAYED
        rows = (left.sum(axis=1) - right.sum(axis=1)) / np.sqrt((left + right).sum(axis=1) + 1)
        assert np.abs(rows).max() < _STRAYED
    again = by_event.ended(starts, incidents, 7, character)
    talked, drawn, anew = (
        ended.talk.sum(axis=0).reshape(-1, 10).sum(axis=1) for ended in (one, other, again)
    )
    assert abs((talked - drawn).mean()) < _STRAYED * (talked - drawn).std() / np.sqrt(talked.size)
    assert 0.7 < (talked - drawn).var() / (talked - anew).var() < 1.4


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("application", "invalid-bxml"),
        ("bandwidth", "error"),
        ("account", "account-limit"),
        ("user", "rejected"),
        (FLOW, None),
        (SHORT, None),
    ],
)
def test_incident_changes_as_many_calls_as_it_weighs(kind: str, cause: str | None) -> None:
    """An incident turns about as many calls bad as the catalogue says it is expected to."""
    steady = Character(
        day_volume=0.0,
        application_volume=0.0,
        hour_volume=0.0,
        standing_share=0.0,
        drifting_share=0.0,
        own_drifting_share=0.0,
        daily_share=0.0,
    )
    incident = _incident(kind, cause)
    starts = traffic.starts(_LEVEL, 1, _MINUTES, steady)
    with_it = by_event.ended(starts, [incident], 1, steady)
    without = by_event.ended(starts, [], 1, steady)
    if kind == FLOW:
        changed = without.calls.sum() - with_it.calls.sum()
    elif kind == SHORT:
        changed = with_it.short.sum() - without.short.sum()
    else:
        of_kind = [place for place, name in enumerate(CAUSES) if fault_domain(name) == kind]
        changed = with_it.calls[:, of_kind].sum() - without.calls[:, of_kind].sum()
    expected = weigh(incident, Scale.of(_LEVEL, _MINUTES, steady)).excess
    assert abs(changed - expected) < _STRAYED * np.sqrt(2 * expected)


def test_same_seed_gives_the_same_calls() -> None:
    """A run can be repeated: the same seed brings the same calls, another seed others."""

    def calls(seed: int) -> object:
        starts = traffic.starts(1, seed, DAY)
        return by_event.ended(starts, [], seed, USUAL).calls.tobytes()

    assert calls(3) == calls(3)
    assert calls(3) != calls(4)


def test_level_is_the_mean_rate() -> None:
    """The level is what all applications and directions have together, on average over weeks."""
    rate = traffic.starts(60, 2, 4 * traffic.WEEK).rate
    assert rate.shape[0] == len(PAIRS)
    assert rate.sum(axis=0).mean() == pytest.approx(60, rel=0.1)

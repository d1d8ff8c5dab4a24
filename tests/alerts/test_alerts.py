"""Every alert fires, ends and is spared exactly when it should, and says what it should."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from testkit.alert_cases import catalogue, promtool, shipped, texts
from testkit.alert_cases.case import Scene
from testkit.alert_cases.promtool import Look, Told

ALERTS = sorted(shipped.alerts())


def looks_at(scene: Scene, alert: str, said: Sequence[Told]) -> list[Look]:
    """Before it fires nothing, then what was approved, and nothing once it is over."""
    fires = scene.firing(alert)
    told = dict(zip(texts.told_at(scene, alert), said, strict=True))
    quiet = (
        step
        for step, is_firing in enumerate(fires)
        if not is_firing and (step + 1 in told or step - 1 in told)
    )
    return [Look(step, [told[step]] if step in told else []) for step in sorted({*told, *quiet})]


@pytest.mark.prometheus
@pytest.mark.parametrize("alert", ALERTS)
def test_alert_fires_ends_and_is_spared(alert: str, tmp_path: Path) -> None:
    """Prometheus agrees with the model on when it fires, and finds the approved texts."""
    said = texts.approved(alert, tmp_path)
    scenes: dict[int, dict[str, tuple[Scene, list[Look]]]] = {}
    for case in catalogue.of(alert):
        fires, spared = case.fires, case.spared
        of_step = scenes.setdefault(fires.minutes, {})
        of_step[case.name] = (fires, looks_at(fires, alert, said[case.name]))
        never = [Look(step, []) for step in range(len(spared.holds))]
        of_step[f"{case.name}, one step beside"] = (spared, never)
    for of_step in scenes.values():
        assert promtool.run(promtool.write(tmp_path, alert, of_step)) == ""


@pytest.mark.prometheus
def test_missed_calls_are_told_once(tmp_path: Path) -> None:
    """A scrape that failed an hour ago does not tell again of calls that were found long before."""
    alert = "BandwidthVoiceCallsMissed"
    (case,) = catalogue.of(alert)
    fires = case.fires.firing(alert)
    quiet = [Look(step, []) for step, is_firing in enumerate(fires) if not is_firing]
    file = promtool.write(tmp_path, alert, {case.name: (case.fires, quiet)})
    assert promtool.run(file) == ""


@pytest.mark.program
@pytest.mark.parametrize("alert", ALERTS)
def test_alert_has_cases(alert: str) -> None:
    """There are cases in which it fires, in which it ends, and one step away from them."""
    assert catalogue.of(alert)
    for case in catalogue.of(alert):
        fires = case.fires.firing(alert)
        assert any(fires), case.name
        assert not fires[-1], f"{case.name} does not end"
        assert not any(case.spared.firing(alert)), f"{case.name} is not spared one step beside"


@pytest.mark.program
def test_cases_are_of_alerts() -> None:
    """No case is left of an alert that is not there any more."""
    assert {case.alert for case in catalogue.cases()} == set(ALERTS) == set(texts.load())


def test_examples_are_the_approved_texts() -> None:
    """The file of examples has what Prometheus was found to say."""
    assert texts.EXAMPLES.read_text("utf-8") == texts.examples()


@pytest.mark.program
@pytest.mark.parametrize("alert", ALERTS)
def test_texts_have_the_numbers(alert: str) -> None:
    """The approved texts have the labels and numbers that follow from the case."""
    rule = shipped.alerts()[alert]
    for case in catalogue.of(alert):
        begins, *_ = texts.load()[alert][case.name]
        labels = {"alertname": rule.alert, **rule.labels, **case.fires.labels}
        assert begins["labels"] == labels
        for words in case.fires.says:
            assert words in begins["annotations"]["description"]

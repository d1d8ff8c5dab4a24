"""How the benchmark judges alarms at sites that close, and what it tells of that."""

from pathlib import Path

import pytest

from lab.alert_quality import results as of_day_and_night
from lab.alert_quality.figures import Share
from lab.alert_quality.incident import FLOW, Weight
from lab.alert_quality.replay import Alarm
from lab.alert_quality.sites import configured, pager, report, results, targets
from lab.alert_quality.sites.calendar import WARM_UP
from lab.alert_quality.sites.demand import LEVELS
from lab.alert_quality.sites.figures import Rate, figures
from lab.alert_quality.sites.happening import Case, Course, Happening
from lab.alert_quality.sites.judge import Judgement, Verdict, judge
from lab.alert_quality.sites.run import SEEDS, SiteRun, runs
from lab.alert_quality.sites.site import STAGING

_PAGER = pager.read(results.PAGER)
_START = WARM_UP + 1000
_HEAVY = Weight(excess=100, points=0.9, points_hit=0.9)


def _case(
    *,
    course: Course = "steady",
    monday: bool = False,
    faded: int | None = None,
    **changes: object,
) -> Case:
    """An incident of 100 minutes, the first ten before the opening, the last twenty closed."""
    told: dict[str, object] = {
        "kind": "application",
        "cause": "callback-error",
        "share": 0.5,
        "start": _START,
        "length": 100,
        "application": None,
        "direction": "inbound",
    }
    return Case(
        incident=Happening(course=course, **{**told, **changes}),  # type: ignore[arg-type]
        weight=_HEAVY,
        calls=100,
        opened=_START + 10,
        closed=_START + 80,
        faded=_START + 80 if faded is None else faded,
        monday=monday,
    )


def _alarm(start: float, end: float | None, **labels: str) -> Alarm:
    told = {
        "alertname": "Spike",
        "severity": "critical",
        "fault_domain": "application",
        "direction": "inbound",
        "job": "bandwidth-voice",
    }
    return Alarm({k: v for k, v in {**told, **labels}.items() if v}, _START + start, end)


def _verdict(*alarms: Alarm, case: Case | None = None) -> Verdict:
    (verdict,) = judge([case or _case()], (), alarms, _PAGER).verdicts
    return verdict


def test_times_are_those_in_which_it_is_open() -> None:
    """Times count from the opening, before which nobody can know, and from the closing."""
    warning = _alarm(5, _START + 85, severity="warning", alertname="Rise")
    verdict = _verdict(warning, _alarm(14, _START + 90))
    assert (verdict.told, verdict.paged, verdict.by) == (0, 4, "Rise")
    assert (verdict.cleared, verdict.resolved) == (5, 10)


def test_end_is_that_of_the_calls_that_are_hit() -> None:
    """Where calls still come after the closing and fail, no alert has to end before them."""
    verdict = _verdict(_alarm(14, _START + 105), case=_case(faded=_START + 95))
    assert verdict.cleared == 10


@pytest.mark.parametrize(
    ("pages", "held"),
    [
        ([(14, 75)], True),  # five minutes before the closing
        ([(14, 74)], False),
        ([(14, 40), (40, 76)], True),  # one takes over from another
        ([(14, 40), (45, 90)], False),  # comes again
        ([(14, 76), (20, 30)], True),
    ],
)
def test_page_that_resolves_early_is_known(pages: list[tuple[int, int]], *, held: bool) -> None:
    """A page has to last, without a gap, until five minutes before the end."""
    names = ("Spike", "Other")
    alarms = [
        _alarm(start, _START + end, alertname=name)
        for (start, end), name in zip(pages, names, strict=False)
    ]
    assert _verdict(*alarms).held is held


def test_warning_is_no_page() -> None:
    """Where nobody was paged nothing can resolve early."""
    verdict = _verdict(_alarm(14, _START + 20, severity="warning"))
    assert (verdict.told, verdict.paged, verdict.held) == (4, None, None)


def test_cause_nobody_documents_is_bandwidth_s() -> None:
    """An alert on unclassified calls is right where Bandwidth sends a cause of its own."""
    case = _case(kind="bandwidth", cause="media-timeout")
    assert case.sort == "undocumented cause"
    verdict = _verdict(_alarm(14, None, fault_domain="unclassified"), case=case)
    assert verdict.told == 4
    assert verdict.named


@pytest.mark.parametrize(
    ("env", "broken", "false"),
    [("staging", True, 0), ("staging", False, 1), ("", True, 1), ("production", True, 1)],
)
def test_staging_is_not_production(env: str, *, broken: bool, false: int) -> None:
    """A fault in staging excuses an alarm that is labelled as staging, and no other."""
    there = Happening(
        kind="application",
        cause="callback-error",
        share=1.0,
        start=_START + 500,
        length=60,
        application=None,
        direction="both",
        environment=STAGING,
    )
    alarm = _alarm(510, _START + 520, env=env)
    found = judge([_case()], [there] if broken else [], [alarm], _PAGER)
    assert len(found.false_alarms) == found.false_pages == false
    assert found.verdicts == (Verdict(notified=(0,)),)


def test_silence_and_losses_that_are_large_enough_count() -> None:
    """Silences of 30 expected calls and losses of 70 % of 80 are counted by themselves."""
    for share, sort, counts in ((1.0, "silence", True), (0.8, "loss of 70 % and more", True)):
        case = _case(kind=FLOW, cause=None, share=share)
        assert (case.sort, case.lost_enough) == (sort, counts)
    assert _case(kind=FLOW, cause=None, share=0.5).sort == "loss of 50%"
    one = _case(kind=FLOW, cause=None, share=1.0, application="sales")
    assert (one.sort, one.lost_enough) == ("one application's calls lost", False)


@pytest.mark.parametrize(
    ("spans", "sent"),
    [
        ([("A", 0, 60)], 1),
        ([("A", 0, 60), ("B", 2, 60)], 2),  # another alert of the group
        ([("A", 0, 60), ("B", 0.3, 60)], 1),  # within the group's wait
        ([("A", 0, 3), ("A", 4, 60)], 1),  # back before anybody looked
        ([("A", 0, 7), ("A", 15, 22), ("A", 30, 37)], 3),  # flapping
        ([("A", 0, 0.2)], 0),  # over before it was sent
    ],
)
def test_notifications_are_an_alertmanager_s(
    spans: list[tuple[str, float, float]], sent: int
) -> None:
    """A group tells new alerts after its wait, then at each interval; reminders do not count."""
    alarms = [_alarm(start, _START + end, alertname=name) for name, start, end in spans]
    assert len(pager.notifications(_PAGER, alarms, 10 * _START)) == sent
    assert _verdict(*alarms).notified == (sent,)


def test_groups_are_those_of_the_example_configuration() -> None:
    """Two directions are two notifications, two applications of one direction are one."""
    two = [_alarm(1, None), _alarm(1, None, direction="outbound")]
    assert len(pager.notifications(_PAGER, two, 10 * _START)) == 2
    one = [_alarm(1, None, application="a"), _alarm(1, None, application="b")]
    assert len(pager.notifications(_PAGER, one, 10 * _START)) == 1


def test_flapping_is_told_apart() -> None:
    """How long alerts last after what flaps is a figure of its own."""
    cases = [_case(), _case(course="flapping", start=_START + 2000)]
    alarms = [_alarm(14, _START + 90), _alarm(2014, _START + 2150)]
    of = figures([(cases, judge(cases, (), alarms, _PAGER))])
    assert (of.resolved.median, of.technical) == (10, Share(2, 2))
    assert of.resolved_flapping.median > of.resolved.median


def test_digest_is_neither_a_false_alarm_nor_resolves() -> None:
    """An alert of the daily digest is counted apart, and an incident resolves without it."""
    digest = _alarm(14, _START + 5000, severity="info")
    told = judge([_case()], (), [_alarm(14, _START + 90), digest], _PAGER)
    assert figures([([_case()], told)]).resolved.median == 10
    read = _alarm(1, 20, alertname="Rising", severity="info")
    of = figures([((), judge((), (), [read, _alarm(1, 20)], _PAGER))])
    assert (of.false_alarms.count, of.false_digest.count) == (1, 1)


def test_ticket_that_becomes_a_page_is_a_false_page() -> None:
    """Firings of an alert that are one alarm have the severity of the worst."""
    alarms = [_alarm(1, 20, severity="warning"), _alarm(5, 20)]
    assert judge((), (), alarms, _PAGER).false_pages == 1


def test_what_was_aimed_at_is_said_and_what_missed_it() -> None:
    """A cell has its group's and level's aim, and says where it was missed; none where none is."""
    of = figures([((), judge((), (), [_alarm(1, 20)], _PAGER))])
    assert targets.FALSE_ALARMS.said(of, "24/7", 10) == " (≤ 0.2) **missed**"
    assert targets.FALSE_PAGES.said(figures([((), judge((), (), (), _PAGER))]), "other", 1) == (
        " (≤ 0.1)"
    )
    assert not targets.SILENCE.said(of, "24/7", 10)
    assert not targets.LOST.said(of, "by hand", 10)


def test_rate_has_poisson_s_interval() -> None:
    """A rate's interval is Poisson's, as tabulated for 0 and 10 events."""
    assert Rate(10, 1.0).interval == pytest.approx((4.80, 18.39), abs=0.02)
    assert Rate(0, 2.0).interval == pytest.approx((0.0, 3.69 / 2), abs=0.02)


def _write(directory: Path, some: tuple[SiteRun, ...], inputs: str = "a") -> None:
    for run in some:
        verdicts = (Verdict(told=3.0, named=True, notified=(1,)),) * len(run.cases())
        judgement = Judgement(verdicts=verdicts, false_alarms=(), free_weeks=4.0, fired={})
        results.save(
            run, results.Result(inputs=inputs, judgement=judgement, same=9, all=10), directory
        )


def test_report_names_every_declared_seed(tmp_path: Path) -> None:
    """Each seed is named, and what was not run is said to be so; nothing final without all."""
    done = tuple(run for run in runs("tuning") if run.site == "clinic" and run.seed == 101)
    _write(tmp_path, done)
    with pytest.raises(ValueError, match=r"declared and not run: .*hotline-10-101"):
        report.table(tmp_path, "tuning")
    text = report.table(tmp_path, "tuning", partly=True)
    for site, seeds in SEEDS["tuning"].items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"- {site}:")]
        assert all(str(seed) in line for seed in seeds)
    assert "- clinic: 101, 102 (not run)" in text
    assert f"{len(LEVELS)} of {len(LEVELS)} runs were evaluated by a real Prometheus too" in text
    assert "36 of 40 alarms were the same to the minute" in text
    assert "| false pages a week | 0.00 (0.00-0.92, 0) (≤ 0.1) |" in text


def test_rule_sets_are_compared_on_the_same_runs(tmp_path: Path) -> None:
    """Other rule sets stand beside the shipped one's figures of the runs that all of them had."""
    some = tuple(
        run for run in runs("tuning") if run.site in {"clinic", "shop"} and run.seed == 101
    )
    _write(tmp_path, some)
    assert "Other rule sets" not in report.table(tmp_path, "tuning", partly=True)
    peer = results.directory(tmp_path, of_day_and_night.path_of("static-floor"))
    peer.mkdir()
    _write(peer, tuple(run for run in some if run.site == "shop"))
    text = report.table(tmp_path, "tuning", partly=True).partition("### Other rule sets")[2]
    assert f"Of {len(LEVELS)} runs: shop." in text
    names = [line.split()[1] for line in text.splitlines() if "0.00 (" in line]
    assert names == ["bandwidth-voice", "static-floor"] * len(LEVELS)
    assert results.directory(tmp_path, configured.SHIPPED) == tmp_path


def test_report_is_written_into_the_documents(tmp_path: Path) -> None:
    """Figures and firings stand between the marks, in place of what stood there."""
    _write(tmp_path, tuple(run for run in runs("tuning") if run.site == "clinic")[:4])
    quality, readme = tmp_path / "quality.md", tmp_path / "README.md"
    quality.write_text("before\n<!-- sites -->\nstale\n<!-- sites end -->\nafter\n", "utf-8")
    readme.write_text("<!-- firings -->\n<!-- firings end -->\n", "utf-8")
    for _ in range(2):
        report.write(tmp_path, "tuning", tmp_path / "sites.md", (quality, readme), partly=True)
    text = quality.read_text("utf-8")
    assert text.startswith("before\n<!-- sites -->\n4 of the 176 runs declared were made. ")
    assert text.endswith("<!-- sites end -->\nafter\n")
    assert "stale" not in text
    assert text.count("| false pages a week | 0 (≤ 0.1) |") == 1
    assert "| firings a week | clinic |" in readme.read_text("utf-8")
    assert "Declared tuning seeds" in (tmp_path / "sites.md").read_text("utf-8")


def test_report_mixes_no_versions(tmp_path: Path) -> None:
    """No table is made of results that belong to different rules."""
    some = tuple(run for run in runs("tuning") if run.site == "clinic" and run.level == 10)
    for run, inputs in zip(some, "ab", strict=False):
        _write(tmp_path, (run,), inputs)
    with pytest.raises(ValueError, match="more than one version"):
        report.table(tmp_path, "tuning", partly=True)


def test_version_is_the_same_at_all_sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of the same rules are of one version, whatever clock and holidays a site has."""
    monkeypatch.setattr(results, "CACHE", tmp_path)
    monkeypatch.setattr(results, "alarms_of", lambda *_: ())
    runs = [SiteRun("hotline", 10, seed) for seed in (102, 104)]
    assert runs[0].calendar.zone != runs[1].calendar.zone
    for run in runs:
        results.run_one(run, configured.SHIPPED, tmp_path)
    found = [results.load(run, tmp_path) for run in runs]
    assert len({one.inputs for one in found if one}) == 1

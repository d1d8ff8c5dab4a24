"""Replays and judges runs, and keeps what came of it; what is there already is not done again."""

import hashlib
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import msgspec

from bandwidth_voice_exporter import alerts
from lab.alert_quality import results as of_day_and_night
from lab.alert_quality import rules
from lab.alert_quality.replay import Alarm
from lab.alert_quality.sites import configured, pager, scraped
from lab.alert_quality.sites.calendar import MINUTES
from lab.alert_quality.sites.judge import Judgement, judge
from lab.alert_quality.sites.order import Stage, stages
from lab.alert_quality.sites.replay import (
    Engine,
    Prometheus,
    agreement,
    in_numpy,
    replay,
)
from lab.alert_quality.sites.run import SiteRun

COMMITTED = of_day_and_night.COMMITTED / "sites"
CACHE = of_day_and_night.CACHE / "sites"
PAGER = Path(alerts.__file__).with_name("alertmanager.example.yml")
_PACKAGE = Path(__file__).resolve().parents[1]
_SHARED = ("counters", "incident", "lengths", "replay", "samples", "states", "traffic")
_JUDGED_BY = ("score", "sites/judge", "sites/pager")
_TOLD_BY = tuple(
    f"sites/{name}"
    for name in ("__main__", "figures", "report", "results", "configured", "rows", "targets")
)


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The alarms of one rule file in a run.

    ``same`` of ``all`` alarms, where a real Prometheus evaluated the run too, were those of the
    fast evaluator: labels, start and end to the minute.
    """

    inputs: str
    judgement: Judgement
    same: int | None = None
    all: int | None = None


def directory(root: Path, file: Path) -> Path:
    """Where the results of a rule file are kept: a peer's by themselves."""
    return root if file == configured.SHIPPED else root / file.name.partition(".")[0]


def run_all(
    runs: Sequence[SiteRun],
    file: Path,
    into: Path,
    *,
    real: Sequence[SiteRun] = (),
    jobs: int = 1,
) -> None:
    """Do all runs, ``jobs`` at a time; those in ``real`` also on a real Prometheus."""
    into.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [pool.submit(run_one, run, file, into, real=run in real) for run in runs]
        for number, done in enumerate(as_completed(waiting), 1):
            took = (time.monotonic() - began) / 60
            print(f"{number}/{len(runs)} {done.result()} after {took:.1f} min", flush=True)


def run_one(run: SiteRun, file: Path, into: Path, *, real: bool = False) -> str:
    """Do a run if it is missing, with the shipped rules configured for it; return its name."""
    # The version is that of the file given, which each site has for its clock and its holidays.
    inputs = _inputs(file)
    file = configured.file_for(run, file, CACHE / "rules")
    kept = load(run, into)
    if kept is not None and kept.inputs == inputs and (kept.all is not None or not real):
        return run.name
    order = stages(rules.load(file), scraped.SCRAPED)
    alarms = _kept(run, order, real=False)
    same = together = None
    if real:
        there = _kept(run, order, real=True)
        same, together = agreement(alarms, there)
        # The figures reported of it are Prometheus's.
        alarms = there
    found = Result(
        inputs=inputs,
        judgement=judge(run.cases(), run.breakages(), alarms, pager.read(PAGER)),
        same=same,
        all=together,
    )
    save(run, found, into)
    return run.name


def _kept(run: SiteRun, order: Sequence[Stage], *, real: bool) -> tuple[Alarm, ...]:
    """The alarms of a run, from the cache if they are there: so that judging anew costs nothing."""
    evaluator = "prometheus" if real else "numpy"
    file = CACHE / "alarms" / f"{run.name}-{evaluator}-{_replayed(order)}.json"
    if not file.exists():
        if real:
            with (
                tempfile.TemporaryDirectory(prefix="alert-quality-") as directory,
                Prometheus(Path(directory)) as prometheus,
            ):
                alarms = alarms_of(run, order, prometheus)
        else:
            alarms = alarms_of(run, order, in_numpy(run.calendar.epoch, MINUTES))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(alarms))
    return msgspec.json.decode(file.read_bytes(), type=tuple[Alarm, ...])


def alarms_of(run: SiteRun, order: Sequence[Stage], engine: Engine) -> tuple[Alarm, ...]:
    """Simulate a run and evaluate rules over it."""
    epoch = run.calendar.epoch
    engine.write(run.series(), scraped.grid(epoch))
    return replay(engine, order, epoch, MINUTES)


def save(run: SiteRun, result: Result, directory: Path) -> None:
    """Keep the result of a run."""
    _file(run, directory).write_bytes(msgspec.json.encode(result, order="sorted") + b"\n")


def load(run: SiteRun, directory: Path) -> Result | None:
    """The result of a run; None where there is none in today's form."""
    try:
        return msgspec.json.decode(_file(run, directory).read_bytes(), type=Result)
    except (FileNotFoundError, msgspec.ValidationError):
        return None


def _file(run: SiteRun, directory: Path) -> Path:
    return directory / f"{run.name}.json"


def _inputs(file: Path) -> str:
    """A hash of all that a result depends on: rules, notifications, simulation and judging."""
    order = stages(rules.load(file), scraped.SCRAPED)
    start = _replayed(order).encode() + msgspec.json.encode(pager.read(PAGER), order="sorted")
    return _hash(start, (_PACKAGE / f"{name}.py" for name in (*_JUDGED_BY, "sites/configured")))


def _replayed(order: Sequence[Stage]) -> str:
    """A hash of all that alarms depend on: rules, simulation and evaluation."""
    told = {_PACKAGE / f"{name}.py" for name in (*_JUDGED_BY, *_TOLD_BY)}
    modules = [_PACKAGE / f"{name}.py" for name in _SHARED]
    for room in (_PACKAGE / "sites", _PACKAGE / "promql"):
        modules += [module for module in sorted(room.glob("*.py")) if module not in told]
    return _hash(msgspec.json.encode(order, order="sorted"), modules)


def _hash(start: bytes, modules: Iterable[Path]) -> str:
    digest = hashlib.sha256(start)
    for module in modules:
        digest.update(module.read_bytes())
    return digest.hexdigest()[:16]

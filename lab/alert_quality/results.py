"""Replays runs, scores them and keeps what came of it; what is there already is not done again."""

import hashlib
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import msgspec

from lab.alert_quality import benign, rules
from lab.alert_quality.counters import SCRAPED
from lab.alert_quality.replay import Alarm, Cost, replay
from lab.alert_quality.rules import RuleSet
from lab.alert_quality.scenario import Run
from lab.alert_quality.score import CRITICAL, FalseAlarm, Score, merged, score
from lab.alert_quality.server import Server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMMITTED = HERE / "results"
CACHE = ROOT / ".tools" / "alert-quality"  # raw alarms, so that scoring anew costs nothing
OURS = "bandwidth-voice"
PEERS = (
    "static",
    "static-floor",
    "z-score",
    "adaptive-bands",
    "burn-rate",
    "never",
    "always",
    "random",
)
# All that the alarms depend on, beside the rules.
_CODE = (
    "traffic",
    "lengths",
    "incident",
    "catalogue",
    "benign",
    "by_event",
    "by_count",
    "ended",
    "scenario",
    "counters",
    "samples",
    "server",
    "rules",
    "replay",
    "states",
)


class Benign(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms of a benign run, by the case in whose time they began."""

    critical: Mapping[str, tuple[FalseAlarm, ...]]
    others: int  # alarms that were not critical


class Scored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The alarms of one rule set in a run."""

    inputs: str
    score: Score | None = None
    benign: Benign | None = None
    cpu_seconds: float = 0.0
    not_replayed: tuple[str, ...] = ()  # alerts that read what is not simulated


NOTHING = Scored(inputs="")


class Raw(msgspec.Struct, frozen=True):
    """The alarms of a rule set in a run, and what they cost."""

    alarms: tuple[Alarm, ...]
    costs: tuple[Cost, ...]


def path_of(name: str) -> Path:
    """The rule file of that name: ours, or a peer's."""
    if name == OURS:
        return ROOT / "alerts" / "bandwidth-voice.rules.yml"
    return HERE / "peers" / f"{name}.rules.yml"


def run_all(runs: Sequence[Run], files: Mapping[str, Path], into: Path, jobs: int) -> None:
    """Do all runs with all rule sets, ``jobs`` at a time; results go ``into`` a directory."""
    into.mkdir(parents=True, exist_ok=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [pool.submit(run_one, run, dict(files), into) for run in runs]
        for number, done in enumerate(as_completed(waiting), 1):
            took = (time.monotonic() - began) / 60
            print(f"{number}/{len(runs)} {done.result()} after {took:.1f} min", flush=True)


def of_one(runs: Sequence[Run], rule_set: RuleSet, jobs: int) -> dict[Run, Raw]:
    """The alarms of one rule set in all runs, ``jobs`` runs at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs) as pool:
        found = {}
        for run, raw in zip(runs, pool.map(_of_one, runs, [rule_set] * len(runs)), strict=True):
            print(f"replayed {run.name}", file=sys.stderr, flush=True)
            found[run] = raw
        return found


def _of_one(run: Run, rule_set: RuleSet) -> Raw:
    return raw_alarms(run, {rule_set.name: rule_set})[rule_set.name]


def run_one(run: Run, files: Mapping[str, Path], into: Path) -> str:
    """Do what is missing of one run; return its name."""
    file = into / f"{run.name}.json"
    scored = load(file)
    sets = {name: rules.load(path) for name, path in files.items()}
    known = {name: rule_set.about(SCRAPED) for name, rule_set in sets.items()}
    inputs = {name: _inputs(one) for name, one in known.items()}
    missing = {
        name: one
        for name, one in known.items()
        if name not in scored or scored[name].inputs != inputs[name] + _scoring()
    }
    for name, found in raw_alarms(run, missing).items():
        scored[name] = _scored(run, found, sets[name], known[name])
    _save(scored, file)
    return run.name


def load(file: Path) -> dict[str, Scored]:
    """Read the results of a run, by rule set; none where there are none in today's form."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Scored])
    except (FileNotFoundError, msgspec.ValidationError):
        return {}


def raw_alarms(run: Run, sets: Mapping[str, RuleSet]) -> dict[str, Raw]:
    """The alarms of each rule set, from the cache where they are there."""
    files = {name: CACHE / f"{run.name}-{_inputs(one)}.json" for name, one in sets.items()}
    missing = {name: sets[name] for name, file in files.items() if not file.exists()}
    if missing:
        with tempfile.TemporaryDirectory(prefix="alert-quality-") as directory:
            for name, found in _replayed(run, missing, Path(directory)).items():
                files[name].write_bytes(msgspec.json.encode(found))
    return {name: msgspec.json.decode(file.read_bytes(), type=Raw) for name, file in files.items()}


def _replayed(run: Run, sets: Mapping[str, RuleSet], directory: Path) -> dict[str, Raw]:
    with Server(directory) as server:
        for replica in run.replicas():
            server.write(replica.scraped())
        found = {}
        for name, rule_set in sets.items():
            outcome = replay(server, rule_set, run.minutes)
            found[name] = Raw(outcome.alarms, outcome.costs)
        return found


def _scored(run: Run, raw: Raw, everything: RuleSet, replayed: RuleSet) -> Scored:
    benign_run = run.suite == "benign"
    return Scored(
        inputs=_inputs(replayed) + _scoring(),
        score=None
        if benign_run
        else score(run.entries(), raw.alarms, run.scored_from, run.minutes),
        benign=_benign(raw.alarms) if benign_run else None,
        cpu_seconds=round(sum(cost.cpu for cost in raw.costs), 1),
        not_replayed=tuple(sorted(set(everything.alerts()) - set(replayed.alerts()))),
    )


def _benign(alarms: Iterable[Alarm]) -> Benign:
    every = list(alarms)
    critical = [alarm for alarm in every if alarm.labels.get("severity") == CRITICAL]
    by_case = {}
    for case in benign.CASES:
        begin, end = case.watched
        inside = [alarm for alarm in critical if begin <= alarm.start < end]
        by_case[case.name] = merged(inside, benign.MINUTES)
    between = [
        alarm
        for alarm in critical
        if not any(begin <= alarm.start < end for begin, end in (c.watched for c in benign.CASES))
    ]
    by_case["between the cases"] = merged(between, benign.MINUTES)
    others = [alarm for alarm in every if alarm not in critical]
    return Benign(critical=by_case, others=len(merged(others, benign.MINUTES)))


def _inputs(replayed: RuleSet) -> str:
    """A hash of all that the alarms depend on."""
    return _hash(msgspec.json.encode(replayed.rules, order="sorted"), _CODE)


def _scoring() -> str:
    return "-" + _hash(b"", ("score",))


def _hash(start: bytes, modules: Iterable[str]) -> str:
    digest = hashlib.sha256(start)
    for module in modules:
        digest.update((HERE / f"{module}.py").read_bytes())
    return digest.hexdigest()[:16]


def _save(scored: Mapping[str, Scored], file: Path) -> None:
    # One rule set a line, so that a change can be read.
    lines = (
        msgspec.json.encode(name).decode() + ": " + msgspec.json.encode(one).decode()
        for name, one in sorted(scored.items())
    )
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")

"""The time of the exporter's own work on one event, step by step, each for many events in a row.

In the server a step takes up to twice as long: other code runs between two events.
"""

import json
import os
import random
import resource
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bandwidth_voice_exporter.ledger import store
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints, legs
from bandwidth_voice_exporter.ledger.store import Store
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics.tally import Tally
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice import payload
from bandwidth_voice_exporter.voice.call import CallEnded, read_event
from bandwidth_voice_exporter.voice.clock import now
from bandwidth_voice_exporter.webhook.credentials import Credentials
from lab.speed import events, load
from lab.speed.receivers import SERVER_CORE

_EVENTS = 20_000
_COMMIT = 30  # events, about as many as 64 connections have in one

Times = dict[str, list[float]]


def steps(rounds: int, seconds: int) -> dict[str, Any]:
    """Every step, so many rounds; how many events there are does not depend on the seconds."""
    del seconds
    bodies = list(_bodies())
    decoded = [payload.from_json(body) for body in bodies]
    calls = [call for one in decoded if (call := read_event(one, now()).call)]
    work: dict[str, Callable[[], object]] = {
        "check the credentials": lambda: _accept(len(bodies)),
        "decode the JSON": lambda: [payload.from_json(body) for body in bodies],
        "read the fields": lambda: [read_event(one, now()) for one in decoded],
        "look for a redelivery": lambda: _look(calls),
        "count": lambda: _fold(calls),
        f"write to disk, {_COMMIT} in a commit": lambda: _append(calls),
    }
    found: dict[str, Times] = {name: {"user_us": [], "system_us": []} for name in work}
    with _on_one_core():
        for _ in range(rounds):
            for name, step in work.items():
                _timed(step, found[name])
    return {
        name: {figure: load.spread(values) for figure, values in times.items()}
        for name, times in found.items()
    }


def _bodies() -> Iterator[bytes]:
    dice = random.Random(1)
    for _ in range(_EVENTS):
        body = json.dumps(events.event(dice, events.application(0)))
        body = body.replace(events.CALL_ID, f"c-{dice.getrandbits(32):08x}-{_uuid(dice)}")
        yield body.replace(events.ERROR_ID, _uuid(dice)).encode()


def _uuid(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128)))


def _accept(times: int) -> None:
    credentials = Credentials((f"{events.USER}:{events.PASSWORD}",), None, Log(), id)
    header = events.AUTHORIZATION.encode()
    for _ in range(times):
        credentials.accept(header)


def _look(calls: list[CallEnded]) -> None:
    found = Fingerprints()
    for first in range(0, len(calls), _COMMIT):
        marks = legs(enumerate(calls[first : first + _COMMIT], first + 1))
        for mark, _ in marks:
            found.find(mark)
        found.add("normal", marks)


def _fold(calls: list[CallEnded]) -> None:
    tally = Tally(Limits(), now())
    for call in calls:
        tally.fold(call)


def _append(calls: list[CallEnded]) -> None:
    with tempfile.TemporaryDirectory(dir=".tools") as temporary:
        ledger = Store(Path(temporary) / store.FILE)
        for first in range(0, len(calls), _COMMIT):
            ledger.append(first + 1, calls[first : first + _COMMIT])
        ledger.close()


def _timed(step: Callable[[], object], times: Times) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    times["user_us"].append((after.ru_utime - before.ru_utime) / _EVENTS * 1e6)
    times["system_us"].append((after.ru_stime - before.ru_stime) / _EVENTS * 1e6)


@contextmanager
def _on_one_core() -> Iterator[None]:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(SERVER_CORE)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)

"""A sender with valid credentials that gives every label as many values as it can."""

import argparse
import asyncio
import random
import time
import uuid
from collections import Counter
from typing import Any

import uvloop

from bandwidth_voice_exporter.metrics import COUNTED, DUPLICATE, IGNORED, catalog
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice import event_types, labels
from bandwidth_voice_exporter.voice.call import DIRECTIONS
from bandwidth_voice_exporter.voice.causes import CAUSES, FAULT_DOMAINS
from bandwidth_voice_exporter.voice.event_types import COUNTED_TYPES
from lab.abuse.exporter import (
    APPLICATION,
    Connection,
    Report,
    Running,
    Samples,
    ended_call,
    exporter,
    parse,
    request,
    take_load_core,
    total,
)

_NAME = "honest"
_CONNECTIONS = 32
_OPENMETRICS = "application/openmetrics-text;version=1.0.0"
_LIMITS = Limits()
# More of each than is let in: they come again and again, so that every combination is tried.
_APPLICATIONS = [f"{number:08x}-abcd-4abc-8abc-abcdefabcdef" for number in range(80)]
_NEW_CAUSES = [f"made-up-{chr(ord('a') + number)}" for number in range(16)]

Honest = Counter[tuple[str, str, str]]


def bound(at_start: Samples) -> dict[str, int]:
    """The most series that each metric can have: values known at the start, caps and reserved."""
    unusable = (labels.MISSING, labels.INVALID)
    directions = len((*DIRECTIONS, *unusable))
    causes = len((*CAUSES, *labels.RESERVED)) + _LIMITS.max_new_causes
    applications = 1 + _LIMITS.max_applications + len(labels.RESERVED)
    codes = sum(name == catalog.SIP_REJECTIONS.name for name, _ in at_start) + 20 + 1
    types = (*COUNTED_TYPES, *event_types.IGNORED_TYPES, *labels.RESERVED)
    results = len((COUNTED, DUPLICATE, IGNORED))
    keys = {
        catalog.CALLS: applications * directions * causes * 2,
        catalog.SHORT_CALLS: applications * directions,
        catalog.TALK: applications * directions,
        catalog.TRANSFER_LEGS: directions * causes * 2,
        catalog.DURATION: directions * len(FAULT_DOMAINS),
        catalog.SETUP: directions,
        catalog.UNANSWERED: directions * len(FAULT_DOMAINS),
        catalog.QUEUE: directions,
        catalog.SIP_REJECTIONS: codes,
        catalog.CALL_ERRORS: directions * causes * 2 + _LIMITS.max_error_ids,
        catalog.LAST_EVENT: applications,
        catalog.DELAY: 1,
        catalog.EVENTS: (len(types) + 20) * results,
    }
    most = {
        metric.name: number * (len(metric.buckets) + 3 if metric.buckets else 1)
        for metric, number in keys.items()
    }
    # All others have their label sets from the start on; an answer may have a code of its own.
    samples = {name for metric in keys for name in metric.samples}
    most["all others"] = sum(name not in samples for name, _ in at_start)
    return most


def honest(dice: random.Random, expected: Honest) -> dict[str, Any]:
    """An event as an honest sender's, noted down."""
    event = ended_call(dice, direction=dice.choice(DIRECTIONS), cause=dice.choice(CAUSES))
    if is_unanswered := dice.random() < 0.5:
        del event["answerTime"]
    expected[event["direction"], event["cause"], str(not is_unanswered).lower()] += 1
    return event


def hostile(dice: random.Random) -> dict[str, Any]:
    """An event that is all made up."""
    noise = dice.randbytes(dice.randrange(1, 30)).hex()
    causes = (*CAUSES, *_NEW_CAUSES, f"x{noise[:8]}", noise, "", "other", "+15555550100", 7, [])
    event = ended_call(
        dice,
        eventType=dice.choice(
            (*["disconnect"] * 12, *["transferDisconnect"] * 4, f"t{noise[:6]}", noise, None)
        ),
        applicationId=dice.choice((*_APPLICATIONS, str(uuid.uuid4()), noise, "", "other", 5)),
        direction=dice.choice((*DIRECTIONS, "", noise, None, 3)),
        cause=dice.choice(causes),
        errorId=dice.choice((str(uuid.uuid4()), noise, "other", "none", None)),
        sipResponseCode=dice.choice((dice.randrange(-1000, 10_000), dice.randrange(300, 700), "4")),
        enqueuedTime=dice.choice((None, "2026-06-01T11:59:00Z", noise)),
        eventTime=dice.choice((None, "2026-06-01T12:01:00Z", noise)),
    )
    if dice.random() < 0.5:
        del event["answerTime"]
    return event


async def send(running: Running, events: int, expected: Honest) -> Counter[int]:
    """Deliver a number of events, a tenth of them honest; the statuses of the answers."""
    answers: Counter[int] = Counter()
    dice = random.Random(6)
    left = iter(range(events))

    async def work() -> None:
        connection = await Connection.to(running.webhook)
        for number in left:
            event = honest(dice, expected) if number % 10 == 0 else hostile(dice)
            answers[await connection.deliver(request(event))] += 1
        connection.close()

    await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))
    return answers


def found(samples: Samples) -> Honest:
    """Return what the metrics say of the honest application."""
    calls: Honest = Counter()
    for (name, pairs), value in samples.items():
        by = dict(pairs)
        if name == catalog.CALLS.name and by["application"] == _NAME:
            calls[by["direction"], by["cause"], by["answered"]] += int(value)
    return +calls


def main() -> None:
    """Measure, then write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    options = parser.parse_args()
    take_load_core()
    report = Report("cardinality", f"{options.events:,} events with made-up labels")
    expected: Honest = Counter()
    with exporter(f"--labels.application={APPLICATION}={_NAME}") as running:
        at_start = running.metrics()
        before = running.resident()
        answers = uvloop.run(send(running, options.events, expected))
        scrapes = []
        for _ in range(5):
            began = time.perf_counter()
            text = running.scrape(_OPENMETRICS, is_prometheus=True)
            scrapes.append(time.perf_counter() - began)
        assert text.endswith("# EOF\n")
        series = len(parse(text))
        samples = running.metrics()
        grown = running.resident() - before
    most = bound(at_start)
    actual = Counter(name for name, _ in samples)
    talk = total(samples, catalog.TALK.name, application=_NAME)
    answered = sum(
        count for (_, _, is_answered), count in expected.items() if is_answered == "true"
    )
    wrong = sum((found(samples) - expected).values()) + sum((expected - found(samples)).values())
    limit = sum(most.values())
    report.figure(
        "events answered 204",
        f"{answers[204]:,}",
        f"{options.events:,}",
        is_met=answers[204] == options.events,
    )
    report.figure("series at the start", f"{len(at_start):,}")
    report.figure("series after it", f"{series:,}", f"<= {limit:,}", is_met=series <= limit)
    worst = max(scrapes)
    report.figure("slowest of 5 scrapes (OpenMetrics)", f"{worst:.2f} s", "< 1 s", is_met=worst < 1)
    report.figure("size of a scrape", f"{len(text) / 1e6:.1f} MB")
    report.figure(
        f"{sum(expected.values()):,} honest calls: counted wrong", f"{wrong}", "0", is_met=not wrong
    )
    report.figure(
        "honest talk time",
        f"{talk:,.0f} s",
        f"{answered * 50:,} s",
        is_met=talk == answered * 50,
    )
    report.figure("growth of resident memory", f"{grown:.1f} MB")
    report.details = {
        "bound_by_metric": most,
        "series_by_sample": {name: count for name, count in sorted(actual.items()) if count > 20},
        "scrape_seconds": scrapes,
        "answers": {str(status): count for status, count in answers.items()},
        "overflow": {
            dict(pairs)["label"]: value
            for (name, pairs), value in samples.items()
            if name == catalog.LABEL_OVERFLOW.name
        },
    }
    report.finish()


if __name__ == "__main__":
    main()

"""The values that each query of the dashboards should give of a simulated run."""

from collections.abc import Mapping

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice.call import DIRECTIONS
from bandwidth_voice_exporter.voice.event_types import DISCONNECT, TRANSFER_DISCONNECT
from testkit.dashboard_counts import NOTHING, count, labels, scaled, share
from testkit.dashboard_moment import (
    ALL,
    CALLS,
    Expected,
    acd,
    answered,
    asr,
    by_cause,
    codes,
    directed,
    each,
    error_ids,
    failed,
    failing,
    heat,
    last,
    last_event,
    last_hour,
    limits,
    ner,
    nothing,
    of_failures,
    per_minute,
    processor,
    quantiles,
    results,
    scraped_quantile,
    shares,
    short,
    version,
)

OUTCOMES: Mapping[str, Expected] = {
    "Calls ended/A": lambda m: directed(m, m.now.calls(*CALLS)),
    "Answer-seizure ratio/A": asr,
    "Network effectiveness/A": ner,
    "Failing calls by fault domain/A": failing,
    "Average duration/A": acd,
    "Last event/A": last_event(),
    "Calls per minute/A": lambda m: per_minute(m, directed(m, m.now.calls(*CALLS))),
    "Calls per minute/B": lambda m: per_minute(m, count(m.week_ago.calls(*CALLS), "direction")),
    "Outcomes by cause/A": lambda m: per_minute(m, count(m.now.calls(*CALLS), "cause")),
    "Failing in the last hour, inbound/A": last_hour(
        "application", "account", "bandwidth", directions=("inbound",)
    ),
    "Failing in the last hour, inbound/B": limits(
        "application", "account", "bandwidth", directions=("inbound",)
    ),
    "Failing in the last hour, outbound/A": last_hour(
        "application", "account", "bandwidth", directions=("outbound",)
    ),
    "Failing in the last hour, outbound/B": limits(
        "application", "account", "bandwidth", directions=("outbound",)
    ),
    "Not reached in the last hour/A": last_hour("user"),
    "Not reached in the last hour/B": limits("user"),
    "Call duration/A": quantiles(0.5, catalog.DURATION, "talk", "direction"),
    "Call duration/B": quantiles(0.95, catalog.DURATION, "talk", "direction"),
    "How long calls last/A": heat,
    "Causes/A": by_cause,
    "Causes/B": lambda m: share(by_cause(m), count(m.now.calls(*CALLS))),
    "Causes/C": lambda m: count(m.week_ago.calls(*CALLS), "cause", "fault_domain"),
    "Alert baseline/A": lambda m: {labels(direction=way): 1 for way in m.directions()},
}

FAILURES: Mapping[str, Expected] = {
    "Failed calls/A": lambda m: directed(m, failed(m.now.calls(*ALL))),
    "Cut off mid-conversation/A": lambda m: directed(m, answered(failed(m.now.calls(*ALL)))),
    "Short calls/A": lambda m: shares(short(m.now.calls(*CALLS)), answered(m.now.calls(*CALLS))),
    "Failures per minute by cause/A": of_failures("cause"),
    "Failures per minute by cause/B": lambda m: per_minute(
        m, count(failed(m.week_ago.calls(*ALL)))
    ),
    "Failures per minute by application/A": of_failures("application"),
    "Failures per minute by application/B": lambda m: per_minute(
        m, count(failed(m.week_ago.calls(*ALL)))
    ),
    "Firing alerts/A": lambda _: {
        labels(
            severity="critical",
            alertname="BandwidthVoiceInTest",
            fault_domain="application",
            direction=direction,
        ): 1
        for direction in DIRECTIONS
    },
    "Recent error ids/A": error_ids,
    "Inbound against outbound/A": lambda m: share(
        directed(m, failed(m.now.calls(*ALL))), count(m.now.calls(*CALLS), "direction"), "direction"
    ),
    "Inbound against outbound/B": lambda m: shares(
        failed(m.week_ago.calls(*ALL)), m.week_ago.calls(*CALLS)
    ),
    "Cut off mid-conversation, per minute by cause/A": lambda m: per_minute(
        m, count(answered(failed(m.now.calls(*ALL))), "cause")
    ),
    "Cut off mid-conversation, per minute by cause/B": lambda m: per_minute(
        m, count(answered(failed(m.week_ago.calls(*ALL))))
    ),
    "Short calls over time/A": lambda m: shares(
        short(m.now.calls(*CALLS)), answered(m.now.calls(*CALLS))
    ),
    "Short calls over time/B": lambda m: shares(
        short(m.week_ago.calls(*CALLS)), answered(m.week_ago.calls(*CALLS))
    ),
    "Setup time, p95/A": quantiles(0.95, catalog.SETUP, "setup", "direction", by="direction"),
    "Setup time, p95/B": quantiles(
        0.95, catalog.SETUP, "setup", "direction", by="direction", week_ago=True
    ),
    "Time until given up, p50/A": quantiles(
        0.5, catalog.UNANSWERED, "unanswered", "direction", "fault_domain", by="fault_domain"
    ),
    "Time until given up, p50/B": quantiles(
        *(0.5, catalog.UNANSWERED, "unanswered", "direction", "fault_domain"),
        by="fault_domain",
        week_ago=True,
    ),
    "Time in the queue, p95/A": quantiles(
        0.95, catalog.QUEUE, "queue", "direction", by="direction"
    ),
    "Time in the queue, p95/B": quantiles(
        0.95, catalog.QUEUE, "queue", "direction", by="direction", week_ago=True
    ),
    "SIP rejections per minute by code/A": lambda m: per_minute(
        m, count([leg for leg in m.now.calls() if leg.code is not None], "code")
    ),
    "Second legs of transfers per minute by cause/A": lambda m: per_minute(
        m, count(m.now.of(TRANSFER_DISCONNECT, "direction", "fault_domain", "cause"), "cause")
    ),
}

EXPORTER: Mapping[str, Expected] = {
    "Up/A": each(1),
    "Version/A": version,
    "Last event/A": last_event(obeyed=False),
    "Last event/B": lambda m: scaled(count(m.week_ago.calls()), lambda number: 3600 / number),
    "Durability/A": each(1),
    "Storage/A": each(0),
    "Configuration files/A": lambda _: {NOTHING: 1},
    "Configuration files/B": lambda _: {labels(listener=name): 1 for name in ("ops", "webhook")},
    "Calls in the hour before/A": lambda m: count(m.now.calls()),
    "Calls in the hour before/B": lambda m: count(m.week_ago.calls()),
    "Requests per minute by code/A": lambda m: per_minute(m, codes(m)),
    "Rejections per minute by reason/A": nothing,
    "Events per minute by result/A": lambda m: per_minute(m, results(m)),
    "Delivery delay/A": scraped_quantile(0.5, catalog.DELAY),
    "Delivery delay/B": scraped_quantile(0.95, catalog.DELAY),
    "Delivery delay/C": scraped_quantile(0.99, catalog.DELAY),
    "Last event by application/A": last_event("application", obeyed=False),
    "Ledger commits/A": scraped_quantile(0.5, catalog.LEDGER_COMMIT),
    "Ledger commits/B": scraped_quantile(0.95, catalog.LEDGER_COMMIT),
    "Ledger commits/C": scraped_quantile(0.99, catalog.LEDGER_COMMIT),
    "Ledger errors per minute/A": nothing,
    "Events not recorded, per minute/A": nothing,
    "Calls in the ledger/A": lambda m: {
        labels(instance=m.instance): len(m.now.of(DISCONNECT)) + len(m.now.of(TRANSFER_DISCONNECT))
    },
    "Size of the ledger/A": last(catalog.LEDGER_BYTES.name, "instance"),
    "Calls taken out per minute/A": lambda _: {
        labels(kind=kind): 0 for kind in ("failure", "normal")
    },
    "Calls can be looked up for/A": nothing,
    "Label overflow per minute/A": nothing,
    "Unusable fields per minute/A": nothing,
    "TLS handshakes given up, per minute/A": nothing,
    "Handlers/A": nothing,
    "Handlers' answers per minute by code/A": nothing,
    "Seconds to a handler's answer, p95/A": nothing,
    "Requests that wait for a handler/A": nothing,
    "Unanswered by handlers, per minute/A": nothing,
    "Last comparison/A": nothing,
    "Listed calls per minute by verdict/A": nothing,
    "Share of listed calls that webhooks reported/A": nothing,
    "Comparisons in vain, per minute/A": nothing,
    "Duration of a scrape/A": last("scrape_duration_seconds", "instance"),
    "Samples of a scrape/A": last("scrape_samples_scraped", "instance"),
    "Processor/A": processor,
    "Memory/A": last("process_resident_memory_bytes", "instance"),
}

EXPECTED: Mapping[str, Expected] = {
    f"{dashboard}/{key}": expected
    for dashboard, table in (
        ("outcomes", OUTCOMES),
        ("failures", FAILURES),
        ("exporter", EXPORTER),
    )
    for key, expected in table.items()
}

# Panels that should be empty; each is shown with something in a run that provokes it.
EMPTY_IN_HEALTH = {key for key, expected in EXPECTED.items() if expected is nothing}

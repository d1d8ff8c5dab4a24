"""Panels on the ledger: whether every call is on disk, and for how long."""

from bandwidth_voice_exporter.dashboards.colour import GREEN, RED, Json
from bandwidth_voice_exporter.dashboards.panel import About, Look, Target, lines, stat
from bandwidth_voice_exporter.dashboards.pieces import (
    NO_CALLS,
    NONE,
    NOT_SCRAPED,
    by_name,
    counts,
    each,
    quantiles,
)
from bandwidth_voice_exporter.dashboards.query import Scope, per_minute
from bandwidth_voice_exporter.metrics import catalog

SCOPE = Scope()


def durable() -> Json:
    """Return whether calls are on disk before they are answered."""
    about = About(
        "Durability",
        "Whether each call is on disk before it is answered.",
        "free space or mend the disk; do not restart the exporter before: calls counted "
        "meanwhile are only in its memory.",
        NOT_SCRAPED,
    )
    words = {"1": ("durable", "green"), "0": ("NOT DURABLE", "red")}
    expr = f"min by (instance) ({SCOPE.of(catalog.LEDGER_UP)})"
    return stat(about, Look("short", words=words), each(expr))


def memory() -> Json:
    """Return whether there is a disk at all."""
    about = About(
        "Storage",
        "Whether the ledger is on disk or, without a storage path, in memory only.",
        "in memory, all counters begin at 0 with each restart: set `--storage.path`.",
        NOT_SCRAPED,
    )
    words = {"0": ("disk", "green"), "1": ("memory", "orange")}
    expr = f"max by (instance) ({SCOPE.of(catalog.LEDGER_IN_MEMORY)})"
    return stat(about, Look("short", words=words), each(expr))


def commits() -> Json:
    """Return how long the disk takes."""
    about = About(
        "Ledger commits",
        "How long the disk took for a commit; each event is answered after one.",
        "above a second the disk is too slow or shared: Bandwidth gives up after 15 s.",
        NO_CALLS,
    )
    return quantiles(about, catalog.LEDGER_COMMIT)


def errors() -> Json:
    """Return what the disk refused."""
    return counts(
        About(
            "Ledger errors per minute",
            "Disk operations of the ledger that failed.",
            "the disk is full, read-only or broken; the log says which.",
            NONE,
        ),
        catalog.LEDGER_ERRORS,
        "operation",
        {},
    )


def not_recorded() -> Json:
    """Return what only memory holds."""
    return counts(
        About(
            "Events not recorded, per minute",
            "Events that were counted and answered before the disk had them.",
            "they are in memory only: mend the disk before the exporter is restarted.",
            NONE,
        ),
        catalog.LEDGER_NOT_RECORDED,
        "instance",
        {},
    )


def rows() -> Json:
    """Return how many calls can be looked up."""
    about = About(
        "Calls in the ledger",
        "Call legs that can be looked up.",
        "a fall without a change of the retention: see the calls taken out.",
        NOT_SCRAPED,
    )
    expr = f"sum by (instance) ({SCOPE.of(catalog.LEDGER_ROWS)})"
    return by_name(lines(about, Look("locale", decimals=0), each(expr)))


def size() -> Json:
    """Return how much disk they take."""
    about = About(
        "Size of the ledger",
        "On disk, write-ahead log included.",
        "near `--storage.max-bytes` calls go before their time: raise it, or shorten the "
        "retention.",
        NOT_SCRAPED,
    )
    expr = f"sum by (instance) ({SCOPE.of(catalog.LEDGER_BYTES)})"
    return by_name(lines(about, Look("bytes"), each(expr)))


def pruned() -> Json:
    """Return how many were taken out."""
    about = About(
        "Calls taken out per minute",
        "Call legs taken out of the ledger for their age or its size; no counter changes for it.",
        "failures leave before `--storage.retention`: the ledger reached `--storage.max-bytes`.",
        NOT_SCRAPED,
    )
    expr = per_minute("kind", SCOPE.of(catalog.LEDGER_PRUNED))
    return lines(about, Look("cpm", {"failure": RED, "normal": GREEN}), Target(expr, "{{kind}}"))


def pruned_before() -> Json:
    """Return how far back they reach."""
    about = About(
        "Calls can be looked up for",
        "How far back the ledger reaches, where calls were taken out already.",
        "shorter than the retention: the ledger reached `--storage.max-bytes`.",
        "all since the beginning",
    )
    expr = f"time() - max by (kind) ({SCOPE.of(catalog.LEDGER_PRUNED_BEFORE)} > 0)"
    return stat(about, Look("s", {"failure": RED, "normal": GREEN}), Target(expr, "{{kind}}"))

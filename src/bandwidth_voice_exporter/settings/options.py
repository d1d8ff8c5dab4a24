"""The table of everything that can be set: flag, environment variable, key of the file, default."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bandwidth_voice_exporter.settings.database import database, replica
from bandwidth_voice_exporter.settings.values import (
    account,
    addresses,
    applications,
    choice,
    count,
    directory,
    duration,
    hosts,
    networks,
    origin,
    path,
    prefix,
    routes,
    secure_url,
    service,
    size,
    switch,
    url,
)

ENVIRONMENT_PREFIX = "BANDWIDTH_VOICE_EXPORTER_"
CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG_FILE"
USERNAME, PASSWORD = "WEBHOOK_USERNAME", "WEBHOOK_PASSWORD"  # variables, in which they are

_MAY_BE_EMPTY = (applications, hosts, networks, routes)


class Option(msgspec.Struct, frozen=True):
    """One thing that can be set, by a flag, an environment variable and a key of the file."""

    flag: str
    group: str
    default: str
    help: str
    parse: Callable[[str], Any]
    metavar: str = ""

    @property
    def field(self) -> str:
        """Its attribute in Settings."""
        return re.sub(r"[.-]", "_", self.flag)

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return ENVIRONMENT_PREFIX + self.field.upper()

    @property
    def is_switch(self) -> bool:
        """Whether the flag stands alone."""
        return self.parse is switch

    @property
    def is_repeatable(self) -> bool:
        """Whether the flag may be given several times."""
        return self.parse in (addresses, *_MAY_BE_EMPTY)

    @property
    def may_be_empty(self) -> bool:
        """Whether nothing is a value of it: a list without anything in it."""
        return self.parse in _MAY_BE_EMPTY


_WEBHOOK, _WEB = "webhook listener (public)", "ops listener (private)"
_FORWARD, _RECONCILE = "forwarding", "reconciliation"
_LABELS, _ERRORS = "labels", "error ids"
_METRICS, _STORAGE, _LEDGER, _LOG = "metrics", "storage", "shared ledger", "logging"

OPTIONS = (
    Option(
        "webhook.listen-address",
        _WEBHOOK,
        "",
        "where Bandwidth's events come in, :PORT being every address; :10061 with credentials, "
        "localhost:10061 without; may be given several times, in the environment with commas",
        addresses,
        "HOST:PORT",
    ),
    Option("webhook.path", _WEBHOOK, "/webhooks/voice", "path of the webhook URL", path, "PATH"),
    Option(
        "webhook.credentials-file",
        _WEBHOOK,
        "",
        f"user:password lines, each of which is accepted; read again when it changes. "
        f"{USERNAME} and {PASSWORD} in the environment give one more pair",
        Path,
        "FILE",
    ),
    Option(
        "webhook.allow-unauthenticated",
        _WEBHOOK,
        "false",
        "let anybody who reaches the webhook listener send events",
        switch,
    ),
    Option(
        "webhook.config.file",
        _WEBHOOK,
        "",
        "TLS of the webhook listener, as in --web.config.file; read again when it or a file that "
        "it names changes",
        Path,
        "FILE",
    ),
    Option("webhook.max-body-bytes", _WEBHOOK, "64KiB", "largest event that is read", size, "SIZE"),
    Option(
        "webhook.max-connections",
        _WEBHOOK,
        "4096",
        "connections at once; beyond, those without a request go, and new ones wait, but up to "
        "200 from known addresses",
        count,
        "N",
    ),
    Option(
        "webhook.trusted-proxies",
        _WEBHOOK,
        "",
        "address or network whose X-Forwarded-For is believed, for the log; may be given several "
        "times, in the environment with commas",
        networks,
        "CIDR",
    ),
    Option(
        "forward.url",
        _FORWARD,
        "",
        "handler that each request to --webhook.path is passed on to, and whose answer is the "
        "answer; without a path the request's own is kept",
        origin,
        "URL",
    ),
    Option(
        "forward.route",
        _FORWARD,
        "",
        "another path and its handler; a path that ends with / is all under it; may be given "
        "several times, in the environment with commas",
        routes,
        "PATH=URL",
    ),
    Option(
        "forward.credentials-file",
        _FORWARD,
        "",
        "a line user:password for the handlers; without, they get the credentials that came",
        Path,
        "FILE",
    ),
    Option(
        "forward.timeout",
        _FORWARD,
        "10s",
        "how long a handler is tried and waited for, from the request on; less than Bandwidth "
        "waits, which is 15s or the callbackTimeout",
        duration,
        "DURATION",
    ),
    Option(
        "forward.ca-file",
        _FORWARD,
        "",
        "certificates that sign the handlers', in place of the system's",
        Path,
        "FILE",
    ),
    Option(
        "forward.max-body-bytes",
        _FORWARD,
        "1MiB",
        "largest request that is passed on; one too large for an event is passed on uncounted",
        size,
        "SIZE",
    ),
    Option(
        "forward.on-failure",
        _FORWARD,
        "close",
        "Bandwidth's answer if a handler gives none: close the connection, so that it "
        "sends again, or 204 for events that want no BXML",
        choice("close", "204"),
        "close|204",
    ),
    Option(
        "reconcile.account",
        _RECONCILE,
        "",
        "id of the Bandwidth account whose list of calls the ledger is compared with",
        account,
        "ID",
    ),
    Option(
        "reconcile.credentials-file",
        _RECONCILE,
        "",
        "a line CLIENT_ID:SECRET, which nobody else may read; read again for each token",
        Path,
        "FILE",
    ),
    Option(
        "reconcile.interval",
        _RECONCILE,
        "10m",
        "time between two comparisons",
        duration,
        "DURATION",
    ),
    Option(
        "reconcile.settle",
        _RECONCILE,
        "15m",
        "how late a call may appear in the list: younger ones are not compared yet",
        duration,
        "DURATION",
    ),
    Option(
        "reconcile.record",
        _RECONCILE,
        "false",
        "count the calls that webhooks missed, not only report them; this says that no other "
        "exporter with a ledger of its own gets calls of the account",
        switch,
    ),
    Option(
        "reconcile.api-url",
        _RECONCILE,
        "https://voice.bandwidth.com/api/v2",
        "where the list of calls is",
        secure_url,
        "URL",
    ),
    Option(
        "reconcile.token-url",
        _RECONCILE,
        "https://api.bandwidth.com/api/v1/oauth2/token",
        "where tokens are",
        secure_url,
        "URL",
    ),
    Option(
        "web.listen-address",
        _WEB,
        ":10060",
        "where metrics, health and pages are, :PORT being every address; keep it off the internet; "
        "may be given several times, in the environment with commas",
        addresses,
        "HOST:PORT",
    ),
    Option(
        "web.config.file",
        _WEB,
        "",
        "TLS and users of the ops listener, in exporter-toolkit's format; read again when it or a "
        "file that it names changes",
        Path,
        "FILE",
    ),
    Option("web.telemetry-path", _WEB, "/metrics", "path of the metrics", path, "PATH"),
    Option(
        "web.external-url",
        _WEB,
        "",
        "where a browser finds the ops listener, if not at its own address: links begin with its "
        "path, and its name is an allowed host",
        url,
        "URL",
    ),
    Option(
        "web.route-prefix",
        _WEB,
        "",
        "prefix of every path of the ops listener; without, the path of --web.external-url",
        prefix,
        "PATH",
    ),
    Option(
        "web.allowed-host",
        _WEB,
        "",
        "name by which a browser may ask for the pages, beside addresses, this machine's name and "
        "that of --web.external-url; may be given several times, in the environment with commas",
        hosts,
        "NAME",
    ),
    Option(
        "web.pages-public",
        _WEB,
        "false",
        "show the pages to everybody who reaches the ops listener; without users they answer this "
        "machine only",
        switch,
    ),
    Option(
        "web.alerts-url",
        _WEB,
        "",
        "a Prometheus or an Alertmanager, whose firing alerts the status page shows; without, none "
        "is asked",
        service,
        "URL",
    ),
    Option(
        "labels.application",
        _LABELS,
        "",
        "name of an application in labels; may be given several times, in the environment "
        "with commas",
        applications,
        "ID=NAME",
    ),
    Option(
        "labels.max-applications",
        _LABELS,
        "50",
        "applications without a name that get a label value of their own; the rest is other",
        count,
        "N",
    ),
    Option(
        "labels.max-new-causes",
        _LABELS,
        "8",
        "causes not known to this version that get a label value of their own; the rest is other",
        count,
        "N",
    ),
    Option("errors.max-ids", _ERRORS, "100", "most recent error ids in metrics", count, "N"),
    Option(
        "errors.max-new-per-minute",
        _ERRORS,
        "10",
        "error ids let into metrics in a minute, over all causes",
        count,
        "N",
    ),
    Option(
        "metrics.newborn-hold",
        _METRICS,
        "65s",
        "how long a new label set is shown at 0 to Prometheus; at least the longest scrape "
        "interval, twice that to survive a failed scrape",
        duration,
        "DURATION",
    ),
    Option(
        "metrics.native-histograms",
        _METRICS,
        "false",
        "durations as native histograms by application too, for a Prometheus that asks for them",
        switch,
    ),
    Option("no-exemplars", _METRICS, "false", "no call ids beside the metrics", switch),
    Option(
        "storage.path",
        _STORAGE,
        "",
        "directory of the ledger; without, $STATE_DIRECTORY, or bandwidth-voice-exporter in "
        "$XDG_STATE_HOME (~/.local/state); empty keeps everything in memory, where it ends with "
        "the process",
        directory,
        "DIR",
    ),
    Option(
        "storage.retention",
        _STORAGE,
        "7d",
        "how long failed calls can be looked up",
        duration,
        "DURATION",
    ),
    Option(
        "storage.retention-normal",
        _STORAGE,
        "3d",
        "how long other calls can be looked up, and redeliveries of any be recognised",
        duration,
        "DURATION",
    ),
    Option(
        "storage.max-bytes",
        _STORAGE,
        "2GiB",
        "most disk the ledger takes; calls go before their time then, normal ones first",
        size,
        "SIZE",
    ),
    Option(
        "storage.allow-network-fs",
        _STORAGE,
        "false",
        "use a directory on a network file system, where SQLite may lose data",
        switch,
    ),
    Option(
        "ledger.url",
        _LEDGER,
        "",
        "PostgreSQL database that several exporters share, postgresql://USER@HOST/DATABASE; its "
        "password is in a file. --storage.path is empty then, unless it is given: calls wait there "
        "while the database is away",
        database,
        "URL",
    ),
    Option(
        "ledger.password-file",
        _LEDGER,
        "",
        "the password of the database's role, on a line; read again for each connection. Without, "
        "PGPASSFILE or PGPASSWORD",
        Path,
        "FILE",
    ),
    Option(
        "ledger.key-file",
        _LEDGER,
        "",
        "a key that all exporters have, of 16 to 64 bytes, to tell apart calls whose ids may be "
        "somebody's number",
        Path,
        "FILE",
    ),
    Option(
        "replica.name",
        _LEDGER,
        "",
        "name that this exporter counts under in a shared ledger, and goes on with wherever it is "
        "started; without, the host's",
        replica,
        "NAME",
    ),
    Option(
        "log.level",
        _LOG,
        "info",
        "lowest level that is logged: debug, info, warning or error",
        choice("debug", "info", "warning", "error", warn="warning"),
        "LEVEL",
    ),
    Option(
        "log.format",
        _LOG,
        "logfmt",
        "form of a log line: logfmt or json",
        choice("logfmt", "json"),
        "FORMAT",
    ),
)

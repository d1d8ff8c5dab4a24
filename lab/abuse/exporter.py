"""The scripts' common parts: a program to abuse, a client that keeps time, a place for figures."""

import asyncio
import base64
import json
import math
import os
import random
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
WEBHOOK_PATH = "/webhooks/voice"
SERVER_CORE, LOAD_CORE = 0, 1
USER, PASSWORD = "bandwidth", "correct horse"
APPLICATION = "04e88489-df02-4e34-a0ee-27a91849555f"

_SAMPLE = re.compile(r"^([a-z_]\w*)(?:\{(.*)\})? (\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TICKS = os.sysconf("SC_CLK_TCK")

Labels = frozenset[tuple[str, str]]
Samples = dict[tuple[str, Labels], float]


@dataclass
class Running:
    """A started exporter."""

    webhook: tuple[str, int]
    ops: str
    pid: int

    def resident(self) -> float:
        """Resident memory in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024 / 1e6

    def processor_seconds(self) -> float:
        """Processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def loop_seconds(self) -> float:
        """Processor time that its event loop's thread has used, to the nanosecond."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def scrape(self, accept: str = "text/plain", *, is_prometheus: bool = False) -> str:
        """The text of /metrics."""
        headers = {"Accept": accept}
        if is_prometheus:
            headers["X-Prometheus-Scrape-Timeout-Seconds"] = "10"
        request = urllib.request.Request(f"http://{self.ops}/metrics", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text: str = answer.read().decode()
        return text

    def metrics(self) -> Samples:
        """The samples of /metrics as they are now, by name and labels."""
        return parse(self.scrape())

    def counted(self) -> int:
        """The calls that /metrics shows."""
        return round(total(self.metrics(), "bandwidth_voice_calls_total"))


def parse(text: str) -> Samples:
    """The samples of a scrape; no label value has a quotation mark in it."""
    return {
        (name, frozenset(_LABEL.findall(pairs))): float(value)
        for name, pairs, value in _SAMPLE.findall(text)
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    wanted = labels.items()
    return sum(
        value for (found, pairs), value in samples.items() if found == name and wanted <= set(pairs)
    )


@contextmanager
def exporter(*args: str, credentials: bool = True) -> Iterator[Running]:
    """Run the exporter on its core, with or without credentials and with a ledger on disk."""
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "bandwidth_voice_exporter"]
    command += ["--webhook.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0"]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:  # on a disk
        log = Path(directory) / "log"
        command += [f"--storage.path={directory}/data", "--log.format=json", *args]
        pair = {"WEBHOOK_USERNAME": USER, "WEBHOOK_PASSWORD": PASSWORD} if credentials else {}
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=stderr, env={**os.environ, **pair}
            )
        try:
            webhook = _address(process, log, "webhook")
            host, _, port = webhook.rpartition(":")
            yield Running((host, int(port)), _address(process, log, "ops"), process.pid)
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            process.wait()
            assert "Traceback" not in log.read_text(), log.read_text()


def _address(process: subprocess.Popen[bytes], log: Path, listener: str) -> str:
    ready = re.compile(rf'"{listener} listener ready", "address": "([^"]+)"')
    while not (match := ready.search(log.read_text())):
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    return match[1]


def take_load_core() -> None:
    """Stay off the exporter's core."""
    os.sched_setaffinity(0, {LOAD_CORE})


def ended_call(dice: random.Random, **fields: Any) -> dict[str, Any]:
    """One ended call with an id of its own; a minute long, answered after ten seconds."""
    return {
        "eventType": "disconnect",
        "applicationId": APPLICATION,
        "from": "+15555550100",
        "to": "+15555550101",
        "callId": f"c-{dice.randbytes(4).hex()}-{uuid.UUID(bytes=dice.randbytes(16))}",
        "direction": "outbound",
        "startTime": "2026-06-01T12:00:00.000Z",
        "answerTime": "2026-06-01T12:00:10.000Z",
        "endTime": "2026-06-01T12:01:00.000Z",
        "cause": "hangup",
        **fields,
    }


def authorization(user: str = USER, password: str = PASSWORD) -> str:
    """The header line of Basic credentials."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return f"Authorization: Basic {pair}"


def head(length: int, credentials: str, *, is_last: bool = False) -> bytes:
    """The head of a POST with a body of this many bytes."""
    lines = (
        f"POST {WEBHOOK_PATH} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        credentials,
        *(("Connection: close",) if is_last else ()),
        f"Content-Length: {length}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def request(event: dict[str, Any], *, is_last: bool = False) -> bytes:
    """A delivery of an event; the connection's last one where so said."""
    body = json.dumps(event).encode()
    return head(len(body), authorization(), is_last=is_last) + body


class Connection(asyncio.Protocol):
    """One connection that sends a request, takes the answer, sends the next."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[int] | None = None
        self._data = b""
        self.is_open = False

    @classmethod
    async def to(cls, address: tuple[str, int], tls: ssl.SSLContext | None = None) -> "Connection":
        """Open one. Raises OSError."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(cls, *address, ssl=tls)
        return protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self._transport = transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Take (a part of) an answer; those to events have no body, refusals have one."""
        self._data += data
        start, end, body = self._data.partition(b"\r\n\r\n")
        length = _LENGTH.search(start)
        is_whole = end and len(body) >= (int(length[1]) if length else 0)
        if is_whole and self._waiter and not self._waiter.done():
            self._waiter.set_result(int(self._data[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.is_open = False
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(exc or ConnectionResetError("closed without an answer"))

    async def deliver(self, delivery: bytes) -> int:
        """Send a request, return the answer's status. Raises OSError where there is none."""
        if not self.is_open or self._transport is None:
            raise ConnectionResetError("closed before the request")
        self._data = b""
        self._waiter = self._loop.create_future()
        self._transport.write(delivery)
        return await self._waiter

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        if self._transport:
            self._transport.abort()


def percentile(values: list[float], share: float) -> float:
    """The smallest value that so large a share of all is not above."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


@dataclass
class Report:
    """The figures of a script, each beside what it must be."""

    name: str
    title: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    folder: Path = RESULTS

    def __post_init__(self) -> None:
        """Note what else the machine does."""
        self._load = os.getloadavg()[0]
        self._processors = _processor_ticks()
        self._began = time.time()

    def figure(self, what: str, measured: str, limit: str = "", *, is_met: bool = True) -> None:
        """Add a row; one without a limit is only told."""
        self.rows.append({"what": what, "measured": measured, "limit": limit, "met": is_met})

    def finish(self) -> None:
        """Write results/NAME.json, print the rows, exit with 1 where a limit was not met."""
        busy = _processor_ticks() - self._processors
        machine = {
            "processors": os.cpu_count(),
            "load_average_before": round(self._load, 2),
            "load_average_after": round(os.getloadavg()[0], 2),
            "busy_share": round(busy["busy"] / max(1, busy.total()), 3),
            "seconds": round(time.time() - self._began),
            "python": sys.version.split()[0],
        }
        result = {
            "title": self.title,
            "rows": self.rows,
            "machine": machine,
            "details": self.details,
        }
        self.folder.mkdir(exist_ok=True)
        self.folder.joinpath(f"{self.name}.json").write_text(json.dumps(result, indent=2) + "\n")
        print(f"{self.title}  {machine}")
        for row in self.rows:
            mark = "    " if row["met"] else "MISS"
            print(f"  {mark} {row['what']:58} {row['measured']:>22}  {row['limit']}")
        if not all(row["met"] for row in self.rows):
            sys.exit(1)


def _processor_ticks() -> Counter[str]:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    ticks = [int(value) for value in fields]
    idle = ticks[3] + ticks[4]
    return Counter(busy=sum(ticks) - idle, idle=idle)


def needs(*programs: str) -> None:
    """Exit where a program is not there."""
    for program in programs:
        if not shutil.which(program):
            sys.exit(f"this needs {program} on PATH")

"""A real Prometheus that takes samples of any time and evaluates expressions over them."""

import os
import shutil
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import numpy as np
import numpy.typing as npt

from lab.alert_quality.samples import Series, requests
from lab.alert_quality.traffic import Floats
from testkit.closing import Closing
from testkit.process import Process

_UNPACKED = Path(__file__).resolve().parents[2] / ".tools" / "prometheus" / "usr" / "bin"
_POINTS = 10_900  # of one query; Prometheus refuses more than 11,000
_PATIENCE = 60.0  # seconds until it listens
_LISTENING = r'msg="?Listening on.*address="?(127\.0\.0\.1:\d+)'
_FLAGS = (
    # Everything stays in the head: nothing is compacted, and nothing is too old to be written.
    "--storage.tsdb.min-block-duration=100d",
    "--storage.tsdb.max-block-duration=100d",
    "--storage.tsdb.retention.time=100y",
    "--web.enable-remote-write-receiver",
    "--web.listen-address=127.0.0.1:0",
    "--query.max-samples=500000000",
    "--query.timeout=1h",
)


class Grid(msgspec.Struct, frozen=True):
    """Moments of evaluation: ``count`` of them from ``start`` on, in unix milliseconds."""

    start: int
    step: int
    count: int

    @property
    def times(self) -> npt.NDArray[np.int64]:
        """All of them."""
        return self.start + self.step * np.arange(self.count, dtype=np.int64)


class Result(msgspec.Struct, frozen=True):
    """One series of an answer: its labels, and the values at some of the grid's moments."""

    labels: Mapping[str, str]
    at: npt.NDArray[np.int64]  # indices into the grid
    values: Floats


class _Range(msgspec.Struct):
    metric: dict[str, str]
    values: msgspec.Raw


class _Data(msgspec.Struct):
    result: list[_Range]


class _Answer(msgspec.Struct):
    data: _Data


class Storage:
    """What a running Prometheus has stored, over its API; it must take remote writes."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def write(self, series: Iterable[Series]) -> None:
        """Store samples; a series' own must come in the order of their times."""
        everything = list(series)
        # Prometheus remembers who wrote what until the series is written to again, and looks it
        # up for every sample it reads: the last sample goes separately, or all reading is slow.
        self._post(_cut(one, slice(None, -1)) for one in everything)
        self._post(_cut(one, slice(-1, None)) for one in everything)

    def _post(self, series: Iterable[Series]) -> None:
        for body in requests(one for one in series if one.times.size):
            self._request("POST", "/api/v1/write", body, {"Content-Encoding": "snappy"})

    def evaluate(self, expr: str, grid: Grid) -> list[Result]:
        """Evaluate an expression at every moment of a grid."""
        parts: dict[tuple[tuple[str, str], ...], list[tuple[npt.NDArray[np.int64], Floats]]] = {}
        for first in range(0, grid.count, _POINTS):
            last = min(first + _POINTS, grid.count) - 1
            body = urlencode(
                {
                    "query": expr,
                    "start": (grid.start + first * grid.step) / 1000,
                    "end": (grid.start + last * grid.step) / 1000,
                    "step": grid.step / 1000,
                }
            ).encode()
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._request("POST", "/api/v1/query_range", body, form)
            for one in msgspec.json.decode(answer, type=_Answer).data.result:
                at, values = _points(one.values, grid)
                # A rule's result has no name of its own, so that `a or b` is one series.
                key = tuple(sorted((k, v) for k, v in one.metric.items() if k != "__name__"))
                parts.setdefault(key, []).append((at, values))
        return [_joined(dict(key), found) for key, found in parts.items()]

    def _request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status not in {200, 204}:
            raise RuntimeError(f"{answer.status}: {content[:1000].decode()} to {body[:1000]!r}")
        return content


class Server(Storage, Closing):
    """Runs until the context is left; keeps its storage in the directory."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("prometheus") or shutil.which("prometheus", path=str(_UNPACKED))
        assert program is not None, "prometheus not found, see `make test-deps`"
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / "prometheus.yml"
        config.write_text("{}\n")
        command = [program, f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}"]
        # One core each: what runs beside it is another run.
        environment = {**os.environ, "GOMAXPROCS": "1", "GOGC": "300"}
        self._process = Process([*command, *_FLAGS], directory, environment)
        try:
            super().__init__(self._connect())
        except BaseException:
            self._process.kill()
            raise

    def _connect(self) -> HTTPConnection:
        address = self._process.wait_for_log(_LISTENING, _PATIENCE)[1]
        connection = HTTPConnection(address)

        def is_ready() -> bool:
            connection.request("GET", "/-/ready")
            answer = connection.getresponse()
            answer.read()
            return answer.status == HTTPStatus.OK

        self._process.wait_until(is_ready, "ready", _PATIENCE)
        return connection

    def cpu_seconds(self) -> float:
        """What Prometheus has spent so far, on all cores."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Kill it: what it has stored is of no use any more."""
        self._connection.close()
        self._process.kill()


def _cut(series: Series, part: slice) -> Series:
    return Series(series.labels, series.times[part], series.values[part])


def _joined(labels: Mapping[str, str], parts: list[tuple[npt.NDArray[np.int64], Floats]]) -> Result:
    at = np.concatenate([at for at, _ in parts])
    values = np.concatenate([values for _, values in parts])
    order = np.argsort(at, kind="stable")
    at = at[order]
    if (np.diff(at) == 0).any():
        raise RuntimeError(f"two results at a time have the labels {dict(labels)}")
    return Result(labels, at, values[order])


def _points(raw: msgspec.Raw, grid: Grid) -> tuple[npt.NDArray[np.int64], Floats]:
    """Read `[[1.5,"2"],…]`: ten times as fast without making Python objects of it."""
    numbers = np.fromstring(bytes(raw).translate(None, b'[]"').decode(), sep=",").reshape(-1, 2)
    at = np.rint((numbers[:, 0] * 1000 - grid.start) / grid.step).astype(np.int64)
    return at, numbers[:, 1].copy()

"""Bandwidth's list of calls, as its API has it, with the faults that such a server has.

Answers are made by the SDK's own model of a call. The SDK itself has its hosts built in.
"""

import base64
import email.utils
import json
import ssl
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from testkit.bandwidth import NUMBER
from testkit.closing import Closing
from testkit.handler import Handler, Request, Wire

ACCOUNT = "9900001"
CLIENT, SECRET = "CL-5d1f", "s3cret-of-the-list"
API, TOKEN = "/api/v2", "/api/v1/oauth2/token"
KEPT = timedelta(days=7)
NAME = "Rosalind Achterberg"
_STATE = import_module("bandwidth.models.call_state").CallState
_LARGEST_PAGE = 10_000


@dataclass
class Listed:
    """A call in the list: what it says, when it was created, from when on it shows it."""

    call_id: str
    created: datetime
    appears: datetime
    start: datetime | None
    end: datetime | None
    ended: str
    open: str


def state(event: Mapping[str, Any], *, is_open: bool = False) -> Any:
    """The list's entry of a call that an event is about: other fields, other digits of times."""
    times = {
        name: datetime.fromisoformat(event[name])
        for name in ("enqueuedTime", "startTime", "answerTime", "endTime")
        if event.get(name) and not (is_open and name == "endTime")
    }
    ended = {} if is_open else {"disconnectCause": event.get("cause")}
    return _STATE.model_validate(
        {
            "applicationId": event.get("applicationId"),
            "accountId": ACCOUNT,
            "callId": event["callId"],
            "parentCallId": event.get("parentCallId"),
            "to": NUMBER,
            "from": NUMBER,
            "direction": event.get("direction"),
            "state": "answered" if is_open else "disconnected",
            "stirShaken": {"verstat": f"TN-Validation-Passed {NUMBER}"},
            "identity": f'"{NAME}" <sip:{NUMBER}@example.com>',
            "errorMessage": event.get("errorMessage"),
            "errorId": event.get("errorId"),
            **times,
            **ended,
        }
    )


class Refusal(Exception):  # noqa: N818  # an answer
    """An answer of the API that is none."""

    def __init__(self, status: int, kind: str, **headers: str) -> None:
        super().__init__(kind)
        self.status = status
        self.kind = kind
        self.headers = headers


@dataclass
class CallList(Closing):
    """Listens on loopback; ``clock`` is Bandwidth's, ``faults`` befall the next requests of calls.

    A fault is a status (``"429"``, ``"500"``), ``half``, ``reset``, ``silent``, or the next page's
    address: ``again``, ``twice``, ``elsewhere``, ``password``, ``unreadable``.
    ``calls_file`` is one that ``simulate --calls-file`` writes: its calls are in the list too.
    """

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    tls: ssl.SSLContext | None = None
    faults: deque[str] = field(default_factory=deque)
    retry_after: str = "0"
    lasts: int = 3600  # seconds, of a token
    may_see: bool = True
    may_see_statistics: bool = True
    calls_file: Path | None = None
    calls: list[Listed] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin to listen."""
        self._is_sorted = True
        self._by_id: dict[str, Listed] = {}
        self._read_until = 0  # bytes of the file
        self.handler = Handler(self._answer, tls=self.tls)

    @property
    def flags(self) -> list[str]:
        """An exporter's flags for this list, but for its credentials."""
        return [
            f"--reconcile.account={ACCOUNT}",
            f"--reconcile.api-url={self.handler.url}{API}",
            f"--reconcile.token-url={self.handler.url}{TOKEN}",
        ]

    def add(self, event: Mapping[str, Any], *, after: timedelta = timedelta(0)) -> None:
        """Let there be a call, which ends when its event says, and appears so late in the list."""
        said = state(event)
        created = said.enqueued_time or said.start_time or self.clock()
        ended, still_open = (
            one.model_dump_json(
                by_alias=True,
                # A field without a value is missing from some calls, and null in others.
                exclude_none=len(self.calls) % 2 == 0,
                exclude={"additional_properties"},
            )
            for one in (said, state(event, is_open=True))
        )
        one = Listed(
            event["callId"],
            created,
            created + after,
            said.start_time,
            said.end_time,
            ended,
            still_open,
        )
        self._by_id[one.call_id] = one
        self.calls.append(one)
        self._is_sorted = False

    def revoke(self) -> None:
        """Take no token any more that was given until now."""
        self.tokens.clear()

    def asked(self, method: str = "GET") -> list[Request]:
        """The requests of the API so far."""
        return [
            one
            for one in self.handler.requests
            if one.method == method and not one.target.startswith(TOKEN)
        ]

    def close(self) -> None:
        """End."""
        self.handler.close()

    def read_calls(self) -> None:
        """List the calls that were written to the file since it was last read."""
        if self.calls_file is None or not self.calls_file.exists():
            return
        with self.calls_file.open("rb") as file:
            file.seek(self._read_until)
            for line in file:
                if line.endswith(b"\n"):
                    self.add(json.loads(line))
                    self._read_until += len(line)

    async def _answer(self, request: Request, wire: Wire) -> None:
        self.read_calls()
        headers = {"Date": email.utils.format_datetime(self.clock(), usegmt=True)}
        try:
            fault = self._fault(request)
            if fault == "reset":
                wire.reset()
            if fault in ("reset", "silent"):
                return
            body, more = self._read(request)
            if following := self._following(fault, request):
                more = {"Link": f'<{following}>; rel="next"'}
        except Refusal as refusal:
            said = {"type": refusal.kind, "description": f"of {NUMBER}", "id": str(uuid.uuid4())}
            await wire.answer(
                refusal.status, json.dumps(said).encode(), {**headers, **refusal.headers}
            )
            return
        data = body.encode()
        if fault == "half":
            data = data[: len(data) // 2]
        await wire.answer(200, data, {**headers, **more, "Content-Type": "application/json"})

    def _following(self, fault: str, request: Request) -> str:
        return {
            "again": f"{self.handler.url}{request.target}",
            "twice": f"{self.handler.url}{request.target}&pageToken=0",
            "elsewhere": f"http://localhost:9{request.target}",
            "password": f"http://a:b@{self.handler.address}{request.target}&pageToken=0",
            "unreadable": "http://[::1",
        }.get(fault, "")

    def _fault(self, request: Request) -> str:
        if not self.faults or request.target.startswith(TOKEN):
            return ""
        fault = self.faults.popleft()
        if fault.isdigit():
            headers = {
                "302": {"Location": f"http://localhost:9{request.target}"},
                "429": {"Retry-After": self.retry_after},
            }
            raise Refusal(int(fault), "at-present", **headers.get(fault, {}))
        return fault

    def _read(self, request: Request) -> tuple[str, dict[str, str]]:
        parts = urlsplit(request.target)
        given = next(iter(request.all("authorization")), "")
        if parts.path == TOKEN and request.method == "POST":
            return self._token(request, given), {}
        if request.method != "GET":
            raise Refusal(405, "method")
        if given.removeprefix("Bearer ") not in self.tokens:
            raise Refusal(401, "authentication-error")
        root, _, rest = parts.path.partition(f"/accounts/{ACCOUNT}")
        if root != API or not rest or not self.may_see:
            raise Refusal(403, "authorization-error")
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if rest == "/calls":
            return self._page(query)
        if rest == "/statistics":
            if not self.may_see_statistics:
                raise Refusal(403, "authorization-error")
            return json.dumps({"currentCallQueueSize": 3, "maxCallQueueSize": 900}), {}
        found = self._by_id.get(rest.removeprefix("/calls/"))
        if found is None or not self._is_listed(found):
            raise Refusal(404, "not-found")
        return self._text(found), {}

    def _token(self, request: Request, given: str) -> str:
        wanted = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if given != f"Basic {wanted}":
            raise Refusal(401, "invalid_client")
        if request.body != b"grant_type=client_credentials":
            raise Refusal(400, "unsupported_grant_type")
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": self.lasts})

    def _page(self, query: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        unknown = query.keys() - {"minStartTime", "maxStartTime", "pageSize", "pageToken"}
        size = int(query.get("pageSize", "1000"))
        if unknown or not 1 <= size <= _LARGEST_PAGE:
            raise Refusal(400, "validation")
        since = datetime.fromisoformat(query["minStartTime"])
        until = datetime.fromisoformat(query["maxStartTime"])
        if not self._is_sorted:
            self.calls.sort(key=lambda one: one.created)
            self._is_sorted = True
        first = int(query.get("pageToken", "0"), 36)
        page: list[str] = []
        for number in range(first, len(self.calls)):
            one = self.calls[number]
            if one.start and since <= one.start <= until and self._is_listed(one):
                if len(page) == size:
                    following = urlencode({**query, "pageToken": _base36(number)})
                    url = f"{self.handler.url}{API}/accounts/{ACCOUNT}/calls?{following}"
                    return f"[{','.join(page)}]", {"Link": f'<{url}>; rel="next"'}
                page.append(self._text(one))
        return f"[{','.join(page)}]", {}

    def _text(self, one: Listed) -> str:
        return one.open if one.end and one.end > self.clock() else one.ended

    def _is_listed(self, one: Listed) -> bool:
        now = self.clock()
        return one.appears <= now and (one.end is None or now - one.end < KEPT)


def credentials(directory: Any, secret: str = SECRET) -> str:
    """The flag of a file with credentials that only its owner reads."""
    file = directory / "client"
    file.write_text(f"# of the list\n{CLIENT}:{secret}\n")
    file.chmod(0o600)
    return f"--reconcile.credentials-file={file}"


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
        if not number:
            return digits

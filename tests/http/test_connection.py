"""When a connection's time is over, whatever happens on it in which order."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from bandwidth_voice_exporter.http import Bounds, Terms
from bandwidth_voice_exporter.http.connection import Connection
from bandwidth_voice_exporter.http.room import Room

LIMITS = Bounds()
HEAD = b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"
LONGEST = max(LIMITS.head_seconds, LIMITS.body_seconds)

Step = Callable[[Connection], None]


class Wire(asyncio.Transport):
    """A transport to a client of whom nothing is heard but what a test says."""

    is_closed = False
    is_paused = False

    def write(self, data: Any) -> None:
        pass

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse every request before its body."""
    del scope, receive
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def receives(data: bytes) -> Step:
    """The step in which these bytes come from the client."""

    def step(connection: Connection) -> None:
        connection.get_buffer(-1)[: len(data)] = data
        connection.buffer_updated(len(data))

    return step


def overdue_after(*steps: Step) -> float | None:
    """The seconds after some steps at which a connection's time is over, in steps of a second."""

    async def conversation() -> float | None:
        terms = Terms(max_connections=9, grace=1, reject=lambda *_: None)
        connection = Connection(Room(refusing, terms, ServerState()))
        connection.connection_made(Wire())
        for step in steps:
            step(connection)
            for _ in range(9):  # as many turns of the event loop as an answer may take
                await asyncio.sleep(0)
        now = connection.loop.time()
        return next((s for s in range(700) if connection.is_overdue(now + s)), None)

    return asyncio.run(conversation())


def test_a_body_is_read_to_its_end_after_its_refusal() -> None:
    """A client that had to wait, for much of its body came at once, goes on once it is refused."""

    async def conversation() -> list[bool]:
        terms = Terms(max_connections=9, grace=1, reject=lambda *_: None)
        connection = Connection(Room(refusing, terms, ServerState()))
        wire = Wire()
        connection.connection_made(wire)
        connection.trust()
        receives(b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n")(connection)
        for _ in range(20):
            receives(b"x" * 4096)(connection)
        paused = [wire.is_paused]
        for _ in range(9):
            await asyncio.sleep(0)
        return [*paused, wire.is_paused]

    assert asyncio.run(conversation()) == [True, False]


DEAF: Step = Connection.pause_writing
HEARS: Step = Connection.resume_writing


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [
        ((), LIMITS.head_seconds),
        ((receives(b"POST"),), LIMITS.head_seconds),
        ((receives(HEAD),), LIMITS.body_seconds),
        ((receives(HEAD), DEAF, HEARS), LIMITS.body_seconds),
        ((DEAF, receives(HEAD), HEARS), LIMITS.body_seconds),
        ((receives(HEAD + b"1"), DEAF, receives(b"2"), HEARS, receives(b"3")), LIMITS.body_seconds),
        ((receives(HEAD + b"123456789"), DEAF), LIMITS.body_seconds),
        ((receives(HEAD + b"123456789" + HEAD), DEAF, HEARS), LIMITS.body_seconds),
        ((receives(HEAD + b"123456789"),), LIMITS.idle_seconds),
        ((receives(HEAD + b"123456789"), DEAF, HEARS), LIMITS.idle_seconds),
        ((receives(HEAD + b"123456789"), receives(b"P")), LIMITS.head_seconds),
        ((receives(b"\x00"),), LIMITS.head_seconds),
    ],
    ids=[
        *("new", "in-a-head", "in-a-body", "late-to-hear", "deaf-before", "drop-by-drop"),
        *("deaf", "next-body", "idle", "idle-late-to-hear", "next-head", "closing"),
    ],
)
def test_every_wait_has_an_end(steps: tuple[Step, ...], seconds: float) -> None:
    """A connection's time is over when that of what it waits for is, and always at some time."""
    assert overdue_after(*steps) in (seconds, seconds + 1)

"""A handler of webhooks such as people have, which keeps what it was sent and may misbehave."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from testkit.closing import Closing

_LINGER_NOT = struct.pack("ii", 1, 0)  # closed so, a connection is reset


@dataclass(frozen=True)
class Request:
    """A request as it came: its line in two, its headers in order, its body without its framing."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for header, value in self.headers if header.lower() == name]


class Wire:
    """The connection that a request came on, for an answer of whatever kind."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        """Nothing is written yet."""
        self._writer = writer

    async def raw(self, data: bytes) -> None:
        """Write bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(
        self,
        status: int = 200,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        chunk: int = 0,
    ) -> None:
        """Write an answer, in chunks of so many bytes where asked for."""
        head = [f"HTTP/1.1 {status} As It Is"]
        if "Date" not in (headers or {}):
            head.append("Date: Sun, 01 Mar 2026 12:00:00 GMT")
        head += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if status not in (204, 304):
            head.append("Transfer-Encoding: chunked" if chunk else f"Content-Length: {len(body)}")
        await self.raw("\r\n".join((*head, "", "")).encode())
        if not chunk:
            await self.raw(body)
            return
        for at in range(0, len(body), chunk):
            part = body[at : at + chunk]
            await self.raw(b"%x\r\n%b\r\n" % (len(part), part))
        await self.raw(b"0\r\n\r\n")

    def reset(self) -> None:
        """End the connection as a program that crashes does."""
        self._writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT
        )
        self._writer.transport.abort()

    def close(self) -> None:
        """End the connection."""
        self._writer.close()


Application = Callable[[Request, Wire], Coroutine[Any, Any, None]]

_TURNS = 10  # of the loop: more than a connection takes from being accepted to being one of ours


@dataclass
class Handler(Closing):
    """Listens on a loopback port that stays its own; leaving the context ends all connections."""

    application: Application
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    address: str = ""

    def __post_init__(self) -> None:
        """Begin to listen."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._thread.start()
        self.start()

    @property
    def url(self) -> str:
        """Its origin."""
        return f"{'https' if self.tls else 'http'}://{self.address}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._do(self._start())

    def kill(self) -> None:
        """Listen no more, and reset what is connected."""
        self._do(self._kill())

    def close(self) -> None:
        """End."""
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def of(self, target: str) -> list[Request]:
        """The requests to a path so far, whatever their query."""
        return [one for one in self.requests if one.target.partition("?")[0] == target]

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def _start(self) -> None:
        port = int(self.address.rpartition(":")[2] or 0)
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", port, ssl=self.tls, backlog=2048
        )
        self.address = "{}:{}".format(*self._server.sockets[0].getsockname())

    async def _kill(self) -> None:
        if self._server:
            self._server.close()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        wire = Wire(writer)
        try:
            async for request in _requests(reader):
                self.requests.append(request)
                await self.application(request, wire)
        except asyncio.CancelledError:
            wire.reset()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has gone
        finally:
            self._connections.discard(task)
            writer.close()


async def _requests(reader: asyncio.StreamReader) -> AsyncIterator[Request]:
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            line, *lines = (
                (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            )
            method, target, _ = line.split(" ")
            headers = tuple((name, value) for name, _, value in (h.partition(": ") for h in lines))
            named = {name.lower(): value for name, value in headers}
            if "chunked" in named.get("transfer-encoding", ""):
                body = b""
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readuntil(b"\r\n")
            else:
                body = await reader.readexactly(int(named.get("content-length", "0")))
            yield Request(method, target, headers, body)

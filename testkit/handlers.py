"""The behaviour of handlers, good and bad, by the last part of the path that they are asked for."""

import asyncio
import gzip
import json
from urllib.parse import parse_qsl

from bandwidth.models.bxml import Hangup, Response  # type: ignore[import-untyped]  # without types

from testkit import bandwidth
from testkit.handler import Application, Request, Wire

# The events after which Bandwidth waits for BXML: an application of somebody's says so with these.
_SILENT = ("disconnect", "transferDisconnect", "recordingAvailable", "transcriptionAvailable")
LARGE = bytes(range(256)) * 4000  # a megabyte, of no text


async def bxml(request: Request, wire: Wire) -> None:
    """An application on the SDK: reads the event by its model and answers BXML, or 204."""
    fields = json.loads(request.body) if request.body else dict(parse_qsl(_query(request)))
    event_type = fields["eventType"]
    bandwidth.model(event_type).from_dict(fields)
    if event_type in _SILENT:
        await wire.answer(204)
        return
    text = Response([Hangup()]).to_bxml().encode()
    headers = {"Content-Type": "application/xml", "X-Handler": "it is I"}
    if "gzip" in " ".join(request.all("accept-encoding")):
        text = gzip.compress(text, mtime=0)
        headers["Content-Encoding"] = "gzip"
    await wire.answer(200, text, headers, chunk=40 if request.method == "POST" else 0)


async def answered(request: Request, wire: Wire) -> None:
    """The status that the last part of the path asks for, with headers of its own."""
    status = int(request.target.partition("?")[0].rpartition("/")[2])
    headers = {
        "Location": "https://elsewhere.example.com/?to=%2B1",
        "WWW-Authenticate": 'Basic realm="handler"',
        "Set-Cookie": "a=1\r\nSet-Cookie: b=2",
        "Connection": "X-Hop",
        "X-Hop": "not to be passed on",
    }
    await wire.answer(status, b"" if status in (204, 304) else b"what it says", headers)


async def large(_: Request, wire: Wire) -> None:
    """A megabyte in chunks."""
    await wire.answer(200, LARGE, chunk=10_000)


async def hung(_: Request, __: Wire) -> None:
    """Nothing, ever."""
    await asyncio.sleep(600)


async def reset(_: Request, wire: Wire) -> None:
    """A crash before the answer."""
    wire.reset()


async def torn(_: Request, wire: Wire) -> None:
    """A crash in the middle of an answer."""
    await wire.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<Response>")
    wire.reset()


async def torn_late(_: Request, wire: Wire) -> None:
    """A crash in the middle of an answer that is so large that its beginning was passed on."""
    await wire.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 200_000)
    await asyncio.sleep(0.2)
    wire.reset()


async def rubbish(_: Request, wire: Wire) -> None:
    """Answer with bytes that are not HTTP."""
    await wire.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n" * 4)
    wire.close()


async def endless(_: Request, wire: Wire) -> None:
    """An answer that never ends."""
    await wire.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await wire.raw(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        await asyncio.sleep(0.001)


BY_NAME: dict[str, Application] = {
    one.__name__.replace("_", "-"): one
    for one in (large, hung, reset, torn, torn_late, rubbish, endless)
}


async def application(request: Request, wire: Wire) -> None:
    """The one that the last part of the path names, else a good one."""
    name = request.target.partition("?")[0].rpartition("/")[2]
    chosen = answered if name.isdigit() else BY_NAME.get(name, bxml)
    await chosen(request, wire)


def _query(request: Request) -> str:
    return request.target.partition("?")[2]

"""HTTP that is nearly right: requests whose head, framing or timing is bent."""

import random
from typing import TYPE_CHECKING

from lab.fuzz.mutations import LARGEST, Mutator

if TYPE_CHECKING:
    from collections.abc import Callable

APPLICATION = "5eed0000-0000-4000-8000-0000000000aa"  # that of every event sent this way
READY = b"GET /webhooks/voice/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

_METHODS = (
    *(b"post", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"PRI"),
    *(b"", b"P\x00ST", b"GET\tPOST", b"M" * 5000, b"M-SEARCH", b"QUERY", b"\xc3\x9c"),
)
_TARGETS = (
    *(b"*", b"", b"/", b"//", b"/webhooks/voice/", b"/webhooks//voice", b"/WEBHOOKS/VOICE"),
    *(b"http://127.0.0.1/webhooks/voice", b"HTTP://[::1]:99999/webhooks/voice", b"http://", b"//x"),
    *(b"/webhooks/../webhooks/voice", b"/webhooks/voice%00", b"/webhooks/%76oice", b"/%zz", b"/%"),
    *(
        b"/webhooks/voice\x00",
        b"/webhooks/voice#?",
        b"/webhooks/voice;x",
        b"/metrics",
        b"/\xff\xfe",
    ),
    *(b"/webhooks/voice ?x", b"127.0.0.1:80", b"/" + b"a" * 70_000, b"/?" + b"b=%2&" * 20_000),
    *(
        b"/webhooks/voice/ready/",
        b"/webhooks/voice/ready?x=%ff",
        b"/%c3%9c/%f0%9f",
        b"/webhooks/voice?",
    ),
)
_VERSIONS = (
    *(
        b"HTTP/1.0",
        b"HTTP/0.9",
        b"HTTP/2.0",
        b"HTTP/9.9",
        b"HTTP/1.1.1",
        b"http/1.1",
        b"",
        b"HTTP/1",
    ),
    *(b"ICE/1.0", b"RTSP/1.0", b"HTTP/1.10", b"HTTP/1.\xb9"),
)
_HEADERS = (
    *(b"Host:", b"Host: a\r\nHost: b", b"no colon", b": no name", b"Space : x", b"X:\r\n folded"),
    *(b"X: \x00", b"X: \xff\xfe", b"\xc3\xa9: x", b"X: \x0b", b"X: y\rZ: z", b"X: y\nZ: z", b"X"),
    *(b"Connection: close", b"Connection: upgrade, keep-alive, close", b"Keep-Alive: timeout=0"),
    *(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",),
    *(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13", b"\nUpgrade: h2c"),
    *(b"Expect: 100-continue", b"Expect: 200-ok", b"Content-Encoding: gzip", b"Range: bytes=0-1"),
    *(b"Authorization: Basic", b"Authorization: Basic \xff\xff", b"Authorization: Basic YTpi=="),
    *(b"Authorization: Bearer x", b"Authorization:\r\nAuthorization: Basic YTpi", b"TE: trailers"),
    *(b"X-Forwarded-For: \x7f", b'Forwarded: for="[::1"', b"Trailer: Host", b"Content-Type:;;;"),
    *(
        b"Y: " + b"y" * 90_000,
        b"\r\n".join(b"N%d: n" % n for n in range(150)),
        b"Z: z\r\n" * 90 + b"A: a",
    ),
)
_LENGTHS = (
    *(b"-1", b"+5", b"5, 5", b"0x10", b"1e3", b"", b" ", b"9" * 30, b"9" * 5000, b"00000000010"),
    *(b"18446744073709551616", b"4294967296", b"\xb2", b"1_0", b"10;", b"10\r\nContent-Length: 11"),
)
_CODINGS = (
    *(
        b"chunked",
        b"Chunked",
        b"chunked, chunked",
        b"chunked, identity",
        b"identity",
        b"gzip, chunked",
    ),
    *(b"xchunked", b"\x0bchunked", b"chunked\r\nTransfer-Encoding: identity", b"", b"chunked;q=1"),
)
_CHUNKS = (
    *(b"%x\r\n%b\r\n0\r\n\r\n", b'%X;a=b;c="d\r\n"\r\n%b\r\n0\r\n\r\n', b"%x\n%b\n0\n\n"),
    *(
        b"000000000000000000%x\r\n%b\r\n0\r\n\r\n",
        b"0x%x\r\n%b\r\n0\r\n\r\n",
        b"-%x\r\n%b\r\n0\r\n\r\n",
    ),
    *(
        b"%x\r\n%b\r\n0\r\nTrailer: x\r\nContent-Length: 5\r\n\r\n",
        b"%x\r\n%bXX0\r\n\r\n",
        b"%x\r\n%b",
    ),
    *(
        b"FFFFFFFFFFFFFFFF%x\r\n%b\r\n",
        b"%x \r\n%b\r\n0\r\n\r\n",
        b"%x\r\n%b\r\n0",
        b"G%x\r\n%b\r\n",
    ),
    b"%x;" + b"e" * 90_000 + b"\r\n%b\r\n0\r\n\r\n",
)
_NOISE = (
    *(
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 300,
        b"\x00" * 1000,
        b"\r\n" * 500,
    ),
    *(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"SSH-2.0-x\r\n",
        b"\n",
    ),
    *(
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        b"GET /\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\xff" * 99,
    ),
)
_ZEROS = (b"", b"", b"00", b";a=b", b"1", b" ", b"x")
_TRAILERS = (
    *(b"", b"A: b\r\n", b"Authorization: Basic eDp5\r\n", b"a:b\r\n" * 99, b"a:b\r\n" * 101),
    *(b"A: " + b"a" * 8000 + b"\r\n", b"A: " + b"a" * 9000 + b"\r\n", b"A: " + b"a" * 9000),
    *(b"A: b\r\n c\r\n", b"no colon\r\n", b"Content-Length: 5\r\n", b"A:\x00\r\n", b"A: b\n"),
)
_OFFERS = (
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
    (b"Connection: close", b"Connection: Upgrade", b"Upgrade: h2c"),
    (b"Connection: close, upgrade", b"upgrade: websocket"),
    (b"Connection: keep-alive, Upgrade", b"Upgrade: h2c", b"Upgrade: websocket"),
    (b"Upgrade: h2c",),
    (b"Connection: Upgrade",),
    (b"Connection: Upgrade", b"Upgrade: h2c", b"Expect: 100-continue"),
)


class RawMutator:
    """Makes what one connection carries; the same dice give the same bytes."""

    def __init__(self, dice: random.Random, headers: bytes) -> None:
        """``headers`` are those of every request that is not bent, each with its line's end."""
        self._dice = dice
        self._headers = headers
        self._mutator = Mutator(dice)
        self._bends: tuple[Callable[[bytes], bytes], ...] = (
            self._method,
            self._target,
            self._version,
            self._header,
            self._header,
            self._length,
            self._coding,
            self._flipped,
            self._flipped,
            self._cut,
            self._noisy,
            self._oversized,
            self._trailing,
            self._offering,
            self._expecting,
        )

    def message(self, call_id: str) -> bytes:
        """Return a request whose event, if it is read, counts once under APPLICATION."""
        body = (
            f'{{"eventType":"disconnect","callId":"{call_id}","applicationId":"{APPLICATION}",'
            '"direction":"inbound","cause":"busy"}  '
        ).encode()
        bend = self._dice.choice(self._bends)
        return bend(body)

    def right(self, call_id: str) -> bytes:
        """Return a request with nothing wrong."""
        body = f'{{"eventType":"disconnect","callId":"{call_id}"}}'
        return self._request(body.encode())

    def _request(self, body: bytes, **parts: bytes) -> bytes:
        line = b" ".join(
            (
                parts.get("method", b"POST"),
                parts.get("target", b"/webhooks/voice"),
                parts.get("version", b"HTTP/1.1"),
            )
        )
        framing = parts.get("framing", b"Content-Length: %d" % len(body))
        return line + b"\r\nHost: x\r\n" + self._headers + framing + b"\r\n\r\n" + body

    def _method(self, body: bytes) -> bytes:
        return self._request(body, method=self._dice.choice(_METHODS))

    def _target(self, body: bytes) -> bytes:
        return self._request(body, target=self._dice.choice(_TARGETS))

    def _version(self, body: bytes) -> bytes:
        return self._request(body, version=self._dice.choice(_VERSIONS))

    def _header(self, body: bytes) -> bytes:
        length = b"\r\nContent-Length: %d" % len(body)
        return self._request(body, framing=self._dice.choice(_HEADERS) + length)

    def _length(self, body: bytes) -> bytes:
        wrong = b"%d" % max(0, len(body) + self._dice.choice((-9, -2, -1, 1, 2, 9, 99, 10**6)))
        length = self._dice.choice((wrong, wrong, wrong, *_LENGTHS))
        return self._request(body, framing=b"Content-Length: " + length)

    def _coding(self, body: bytes) -> bytes:
        framing = b"Transfer-Encoding: " + self._dice.choice((b"chunked", *_CODINGS))
        if self._dice.random() < 0.3:
            framing += b"\r\nContent-Length: %d" % len(body)
        chunks = self._dice.choice(_CHUNKS) % (len(body), body)
        return self._request(chunks, framing=framing)

    def _flipped(self, body: bytes) -> bytes:
        head = self._request(b"", framing=b"Content-Length: %d" % len(body))
        return self._mutator.flip(head) + body

    def _cut(self, body: bytes) -> bytes:
        request = self._request(body)
        return request[: self._dice.randrange(len(request))]

    def _noisy(self, body: bytes) -> bytes:
        noise, request = self._dice.choice(_NOISE), self._request(body)
        return noise + request if self._dice.random() < 0.5 else request + noise

    def _oversized(self, body: bytes) -> bytes:
        size = LARGEST + self._dice.choice((0, 1, 2, 1000, 200_000))
        body = body.ljust(size)
        if self._dice.random() < 0.5:
            return self._request(body)
        chunked = b"".join(
            b"%x\r\n%b\r\n" % (len(body[at : at + 9000]), body[at : at + 9000])
            for at in range(0, len(body), 9000)
        )
        return self._request(chunked + b"0\r\n\r\n", framing=b"Transfer-Encoding: chunked")

    def _trailing(self, body: bytes) -> bytes:
        trailers = self._dice.choice(_TRAILERS)
        end = self._dice.choice((b"\r\n", b"\r\n", b"\r\n", b"", b"\r\n\x00", b"\n"))
        chunks = b"%x\r\n%b\r\n0%b\r\n%b" % (len(body), body, self._dice.choice(_ZEROS), trailers)
        return self._request(chunks + end, framing=b"Transfer-Encoding: chunked")

    def _offering(self, body: bytes) -> bytes:
        lines = [b"Content-Length: %d" % len(body), *self._dice.choice(_OFFERS)]
        self._dice.shuffle(lines)
        version = self._dice.choice((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"))
        return self._request(body, version=version, framing=b"\r\n".join(lines))

    def _expecting(self, body: bytes) -> bytes:
        framing = b"Expect: 100-continue\r\nContent-Length: %d" % len(body)
        method = self._dice.choice((b"POST", b"POST", b"POST", b"PUT", b"GET"))
        version = self._dice.choice((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"))
        return self._request(
            self._dice.choice((body, body, b"")), method=method, version=version, framing=framing
        )

"""The target of webhooks, and the form of a request to it."""

import ipaddress
import socket
import ssl
from base64 import b64encode
from urllib.parse import urlsplit

import msgspec

_PORTS = {"http": 80, "https": 443}


class WebhookTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook address, taken apart."""

    host: str
    port: int
    path: bytes  # with the query, if the address has one
    tls: ssl.SSLContext | None
    headers: bytes
    authorization: bytes = b""  # the header's line; empty without credentials
    challenge: bool = False  # credentials wait until they are asked for, anew for each event

    def forms(self) -> tuple["WebhookTarget", ...]:
        """Return in which forms an event is sent, one after the other while the answer is 401."""
        return (msgspec.structs.replace(self, authorization=b""), self)[not self.challenge :]

    def post(self, body: bytes) -> bytes:
        """Return a POST of a JSON body."""
        return (
            b"POST %b HTTP/1.1\r\n%b%b"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (self.path, self.headers, self.authorization, len(body), body)
        )

    def get(self, query: bytes) -> bytes:
        """Return a GET with ``query`` after the address's own."""
        joint = b"&" if b"?" in self.path else b"?"
        return b"GET %b%b%b HTTP/1.1\r\n%b%b\r\n" % (
            *(self.path, joint, query),
            *(self.headers, self.authorization),
        )


def parse_target(url: str, user: str | None = None, *, challenge: bool = False) -> WebhookTarget:
    """Take ``url`` apart, with ``user`` as USER:PASSWORD for Basic; raise ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https address")
    if parts.username is not None:
        raise ValueError("credentials go into --credentials-file, not into the address")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{url!r} has characters that an address cannot have")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = f"Host: {parts.netloc}\r\nUser-Agent: BandwidthAPI/2.0\r\nAccept: */*\r\n"
    authorization = b""
    if challenge and user is None:
        raise ValueError("--challenge needs --user or --credentials-file, for after the challenge")
    if user is not None:
        authorization = b"Authorization: Basic %b\r\n" % b64encode(user.encode())
    return WebhookTarget(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        path=path.encode(),
        tls=ssl.create_default_context() if parts.scheme == "https" else None,
        headers=headers.encode(),
        authorization=authorization,
        challenge=challenge,
    )


def is_loopback(target: WebhookTarget) -> bool:
    """Say whether the host is this machine under every address it has; raise OSError."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    # An IPv6 address may carry a zone that ipaddress reads as a part of it.
    return all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found)

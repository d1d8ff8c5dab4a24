"""Requests as an application sees them."""

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import httptools
from starlette.types import Scope

from bandwidth_voice_exporter.http.borrowed import get_local_addr, get_remote_addr, is_ssl
from bandwidth_voice_exporter.http.fault import BENT, FaultError
from bandwidth_voice_exporter.http.heads import Head
from bandwidth_voice_exporter.http.peer import UNKNOWN

if TYPE_CHECKING:
    import asyncio

    from bandwidth_voice_exporter.http.sender import Sender

_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}


class Scopes:
    """Makes the ASGI scopes of the requests on one connection."""

    __slots__ = ("_client", "_path", "_query", "_raw_path", "_server", "_url", "scheme")

    def __init__(self, transport: "asyncio.Transport") -> None:
        self.scheme = "https" if is_ssl(transport) else "http"
        self._server = get_local_addr(transport)
        self._client = get_remote_addr(transport)
        self._url = b""
        self._path, self._raw_path, self._query = "", b"", b""

    @property
    def client(self) -> str:
        """The address that the connection came from."""
        return self._client[0] if self._client else UNKNOWN

    def make(self, head: Head, sender: "Sender") -> Scope:
        """Return that of the request with a head. Raises FaultError for one without a path."""
        if head.url != self._url:  # nearly all requests of a connection have the same
            self._take(head.url)
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": head.version,
            "server": self._server,
            "client": self._client,
            "scheme": self.scheme,
            "method": head.method,
            "root_path": "",
            "path": self._path,
            "raw_path": self._raw_path,
            "query_string": self._query,
            "headers": head.headers,
            "sender": sender,
        }

    def _take(self, text: bytes) -> None:
        try:
            url = httptools.parse_url(text)
        except httptools.HttpParserInvalidURLError:
            raise FaultError(BENT) from None
        if url.path is None:
            raise FaultError(BENT)
        self._raw_path, self._query = url.path, url.query or b""
        self._path = unquote(url.path.decode("ascii"))
        self._url = text

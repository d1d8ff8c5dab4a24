"""Certificates that a test makes for itself, and connections that trust them."""

import http.client
import socket
import ssl
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import trustme

HOST = "127.0.0.1"


class Pair(NamedTuple):
    """A certificate chain and its key, as files."""

    cert_file: Path
    key_file: Path


class Authority:
    """A certificate authority that nobody else knows."""

    def __init__(self, parent: "Authority | None" = None) -> None:
        """Sign for itself, or as an intermediate of its parent."""
        self._ca: trustme.CA = parent._ca.create_child_ca() if parent else trustme.CA()  # noqa: SLF001  # its own kind

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return self._ca.cert_pem.bytes()

    def issue(
        self,
        directory: Path,
        name: str = "server",
        identity: str = HOST,
        ends: datetime | None = None,
    ) -> Pair:
        """Write a new certificate and key in place of those of this name."""
        issued = self._ca.issue_cert(identity, not_after=ends)
        pair = Pair(directory / f"{name}.crt", directory / f"{name}.key")
        # In this order, as a careless rotation does: in between they do not go together.
        pair.cert_file.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        pair.key_file.write_bytes(issued.private_key_pem.bytes())
        return pair

    def serving(self, directory: Path, name: str = "server") -> ssl.SSLContext:
        """A server's context with a certificate of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(directory, name))
        return context

    def trusting(self, client: Pair | None = None) -> ssl.SSLContext:
        """A client's context that trusts it alone, with a certificate of its own or without."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.pem.decode())
        if client:
            context.load_cert_chain(client.cert_file, client.key_file)
        return context


def connection(
    address: str, context: ssl.SSLContext, timeout: float = 20
) -> http.client.HTTPSConnection:
    """An HTTPS connection to an address, which opens with its first request."""
    return http.client.HTTPSConnection(address, context=context, timeout=timeout)


def dial(address: str, timeout: float = 20) -> socket.socket:
    """A TCP connection to an address, on which nothing was said yet."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout)

"""One connection of the fuzzer: bytes out in pieces, answers in."""

import contextlib
import random
import re
import socket
import time

TIMEOUT = 20.0
_HUSH = 0.1  # seconds without a word after which nothing is expected any more
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def dial(address: str) -> socket.socket:
    """Connect to an address on this machine."""
    host, _, port = address.rpartition(":")
    assert host == "127.0.0.1", "the fuzzer talks to this machine alone"
    sock = socket.create_connection((host, int(port)), TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def send(sock: socket.socket, data: bytes, cuts: list[int], pause: float) -> None:
    """Send bytes, cut at some places, with a pause after each piece."""
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        sock.sendall(data[start:end])
        if pause and end != len(data):
            time.sleep(pause)


def some_cuts(dice: random.Random, length: int, at_most: int) -> list[int]:
    """Choose places at which to cut bytes."""
    return sorted(dice.randrange(length + 1) for _ in range(dice.randrange(at_most + 1)))


class Answers:
    """Reads the answers to requests that were sent one after the other."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._read = b""

    def next(self) -> int:
        """Return the next answer's status. Raises OSError where there is none."""
        while True:
            head = self._until(b"\r\n\r\n")
            status = int(_STATUS.match(head)[1])  # type: ignore[index]  # an answer begins so
            length = _LENGTH.search(head)
            rest = int(length[1]) if length else 0
            while len(self._read) < rest:
                self._more()
            self._read = self._read[rest:]
            if status >= 200:  # 100 Continue comes before an answer
                return status

    def _until(self, end: bytes) -> bytes:
        while (place := self._read.find(end)) < 0:
            self._more()
        place += len(end)
        head, self._read = self._read[:place], self._read[place:]
        return head

    def _more(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionError(f"hung up without an answer; read before: {self._read!r}")
        self._read += data


def whatever(sock: socket.socket) -> list[int]:
    """Return the status of every answer until the other side hangs up, or says nothing more."""
    read = b""
    sock.settimeout(_HUSH)
    with contextlib.suppress(OSError):
        while data := sock.recv(65536):
            read += data
    return [int(status) for status in _STATUS.findall(read)]

"""TLS between a connection and its socket, at the pace that strangers have."""

import asyncio
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from bandwidth_voice_exporter.http.room import STRANGERS_READ_BYTES, Room

if TYPE_CHECKING:
    from bandwidth_voice_exporter.http.carrier import Carrier

# That OpenSSL takes for a connection while it shakes hands, and afterwards, about.
_HANDSHAKE_BYTES = 60 * 1024
_CIPHER_BYTES = 40 * 1024
_RECORD_BYTES = 16 * 1024
_PART_BYTES = 64 * 1024  # of an answer: a buffer of OpenSSL's stays as large as it once was


class Ciphered(asyncio.BufferedProtocol, asyncio.Transport):
    """The transport of a connection, and the protocol of the transport below.

    An event loop's own TLS shakes hands whenever bytes come, at half a millisecond each, tells of a
    connection only then, and has a buffer for each that stays as large as what came at once. Here
    strangers take turns at their handshakes, a connection counts from its beginning, and all of
    them share a buffer.
    """

    __slots__ = (
        *("_carrier", "_context", "_incoming", "_is_closed", "_is_ended", "_is_paused"),
        *("_is_shaken", "_outgoing", "_plain", "_room", "_tls"),
    )

    _plain: asyncio.Transport

    def __init__(self, carrier: "Carrier", context: ssl.SSLContext, room: Room) -> None:
        super().__init__()
        self._carrier = carrier
        self._context = context
        self._room = room
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None  # until the client begins
        self._is_shaken = False
        self._is_paused = False
        self._is_ended = False  # by the client
        self._is_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._plain = cast("asyncio.Transport", transport)  # of a stream
        self._carrier.connection_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._is_closed = True
        self._carrier.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say how much to read at once."""
        del sizehint
        room = self._room
        return room.buffer if self._carrier.standing.is_trusted else room.small_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes from the client."""
        self._incoming.write(self._room.buffer[:nbytes])
        if self._carrier.standing.is_trusted:
            self._pass_on()
        elif self._is_shaken:
            self._decipher()
        elif self._room.turns.must_wait(self._carrier.rank()):
            self._plain.pause_reading()
            self._room.turns.wait(self, self._carrier.rank())
        else:
            self._shake_hands()

    def take_turn(self) -> None:
        """Go on with the handshake."""
        if not self._is_closed:
            self._plain.resume_reading()
            self._shake_hands()

    def eof_received(self) -> bool:
        """Take note that the client sends no more; return whether it may get an answer."""
        if self._is_ended:
            return not self._is_closed
        self._is_ended = True
        return self._is_shaken and bool(self._carrier.eof_received())

    def pause_writing(self) -> None:
        """Tell of a client that does not read."""
        self._carrier.pause_writing()

    def resume_writing(self) -> None:
        """Tell of a client that reads."""
        self._carrier.resume_writing()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return what is known of the socket, and the context."""
        return self._context if name == "sslcontext" else self._plain.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether it is over."""
        return self._is_closed or self._plain.is_closing()

    def pause_reading(self) -> None:
        """Decipher nothing more, and leave what comes to the kernel."""
        self._is_paused = True
        self._plain.pause_reading()

    def resume_reading(self) -> None:
        """Decipher what is there, and then read on."""
        self._is_paused = False
        if self._incoming.pending or (self._tls and self._tls.pending()):
            self._carrier.loop.call_soon(self._go_on)
        else:
            self._plain.resume_reading()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send something."""
        if self._tls is None or not self._is_shaken or self._is_closed:
            return
        if len(data) <= _PART_BYTES:  # as nearly always
            self._tls.write(data)
            self._flush()
            return
        for start in range(0, len(data), _PART_BYTES):
            self._tls.write(data[start : start + _PART_BYTES])
            self._flush()

    def close(self) -> None:
        """End it, once all that was written is sent."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._tls and self._is_shaken:
            with suppress(ssl.SSLError):  # the client has not agreed yet, and need not
                self._tls.unwrap()
        self._flush()
        self._plain.close()

    def abort(self) -> None:
        """End it at once."""
        self._is_closed = True
        self._plain.abort()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._plain.is_closing():
            self._plain.write(self._outgoing.read())

    def _shake_hands(self) -> None:
        began = time.thread_time()
        carrier = self._carrier
        if self._tls is None:
            self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
            self._room.cipher(carrier, _HANDSHAKE_BYTES)
        try:
            if not self._is_closed:  # for want of room
                self._tls.do_handshake()
                self._is_shaken = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLError:
            self.close()  # with an alert
        self._flush()
        carrier.charge(time.thread_time() - began)
        if self._is_shaken:
            carrier.make_ready()
            self._room.cipher(carrier, _CIPHER_BYTES)
            self._decipher()

    def _go_on(self) -> None:
        self._decipher()
        if not (self._is_paused or self.is_closing()):
            self._plain.resume_reading()

    def _decipher(self) -> None:
        carrier = self._carrier
        if carrier.standing.is_trusted:
            self._pass_on()
            return
        began, before = time.thread_time(), carrier.standing.seconds
        self._pass_on()
        spent = time.thread_time() - began - (carrier.standing.seconds - before)
        carrier.charge(max(0.0, spent))

    def _pass_on(self) -> None:
        """Pass on what can be deciphered of what has come."""
        tls, incoming, carrier = self._tls, self._incoming, self._carrier
        if tls is None:
            return
        most = _RECORD_BYTES if carrier.standing.is_trusted else STRANGERS_READ_BYTES
        while not (self._is_paused or self._is_closed):
            try:
                data = tls.read(most)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError:
                self.abort()
                return
            if not data:
                self._end()
                return
            carrier.take(data)
            if len(data) < most and not incoming.pending:  # the record was the last one
                break
        self._flush()  # what OpenSSL says of its own accord

    def _end(self) -> None:
        """Take note that the client sends no more."""
        if not (self._is_ended or self.eof_received()):
            self.close()

"""Requests off the wire: one at a time, and where each of them ends."""

from typing import TYPE_CHECKING

import httptools

from bandwidth_voice_exporter.http.fault import (
    BENT,
    LONG_HEAD,
    LONG_REQUEST,
    MALFORMED,
    Fault,
    FaultError,
)
from bandwidth_voice_exporter.http.heads import LONGEST, Head, Heads
from bandwidth_voice_exporter.http.limits import Bounds
from bandwidth_voice_exporter.http.request_line import escaped

if TYPE_CHECKING:
    from collections.abc import Callable

_HEAD_END = b"\r\n\r\n"
_LINE_END = b"\r\n"
_LAST_CHUNK = b"\r\n0"
_NEWEST = "1.1"
_IS_NEWEST = b" HTTP/1.1"
_FEW_HEADERS = 10
_FEW_LINES = 400  # bytes in which there are not too many headers
_CONNECT = "CONNECT"
_GET = b"GET "
_EVENTS = (_GET, b"POST ")
_MOST_MENDED = 8 * 1024  # bytes of a head: each part of it is looked at with all before it
_UPGRADE = b"upgrade"
_CONTENT_LENGTH = b"content-length"
_FRAMING = frozenset((_CONTENT_LENGTH, b"expect"))


class Wire:
    """Reads one request, however its bytes come, and stops behind it.

    A head that is not known yet is given to the parser, as is each line of a body in chunks, and
    never more: so every limit falls on the same byte, and what is behind a request is not looked
    at before its turn. A body of a known length is counted. The attributes hold the request as far
    as it has come; ``size`` is its bytes so far, and ``learnable`` those of a head that came as a
    whole and says all there is to know of what follows.
    """

    __slots__ = (
        *("size", "url", "headers", "head", "learnable", "is_continue_due", "is_whole", "sink"),
        *("_limits", "_most_headers", "_heads", "_offer", "_parser", "_fault", "_is_plain"),
        *("_is_newest", "_tail", "_head", "_length", "_left", "_chunks", "_trailers"),
        *("_trailer_bytes", "_lines", "_is_in_line", "_is_in_chunk"),
    )

    def __init__(self, limits: Bounds, heads: Heads) -> None:
        self._limits = limits
        self._most_headers = limits.headers
        self._heads = heads
        self._offer: Head | None = None  # of another protocol
        self._parser: httptools.HttpRequestParser | None = None
        self._fault: Fault | None = None
        self._is_plain = False
        self._is_newest = False  # what the version is, told by the line: the parser takes 1 µs
        self.begin()

    def begin(self) -> None:
        """Go on to the next request."""
        self.size = 0
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.head: Head | None = None  # once it is whole
        self.learnable = b""
        self.is_whole = False
        self.sink: Callable[[bytes], object] = _drop  # for the parts of its body
        self._length = 0  # of its body, where that is known
        self._left = 0  # of that
        if not self._is_plain:
            self._forget()

    def _forget(self) -> None:
        """Drop the attributes that only unusual requests have."""
        self._is_plain = True
        self.is_continue_due = False
        self._tail = b""  # of what has come, where that may be half of a mark
        self._head = b""  # as far as it has come, where it comes in parts
        self._chunks = 0
        self._trailers = 0
        self._trailer_bytes = 0
        self._lines = 0  # of its head, about
        self._is_in_line = False  # that is read by itself: perhaps the last chunk's, or a trailer
        self._is_in_chunk = False  # of which nothing has come yet: the last one is empty

    def read(self, data: bytes, place: int) -> int:
        """Read on from a place in some bytes, to the end of them, of a head, or of a request.

        Returns the place behind it. Raises FaultError.
        """
        if place == len(data) or self.is_whole:
            return place
        if self._left:
            return self._read_body(data, place)
        if not self.size and 0 <= (found := data.find(_HEAD_END, place)) - place < LONGEST:
            text = data[place : found + len(_HEAD_END)]  # a whole head, as nearly always
            if head := self._heads.find(text):
                self.size = len(text)
                self.head, self.headers = head, head.headers
                self._left = head.length
                self.is_whole = not head.length
                return place + len(text)
            return self._read_head(data, place, text)
        return self._read_on(data, place, self._end(data, place))

    def close(self) -> None:
        """Drop the references to this."""
        self._parser = None
        self.sink = _drop

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        if self.head:
            self._stop(MALFORMED)  # a request within another
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is for nobody."""
        if self.head:
            self._trailers += 1
            if self._trailers > self._limits.headers:
                self._stop(LONG_HEAD)
            return
        name = name.lower()
        if name in _FRAMING:
            self._frame(name, value)
        self.headers.append((name, value))

    def _frame(self, name: bytes, value: bytes) -> None:
        """Take note of what a header says of the body."""
        if name == _CONTENT_LENGTH:
            self._length = int(value)
        elif value.lower() == b"100-continue":
            self.is_continue_due = True
            self._is_plain = False

    def on_headers_complete(self) -> None:
        """Take note of a head, unless it offers another protocol (h2c, as Java's client does).

        The parser takes what follows such a head for that protocol.
        """
        parser = self._parser
        if parser is None:
            raise AssertionError("a head without a parser")
        version = _NEWEST if self._is_newest else parser.get_http_version()
        # Asked now: behind a request without a body the parser has forgotten what its head said.
        is_upgrade = parser.should_upgrade()
        if version == "0.9":  # which has no head, and so none that ends as others do
            self._stop(MALFORMED)
        head = Head(
            parser.get_method().decode("ascii"),
            self.url,
            version,
            self.headers,
            parser.should_keep_alive() and not is_upgrade,
            0 if is_upgrade else self._length,
        )
        if is_upgrade and head.method != _CONNECT:
            self._offer = head
            return
        self.head = head
        self._left = head.length

    def on_chunk_header(self) -> None:
        """Take note that a chunk begins, or, after the last one, the trailers."""
        self._is_plain = False
        self._is_in_chunk = True
        self._chunks += 1
        if self._chunks > self._limits.chunks:
            self._stop(LONG_REQUEST)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._is_in_chunk = False
        self.sink(body)

    def on_message_complete(self) -> None:
        """Take note that the request is whole."""
        self.is_whole = not self._offer

    def _read_head(self, data: bytes, place: int, text: bytes) -> int:
        """Read a head that is not known yet, all of which is there."""
        if len(text) < _FEW_LINES:
            end = place + len(text)
            line_end = data.find(_LINE_END, place)
            self._is_newest = data.endswith(_IS_NEWEST, place, line_end)
        else:
            end = self._end(data, place)
        end = self._read_on(data, place, end)
        # Not the empty lines before a head, which are not whole by themselves.
        is_all = self.size == len(text) and (self.is_whole or self._left > 0)
        if is_all and self._heads.has_room and not self.is_continue_due:
            self.learnable = text
        return end

    def _read_on(self, data: bytes, place: int, end: int) -> int:
        """Let the parser read as far as an end at first, and then further."""
        was_head_whole = self.head is not None
        while True:
            part = data[place:end]
            self.size += end - place
            was_in_chunk = self._is_in_chunk
            if self._feed(part):
                return end
            if self.head and not was_head_whole:
                self._tail = b""
                self._is_in_line = False
                return end
            if was_in_chunk and self._is_in_chunk:
                self._trailer_bytes += len(part)
            self._check(part)
            if end == len(data):
                return end
            place, end = end, self._end(data, end)

    def _read_body(self, data: bytes, place: int) -> int:
        """Read on in a body of a known length."""
        most = self._limits.request_bytes - self.size
        part = data[place : place + min(self._left, most)]
        self.size += len(part)
        self._left -= len(part)
        self.sink(part)
        if not self._left:
            self.is_whole = True
        elif len(part) == most:
            raise FaultError(LONG_REQUEST)
        return place + len(part)

    def _end(self, data: bytes, start: int) -> int:
        """Return how far the parser may be let."""
        self._is_plain = False
        self._is_newest = False
        limits = self._limits
        most = limits.request_bytes - self.size
        if not self.head:
            most = limits.head_bytes - self.size
            # If there may soon be too many headers, each is read by itself.
            left = limits.headers - _FEW_HEADERS - self._lines
            if left <= 0:
                end = self._line(data, start)
            else:
                end = self._behind(_HEAD_END, data, start)
                if end - start > _FEW_LINES or self._lines:
                    end = _behind_lines(data, start, end, left)
        elif self._is_in_chunk or self._is_in_line or data[start] == _LAST_CHUNK[-1]:
            most = min(most, limits.trailer_bytes - self._trailer_bytes)
            end = self._line(data, start)
        else:  # in a body in chunks, of which the last one begins with a zero
            end = self._behind(_LAST_CHUNK, data, start, 1)
        return min(end, start + most)

    def _behind(self, mark: bytes, data: bytes, start: int, but: int = 0) -> int:
        """Return the place behind a mark but for some bytes, or the end of what there is."""
        found = data.find(mark, start)
        end = found + len(mark) - but if found >= 0 else len(data)
        if self._tail:
            tail = self._tail[1 - len(mark) :]
            found = (tail + data[start : start + len(mark) - 1]).find(mark)
            if found >= 0:
                end = start - len(tail) + found + len(mark) - but
        return end

    def _line(self, data: bytes, start: int) -> int:
        """Return the place behind a line, or behind its first byte, with which a header is told.

        So it is whether there is too much before the line, and not whether the line is right, that
        is found first.
        """
        is_begun, self._is_in_line = self._is_in_line, True
        return self._behind(_LINE_END, data, start) if is_begun else start + 1

    def _check(self, part: bytes) -> None:
        self._is_plain = False
        limits = self._limits
        self._tail = (self._tail + part)[-3:] if len(part) < len(_HEAD_END) else part[-3:]
        if self._is_in_line:
            self._is_in_line = not self._tail.endswith(_LINE_END)
        if not self.head:
            self._lines += part.count(_LINE_END)
            if self.size >= limits.head_bytes:
                raise FaultError(LONG_HEAD)
            if self.size <= _MOST_MENDED:
                self._head += part
        elif self._trailer_bytes >= limits.trailer_bytes:
            raise FaultError(LONG_HEAD)
        elif self.size >= limits.request_bytes:
            raise FaultError(LONG_REQUEST)

    def _stop(self, fault: Fault) -> None:
        """End what the parser does."""
        self._fault = fault
        raise ValueError(fault.reason)

    def _feed(self, part: bytes) -> bool:
        """Let the parser read; return whether the request is whole."""
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            if self._offer:
                self._decline(self._offer)
        except httptools.HttpParserError:
            self._fault = self._fault or MALFORMED
        if self._left:
            self._parser = None  # it waits for the body
        if len(self.headers) > self._most_headers:
            self._fault = LONG_HEAD
        if self._fault and not self._is_mended(part):
            # Not within the other error: the two would keep each other, and the bytes.
            is_bent = self._fault is MALFORMED and (
                self.head is not None or (self._head + part).startswith(_EVENTS)
            )
            raise FaultError(BENT if is_bent else self._fault)
        return self.is_whole

    def _is_mended(self, part: bytes) -> bool:
        """Read the head of a GET again with its address escaped, once all of it is there."""
        if self._fault is not MALFORMED or self.head or self.size > _MOST_MENDED:
            return False
        head = self._head + part
        if not head.startswith(_GET):
            return False
        mended = escaped(head) if _LINE_END in head else head
        if mended is None:
            return False
        if mended.count(_LINE_END) > self._most_headers + 2:  # with the line, and the empty one
            self._fault = LONG_HEAD
            return False
        self._fault = None
        if head.endswith(_HEAD_END):
            self._head = b""
            self._parser = None
            self.url, self.headers = b"", []
            self._feed(mended)
        return True

    def _decline(self, offer: Head) -> None:
        """Read a head again without its offer of another protocol."""
        self._offer = None
        lines = [b"%b %b HTTP/%b" % (offer.method.encode(), offer.url, offer.version.encode())]
        lines += (b"%b: %b" % header for header in offer.headers if header[0] != _UPGRADE)
        self._parser = None
        self.url, self.headers = b"", []
        self._feed(b"\r\n".join((*lines, b"", b"")))


def _behind_lines(data: bytes, start: int, end: int, most: int) -> int:
    """Return the place behind so many lines, or the end where there are no more."""
    place = start
    for _ in range(most):
        found = data.find(_LINE_END, place, end)
        if found < 0:
            return end
        place = found + len(_LINE_END)
    return place


def _drop(part: bytes) -> None:
    del part

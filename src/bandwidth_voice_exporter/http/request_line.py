"""A GET whose address its sender did not escape."""

import re

# Not what ends a line or a text: a request whose end others see elsewhere is none.
_UNESCAPED = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x20\x7f-\xff]")


def escaped(data: bytes) -> bytes | None:
    """Return a request with its address escaped; None where there is nothing to escape.

    Only for GET, which has no body: whatever is in the address, the request ends where it did.
    """
    line, end, rest = data.partition(b"\r\n")
    method, _, target = line.partition(b" ")
    target, _, version = target.rpartition(b" ")
    if method != b"GET" or not end or not version.startswith(b"HTTP/"):
        return None
    changed = _UNESCAPED.sub(lambda found: b"%%%02X" % found[0][0], target)
    return None if changed == target else b"GET %b %b\r\n%b" % (changed, version, rest)

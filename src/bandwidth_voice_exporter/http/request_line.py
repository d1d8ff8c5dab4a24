"""A GET whose address was not escaped by who sends it."""

import re

# Not control characters: what has them is no address at all.
_UNESCAPED = re.compile(rb"[ \x80-\xff]")


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

"""Until when a certificate is valid: the standard library reads that of verified peers alone."""

import re
import ssl
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

_PEM = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _UTC_TIME = 0xA0, 0x17  # DER's tags
_LONG = 0x80  # a length that does not fit into seven bits: the others say in how many bytes it is
_VALIDITY = 3  # after the serial number, the signature's algorithm and the issuer


def not_after(file: Path) -> float | None:
    """Return when a PEM file's first certificate ends, in seconds since 1970; None: not readable.

    OpenSSL has taken the file already, and takes more than what is read here. Raises OSError.
    """
    found = _PEM.search(file.read_text("ascii", "replace"))
    try:
        return _ends(ssl.PEM_cert_to_DER_cert(found[0])) if found else None
    except (ValueError, IndexError):
        return None


def _ends(der: bytes) -> float:
    (_, certificate), *_ = _parts(der)
    (_, signed), *_ = _parts(certificate)
    fields = [value for tag, value in _parts(signed) if tag != _VERSION]
    _, (tag, ends) = _parts(fields[_VALIDITY])
    year = "%y" if tag == _UTC_TIME else "%Y"
    return datetime.strptime(ends.decode("ascii"), f"{year}%m%d%H%M%S%z").timestamp()


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tags and values that a DER value consists of. Raises IndexError if it is cut."""
    at = 0
    while at < len(der):
        tag, length, begin = der[at], der[at + 1], at + 2
        if length >= _LONG:
            begin += length - _LONG
            length = int.from_bytes(der[at + 2 : begin], "big")
        if begin + length > len(der):
            raise IndexError
        yield tag, der[begin : begin + length]
        at = begin + length

"""HTTP Basic (RFC 7617): what an Authorization header says."""

import base64
import binascii


def decode(authorization: bytes | None) -> bytes:
    """Return ``user:password``, or what no credentials can be: nothing."""
    scheme, _, encoded = (authorization or b"").partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return b""

"""HTTP Basic (RFC 7617): what an Authorization header says."""

import binascii


def decode(authorization: bytes | None) -> bytes:
    """Return ``user:password``, or what no credentials can be: nothing."""
    scheme, _, encoded = (authorization or b"").partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return binascii.a2b_base64(encoded.strip(), strict_mode=True)
    except binascii.Error:
        return b""

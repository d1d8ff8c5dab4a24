"""HTTP Basic (RFC 7617): what an Authorization header says."""

import binascii


def decode(authorization: bytes | None) -> bytes:
    """Return ``user:password`` in UTF-8, or nothing, which no credentials can be.

    Bytes that are not UTF-8 are taken for Latin-1: a client may send either, and does not say
    which.
    """
    scheme, _, encoded = (authorization or b"").partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        pair = binascii.a2b_base64(encoded.strip(), strict_mode=True)
    except binascii.Error:
        return b""
    if pair.isascii():
        return pair
    try:
        pair.decode()
    except UnicodeDecodeError:
        return pair.decode("latin-1").encode()
    return pair

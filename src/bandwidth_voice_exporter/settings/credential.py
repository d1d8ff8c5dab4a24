"""A user and a password as they were written down, and the mistakes in them."""

import re
from unicodedata import category

# Hashes as htpasswd, mkpasswd and the like make them.
_HASH = re.compile(
    r"\$2[abxy]?\$\d\d\$"
    r"|\$(1|5|6|7|y|gy|md5|sha1|apr1|argon2(i|d|id)|scrypt|pbkdf2(-\w+)?)\$[^$]*\$"
    r"|\{S?SHA(\d+)?\}[A-Za-z0-9+/]{20}"
)


def mistake(text: str) -> str | None:
    """Return the mistake in a user or password, without quoting it; None if there is none."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # Python's way to keep other bytes
        return "not UTF-8"
    if any(category(letter) == "Cc" for letter in text):
        return "there is a control character in it"
    if _HASH.match(text):
        return "this is the hash of a password, and the password itself is wanted"
    return None

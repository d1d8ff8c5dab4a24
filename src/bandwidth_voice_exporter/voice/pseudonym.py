"""Pseudonyms for ids that must not be kept, as they may be somebody's number or address."""

import hashlib

# No other id has it: those are ASCII.
_MARK = "\N{SECTION SIGN}"
_BYTES = 16


class Pseudonyms:
    """The same text for the same id, from which nobody finds the id without the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, text: str) -> str:
        """Return an id's."""
        raw = text.encode(errors="surrogatepass")
        return _MARK + hashlib.blake2b(raw, key=self._key, digest_size=_BYTES).hexdigest()


def is_pseudonym(text: str) -> bool:
    """Whether a text stands for an id that is not kept; it is shown nowhere."""
    return text.startswith(_MARK)

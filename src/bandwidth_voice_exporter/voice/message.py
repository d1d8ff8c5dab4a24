"""An error message without personal data: numbers, addresses and their names are masked."""

import re
import unicodedata

from bandwidth_voice_exporter.voice import labels

_LONGEST = 500  # characters that are kept; four times as many are looked at
_MASK = "***"

# A text without any of these has neither a number nor an address.
_SUSPECT = re.compile("[0-9@:]|[^\x00-\x7f]")
_SCHEME = r"(?:sips?|tel|mailto|callto|im|pres|xmpp|h323):"
_AT = r"\s?(?:@|%40)\s?"
_REST = r"[^\s;,<>\"']+"
# Words before <an address> that are no name: any others may be one.
_NO_NAME = (
    r"(?:invite|ack|bye|cancel|options|register|refer|notify|subscribe|message|update|info|prack"
    r"|to|from|for|by|of|with|at|via|in|on|and|or|the|no|not|is|was|has|call|callee|caller|user"
    r"|route|request|response|address|uri|contact|destination|failed|refused|rejected)\b"
)
_ADDRESS = re.compile(
    rf"(?:\"[^\"]{{0,64}}\"\s{{0,3}}"
    rf"|(?<![^\s:;,(])(?:(?!{_NO_NAME})[^\s<>\"',;:()]{{1,32}}[ \t]{{1,3}}){{1,5}})?"
    rf"<\s?(?:{_SCHEME}[^<>\s]*|[^<>\s]{{1,64}}{_AT}[^<>\s]*)>?"
    rf"|(?:\b{_SCHEME})?(?:\"[^\"]{{1,64}}\"|[^\s@:;,<>\"']{{1,64}}){_AT}{_REST}"
    rf"|(?:\"[^\"]{{0,64}}\"\s{{0,3}})?\b{_SCHEME}{_REST}",
    re.IGNORECASE,
)
# Seven digits in one word, ten in words of a few letters, five with nothing but signs between.
_NUMBER = re.compile(
    r"\+?\d(?:[^\d\s]{0,4}\d){6,}|\+?\d(?:\D{0,6}\d){9,}|\+?\d(?:[\W_]{0,16}\d){4,}"
)


def masked(text: str) -> str:
    """Return the part of a message that may be kept; UUIDs and Bandwidth's call ids stay."""
    text = _cut(text)
    if not _SUSPECT.search(text):
        return text[:_LONGEST]
    text = _ADDRESS.sub(_MASK, _cut(_plain(text.encode(errors="replace").decode())))
    pieces, at = [], 0
    for found in labels.IDENTIFIER.finditer(text):
        pieces.append(_NUMBER.sub(_MASK, text[at : found.start()]))
        pieces.append(_MASK if labels.is_number(found[0]) else found[0])
        at = found.end()
    pieces.append(_NUMBER.sub(_MASK, text[at:]))
    return "".join(pieces)[:_LONGEST]


def _cut(text: str) -> str:
    """Cut a message that is too long, at a word: half an address looks like none."""
    if len(text) <= 4 * _LONGEST:
        return text
    return text[: 4 * _LONGEST].rpartition(" ")[0]


def _plain(text: str) -> str:
    """Write digits and signs of other scripts and widths as ASCII has them."""
    if text.isascii():
        return text
    return "".join(map(_plain_sign, unicodedata.normalize("NFKC", text)))


def _plain_sign(sign: str) -> str:
    if sign.isascii():
        return sign
    if sign.isnumeric():
        number = unicodedata.numeric(sign)
        return str(int(number)) if number in range(100) else sign
    return "" if unicodedata.category(sign) == "Cf" else sign  # invisible, between two digits

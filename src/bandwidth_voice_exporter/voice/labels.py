"""The form that a label value must have, and how many new ones are let in."""

import re
from functools import lru_cache

import msgspec

MISSING = "missing"
INVALID = "invalid"
OTHER = "other"
NONE = "none"

# Words that say why there is no value; as a value of Bandwidth's they would be mistaken for it.
RESERVED = frozenset({MISSING, INVALID, OTHER})

# Programs write these for an absent value that they turn into text.
_NOTHING = frozenset({"null", "NULL", "Null", "None", "nil", "undefined"})

_LONGEST = 40  # characters of a cause, an event type, an application
_LONGEST_ID = 256
_LONGEST_NUMBER = 15  # digits of a telephone number, by E.164
_NATIONAL_NUMBER = 10

_HEX = "[0-9a-fA-F]"
UUID = f"{_HEX}{{8}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{12}}"
CALL_ID = f"c-{_HEX}{{8}}-{UUID}"

_WORD = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*", re.ASCII)
_TOKEN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.:-]{0,47}", re.ASCII)
IDENTIFIER = re.compile(f"(?<!{_HEX})(?:{CALL_ID}|{UUID})(?!{_HEX})")
_IS_UUID = re.compile(UUID)
_IS_CALL_ID = re.compile(CALL_ID)
_DIGIT_RUN = re.compile(r"\d(?:[^a-zA-Z0-9]?\d){4}")
_SCHEME = re.compile("(?:sips?|tel|mailto|callto|im|pres|xmpp|h323):", re.IGNORECASE)
_ADDRESS = re.compile(f"@|%40|(?:^|[^a-z]){_SCHEME.pattern}", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![a-zA-Z0-9])\d(?:[^a-zA-Z0-9]{0,3}\d)*(?![a-zA-Z0-9])")


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID, with or without its dashes; a row of digits is none."""
    return _IS_UUID.fullmatch(text) is not None and not is_number(text)


def is_number(text: str) -> bool:
    """Whether an identifier is of digits alone, with or without dashes."""
    return text.replace("-", "").isdigit()


def is_call_id(text: str) -> bool:
    """Whether a text is a call id in the form that Bandwidth gives it."""
    return _IS_CALL_ID.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Whether a text may be kept as the id of a call: Bandwidth's form, or no number or address."""
    return is_call_id(text) or (
        _is_plain(text) and not has_digit_run(text) and not _ADDRESS.search(text)
    )


def is_sip_call_id(text: str) -> bool:
    """Whether a text may be kept as a SIP Call-ID: the part before its host is no phone number.

    Many machines use digits: an id with more of them than a phone number has is none.
    """
    if not _is_plain(text) or _SCHEME.match(text):
        return False
    local = text.partition("@")[0]
    if "+" in local or any(map(is_number, IDENTIFIER.findall(local))):
        return False
    local = IDENTIFIER.sub("", local)
    digits = re.sub("[^a-zA-Z0-9]", "", local)
    least = 5 if digits.isdigit() else _NATIONAL_NUMBER
    return not any(
        least <= sum(map(str.isdigit, run)) <= _LONGEST_NUMBER for run in _NUMBER.findall(local)
    )


def _is_plain(text: str) -> bool:
    # A text that says nothing would be one call for all that have it.
    is_printed = len(text) <= _LONGEST_ID and text.isascii() and text.isprintable()
    return is_printed and not is_nothing(text)


def _unless_number(found: re.Match[str]) -> str:
    return found[0] if is_number(found[0]) else ""


def is_application(text: str) -> bool:
    """Whether a text looks like the id of an application: a UUID."""
    return len(text) <= _LONGEST and _has_form_of_application(text)


def is_word(text: str) -> bool:
    """Whether a text looks like a cause or an event type and cannot hide a phone number."""
    return len(text) <= _LONGEST and _has_form_of_word(text)


# The same few values come again and again: the form of each is looked at once.
_has_form_of_application = lru_cache(maxsize=1024)(is_uuid)


@lru_cache(maxsize=1024)
def _has_form_of_word(text: str) -> bool:
    return (
        _WORD.fullmatch(text) is not None
        and not has_digit_run(text)
        and text not in RESERVED
        and not is_nothing(text)
    )


def is_nothing(text: str) -> bool:
    """Whether a text only says that there is no value."""
    return text in _NOTHING


def is_token(text: str) -> bool:
    """Whether a text looks like an id of Bandwidth's and cannot hide a phone number."""
    return (
        _TOKEN.fullmatch(text) is not None
        and not has_digit_run(text)
        and not _SCHEME.match(text)
        and text not in RESERVED
        and text != NONE
        and not is_nothing(text)
    )


def has_digit_run(text: str) -> bool:
    """Whether five digits stand in a row outside every UUID and call id, apart or together."""
    return _DIGIT_RUN.search(text) is not None and (
        _DIGIT_RUN.search(IDENTIFIER.sub(_unless_number, text)) is not None
    )


class Admitted(msgspec.Struct):
    """The values of a label that were not known from the start, let in first come, first served."""

    known: frozenset[str]
    cap: int
    admitted: list[str] = []

    def admit(self, value: str) -> tuple[str, bool]:
        """Return the label value to count under, and whether it is seen for the first time."""
        if value in self.known or value in self.admitted:
            return value, False
        if len(self.admitted) >= self.cap:
            return OTHER, False
        self.admitted.append(value)
        return value, True

    def names(self, value: str) -> bool:
        """Whether a value is counted under its own name, or is one that needs none."""
        return value in self.known or value in self.admitted

    def let_in(self, value: str) -> bool:
        """Admit a value whatever the cap; return whether it is seen for the first time."""
        is_new = not self.names(value)
        if is_new:
            self.admitted.append(value)
        return is_new

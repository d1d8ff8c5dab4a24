"""Ids, phone numbers and tags, all invented."""

from random import Random

NAMES = (
    *("Dana Whitfield", "Omar Castellano", "Priya Raghunathan", "Lukas Brandt"),
    *("Mei Tanaka", "Seamus OFlaherty", "Ines Carvalho", "Kofi Mensah"),
)
_WITHHELD = ("Restricted", "Anonymous", "Private", "Unavailable")
_WITHHELD_SHARE = 0.04
_SIP_SHARE = 0.04


def uuid(rng: Random) -> str:
    """Return a UUID of version 4."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def call_id(rng: Random) -> str:
    """Return an id in the form of Bandwidth's call ids."""
    return f"c-{rng.getrandbits(32):08x}-{uuid(rng)}"


def sip_call_id(rng: Random) -> str:
    """Return the Call-ID of a SIP dialog; the address is of a documentation network."""
    return f"{rng.getrandbits(64):016x}@192.0.2.10"


def number(rng: Random) -> str:
    """Return an E.164 number of the range that is kept for fiction."""
    area = 200 + int(rng.random() * 800)
    return f"+1{area}55501{int(rng.random() * 100):02d}"


def caller(rng: Random) -> str:
    """Return an outside caller: a number, or that it is withheld."""
    if rng.random() < _WITHHELD_SHARE:
        return rng.choice(_WITHHELD)
    return number(rng)


def callee(rng: Random) -> str:
    """Return the called party: a number, or at times a SIP URI."""
    if rng.random() < _SIP_SHARE:
        return f"sip:{number(rng)}@pbx.example.com"
    return number(rng)


def tag(rng: Random) -> str:
    """Return a tag as a customer might put on a call: a person's name and a long number."""
    return f"{rng.choice(NAMES)}, account {int(rng.random() * 1e10):010d}"

"""How the values of the simulator's options are read."""

import argparse
import re
from collections.abc import Callable
from math import isfinite
from typing import TypeVar

from bandwidth_voice_exporter.simulate.profile import ApplicationProfile

T = TypeVar("T")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def positive(text: str) -> float:
    """Return a number above 0. Raises ValueError."""
    found = number(text)
    if not (isfinite(found) and found > 0):
        raise ValueError(f"{text!r} is not above 0")
    return found


def share(text: str) -> float:
    """Return a number from 0 to 1. Raises ValueError."""
    found = number(text)
    if not 0.0 <= found <= 1.0:
        raise ValueError(f"{text!r} is not from 0 to 1")
    return found


def count(text: str) -> int:
    """Return a whole number of at least 1. Raises ValueError."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def number(text: str) -> float:
    """Return a number. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def application(text: str) -> ApplicationProfile:
    """Return an application as UUID or UUID=WEIGHT. Raises ValueError."""
    application_id, equals, weight = text.partition("=")
    if not _UUID.fullmatch(application_id):
        raise ValueError(f"{application_id!r} is not a UUID")
    return ApplicationProfile(application_id, positive(weight) if equals else 1.0)


def argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return ``parse`` with a ValueError in the form whose text argparse shows."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed

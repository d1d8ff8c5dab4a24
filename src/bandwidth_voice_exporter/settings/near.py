"""The existing name that is nearest to one that does not exist."""

import difflib
from collections.abc import Iterable

_ALIKE = 0.6  # from 0 to 1: a name that shares only some letters was not meant


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that looks most like one that does not exist; None where none is near."""
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=_ALIKE)), None)


def hint(name: str, names: Iterable[str]) -> str:
    """Return the end of a sentence that says which name is the nearest; empty without one."""
    found = nearest(name, names)
    return f"; the nearest one is {found}" if found else ""

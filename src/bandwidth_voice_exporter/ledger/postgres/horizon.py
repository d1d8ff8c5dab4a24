"""The times before which a shared ledger does not know its calls, among its notes."""

from collections.abc import Mapping

from bandwidth_voice_exporter.metrics import Kind

DOUBTED = "doubted"
PRUNED: Mapping[Kind, str] = {"normal": "pruned normal", "failure": "pruned failure"}
NAMES = (DOUBTED, *PRUNED.values())
PUT = """
    INSERT INTO notes VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET note = greatest(notes.note, excluded.note)
"""
_BYTES = 8


def encoded(time: int) -> bytes:
    """Return a time (microseconds) as a note, the greater the later."""
    return max(0, time).to_bytes(_BYTES)


def decoded(note: bytes | None) -> int:
    """Return the time in a note, 0 where there is none."""
    return int.from_bytes(note or b"")


def pruned(notes: Mapping[str, bytes]) -> dict[Kind, int]:
    """Return up to when the newest rows of each kind were received that are gone; 0 for none."""
    return {kind: decoded(notes.get(name)) for kind, name in PRUNED.items()}


def notes(doubted: int, pruned: Mapping[Kind, int]) -> dict[str, bytes]:
    """Return these times as notes; none for 0."""
    times = {DOUBTED: doubted, **{PRUNED[kind]: time for kind, time in pruned.items()}}
    return {name: encoded(time) for name, time in times.items() if time}

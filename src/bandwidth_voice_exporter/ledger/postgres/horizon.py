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

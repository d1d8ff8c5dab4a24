"""The progress of the comparison, which the ledger keeps whole after each step."""

from collections.abc import Iterable

import msgspec

from bandwidth_voice_exporter.metrics import Kind
from bandwidth_voice_exporter.reconcile.coverage import Coverage
from bandwidth_voice_exporter.voice import SECOND, CallEnded

_FIRST_SPAN = 3600 * SECOND


class Notes(msgspec.Struct):
    """How far an account's calls have been compared; times in microseconds.

    Calls that started before ``mark``, on Bandwidth's clock, are compared, but for those whose ids
    are ``open``: they had not ended. Missed calls that started from ``unrecorded`` on were reported
    and not recorded; before ``again`` all are compared for the second time. ``alive`` is when this
    was written, and ``span`` how long a time is asked for next. Rows received before ``pruned`` may
    be gone, and in the times of ``doubts`` there were events without a call id, any of which may be
    a call that seems missed.
    """

    mark: int
    alive: int
    span: int = _FIRST_SPAN
    pruned: dict[Kind, int] = {}
    doubts: list[tuple[int, int]] = []
    open: list[str] = []
    unrecorded: int | None = None
    again: int = 0
    coverage: Coverage = msgspec.field(default_factory=Coverage)

    def report(self, calls: Iterable[CallEnded]) -> None:
        """Note that missed calls were reported, and not recorded."""
        starts = [start for call in calls if (start := call.start_time or call.end_time)]
        first = min(starts, default=self.mark)
        self.unrecorded = first if self.unrecorded is None else min(first, self.unrecorded)


_decoder = msgspec.msgpack.Decoder(Notes)


def decoded(note: bytes) -> Notes | None:
    """Return the notes; None if they cannot be read, as after a change of their form."""
    try:
        return _decoder.decode(note)
    except msgspec.DecodeError:
        return None


def encoded(notes: Notes) -> bytes:
    """Return it as bytes."""
    return msgspec.msgpack.encode(notes)

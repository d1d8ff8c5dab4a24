"""The contents of a ledger on their way into another, whatever either is kept in."""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

import msgspec

from bandwidth_voice_exporter.metrics import CappedLabel, Kind
from bandwidth_voice_exporter.voice import CallEnded

Placed = tuple[int, CallEnded]  # the place of a call's share among the shares


class ShareContents(msgspec.Struct, frozen=True):
    """The encoded totals of one exporter, and what a shared ledger says beside them."""

    name: str
    state: bytes | None
    counted_twice: int = 0
    spool: uuid.UUID | None = None
    spooled: int = 0


class Contents(msgspec.Struct, frozen=True):
    """All of a ledger but its calls.

    ``admitted`` are label values that were not known from the start; calls counted before
    ``doubted`` may be missing, and rows of a kind that were received up to ``pruned`` may be gone
    (microseconds).
    """

    shares: Sequence[ShareContents]
    admitted: Mapping[CappedLabel, Sequence[str]]
    notes: Mapping[str, bytes]
    doubted: int = 0
    pruned: Mapping[Kind, int] = {}


class CopySource(Protocol):
    """A ledger that nobody writes meanwhile."""

    async def contents(self) -> Contents:
        """Return all but the calls. Raises StoreError."""
        ...

    def calls(self, *, counted: bool) -> AsyncIterator[Sequence[Placed]]:
        """Yield the calls that are in the totals, or those after them, some at a time.

        Raises StoreError.
        """
        ...


class CopyTarget(Protocol):
    """A ledger that is empty, and stays so unless all comes into it."""

    async def begin(self, contents: Contents) -> None:
        """Take all but the calls. Raises StoreError."""
        ...

    async def write(self, placed: Sequence[Placed]) -> None:
        """Take some calls. Raises StoreError."""
        ...

    async def save(self) -> None:
        """Take the totals for those of the calls so far. Raises StoreError."""
        ...

    async def end(self) -> None:
        """Let it be a ledger. Raises StoreError."""
        ...

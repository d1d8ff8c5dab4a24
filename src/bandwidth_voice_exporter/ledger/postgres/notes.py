"""The notes of a shared ledger: one replica at a time puts them, by the session that it has."""

import asyncio

from bandwidth_voice_exporter.ledger.postgres.link import Link
from bandwidth_voice_exporter.ledger.postgres.session import Session
from bandwidth_voice_exporter.ledger.postgres.target import AwayError


class SharedNotes:
    """The notes of a shared ledger, reached by a link while it works."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._is_up = False
        self._turn = asyncio.Lock()  # of whoever uses the session

    async def note(self, name: str) -> bytes | None:
        """Return the note under a name. Raises StoreError."""
        async with self._turn:
            return await self._working().note(name)

    async def reserve_notes(self) -> bool:
        """Whether this replica alone may put notes, until its session ends. Raises StoreError."""
        async with self._turn:
            return await self._working().reserve_notes()

    async def put_note(self, name: str, note: bytes) -> None:
        """Keep a note, durably, in place of the one before. Raises StoreError.

        A session that began since the notes were reserved may not: another replica may have them.
        """
        async with self._turn:
            await self._working().put_note(name, note)

    def _working(self) -> Session:
        if self._link.session and self._is_up:
            return self._link.session
        raise AwayError("the ledger does not work")

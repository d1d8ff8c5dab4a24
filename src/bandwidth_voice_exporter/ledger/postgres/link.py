"""The session of a replica, opened again whenever it is lost."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Sequence

from bandwidth_voice_exporter.ledger.database import StoreError
from bandwidth_voice_exporter.ledger.postgres.lock import SupersededError
from bandwidth_voice_exporter.ledger.postgres.session import Session
from bandwidth_voice_exporter.ledger.postgres.target import AwayError, LedgerTarget
from bandwidth_voice_exporter.ledger.table import Numbered

_PAUSE = 0.1  # between two tries


class Link:
    """That of one process; ``counts`` once its totals are those that the others know of."""

    def __init__(self, target: LedgerTarget) -> None:
        self.target = target
        self.session: Session | None = None
        self.counts = False
        self._process = uuid.uuid4()
        self._opening: asyncio.Task[Session] | None = None

    async def open(self, seconds: float) -> Session | None:
        """Return the session, a new one where there is none; None where it takes longer.

        The attempt goes on then, and whoever asks next has its result. Raises StoreError.
        """
        if self.session is None:
            if self._opening is None:
                opening = Session.open(self.target, self._process, is_first=not self.counts)
                self._opening = asyncio.create_task(opening)
                self._opening.add_done_callback(_seen)
            await asyncio.wait([self._opening], timeout=seconds)
            if not self._opening.done():
                return None
            done, self._opening = self._opening, None
            self.session = done.result()
        return self.session

    async def insert(
        self, numbered: Sequence[Numbered], seconds: float
    ) -> tuple[Session, set[int]]:
        """Write calls, again and again for some seconds; return the rows that are this replica's.

        An answer that was lost is asked for in the next session. Raises StoreError: then it is not
        known what became of them.
        """
        deadline = time.monotonic() + seconds
        reason: StoreError = AwayError("the database does not answer in time")
        while True:
            try:
                session = await self.open(max(0.0, deadline - time.monotonic()))
                if session is None:
                    raise reason
                return session, await session.insert(numbered)
            except SupersededError:
                raise
            except StoreError as error:
                reason = error
                self.drop()
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_PAUSE)

    def drop(self) -> None:
        """Break the session off: after an error nobody knows what became of it."""
        if self.session:
            self.session.close()
            self.session = None

    async def close(self) -> None:
        """Leave, as far as the database lets it."""
        if self._opening:
            with contextlib.suppress(StoreError):
                self.session = await self._opening
            self._opening = None
        if self.session:
            await self.session.leave()
            self.session = None


def _seen(opening: asyncio.Task[Session]) -> None:
    """Take note of an error that nobody may ask for any more."""
    if not opening.cancelled():
        opening.exception()

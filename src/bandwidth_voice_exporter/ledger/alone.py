"""A ledger that no other exporter shares."""

import asyncio
from collections.abc import Sequence

from bandwidth_voice_exporter.ledger.replica import Replica
from bandwidth_voice_exporter.metrics import Tally


class Alone:
    """One whose totals are known before it is made."""

    def __init__(self, tally: Tally) -> None:
        self._known = tally

    def loaded(self) -> asyncio.Future[Tally]:
        """Return the totals, which are known."""
        known: asyncio.Future[Tally] = asyncio.get_running_loop().create_future()
        known.set_result(self._known)
        return known

    async def reserve_notes(self) -> bool:
        """Whether this exporter alone may put notes: nobody else does."""
        return True

    def replicas(self) -> Sequence[Replica]:
        """Return none: it is not shared."""
        return ()

"""The label values that all replicas name: a new one is let in for all of them, or for none."""

from collections.abc import Sequence

from bandwidth_voice_exporter.ledger.counting import Counting
from bandwidth_voice_exporter.ledger.postgres.session import Session
from bandwidth_voice_exporter.voice import CallEnded

_MOST_REFUSED = 10_000  # values that are not asked for again


class SharedLabels:
    """Causes and applications that were not known from the start."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting
        self._refused: set[tuple[str, str]] = set()

    async def let_in(self, session: Session, calls: Sequence[CallEnded]) -> bool:
        """Have the new values of some calls let in before they are counted; say if any were.

        Raises StoreError.
        """
        is_any = False
        for label, values in self._counting.unnamed(calls).items():
            asked = [one for one in dict.fromkeys(values) if (label, one) not in self._refused]
            if asked:
                admitted = await session.admit(label, asked, self._counting.most()[label])
                is_any |= self._counting.let_in({label: admitted})
                if len(self._refused) < _MOST_REFUSED:
                    self._refused.update((label, one) for one in asked)

        return is_any

    async def share(self, session: Session) -> None:
        """Let the others name what this replica let in alone. Raises StoreError."""
        for label, values in self._counting.admitted().items():
            if values:
                admitted = await session.admit(label, values, self._counting.most()[label])
                self._counting.let_in({label: admitted})

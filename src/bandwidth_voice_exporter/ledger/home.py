"""The ledger's home: its database in a claimed directory, moved aside if it is damaged."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from bandwidth_voice_exporter.ledger import directory
from bandwidth_voice_exporter.ledger.database import DamagedError, StoreError, set_aside
from bandwidth_voice_exporter.ledger.directory import Claim, StorageError
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints
from bandwidth_voice_exporter.ledger.store import Store
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.voice import now

_Result = TypeVar("_Result")


class Home:
    """That of one ledger after another; ``fingerprints`` are of all that was counted from them."""

    def __init__(self, claim: Claim, fingerprints: Fingerprints, log: Log) -> None:
        self.path = claim.directory / directory.LEDGER
        self.fingerprints = fingerprints
        self.damage: DamagedError | None = None  # found in the ledger that is there
        self._claim = claim
        self._log = log

    def is_claimed(self) -> bool:
        """Whether the directory is still claimed."""
        return self._claim.is_held()

    def open(self, use: Callable[[Store], _Result]) -> _Result:
        """Open the ledger and use it; a damaged one is set aside, and an empty one begun.

        Raises StoreError.
        """
        try:
            self._claim.renew()
            if self.damage is None:
                try:
                    return self._used(use)
                except DamagedError as error:
                    self.damage = error
            self._set_aside(self.damage)
            return self._used(partial(_begun_anew, use))
        except StorageError as error:
            raise StoreError(str(error)) from error

    def read(self, use: Callable[[Store], _Result]) -> _Result:
        """Use the ledger where nothing can be written. Raises StoreError."""
        return use(Store(self.path, self.fingerprints, read_only=True))

    def _used(self, use: Callable[[Store], _Result]) -> _Result:
        store = Store(self.path, self.fingerprints)
        try:
            return use(store)
        except DamagedError:
            store.close()
            raise

    def _set_aside(self, damage: DamagedError) -> None:
        try:
            place = set_aside(self.path, datetime.now(UTC))
        except OSError as error:
            raise StoreError(str(error)) from error
        self.damage = None
        message = "the ledger is damaged: moved aside, begun anew"
        self._log.error(message, to=place, reason=str(damage))


def _begun_anew(use: Callable[[Store], _Result], store: Store) -> _Result:
    store.doubt(now())  # until then calls were counted that are in the lost one alone
    return use(store)

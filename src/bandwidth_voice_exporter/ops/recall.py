"""The minutes before the start, from the ledger."""

from collections.abc import Mapping

from bandwidth_voice_exporter.ledger import Reader, ReadError
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import MINUTE
from bandwidth_voice_exporter.ops.history import Causes, Recall
from bandwidth_voice_exporter.settings import Settings
from bandwidth_voice_exporter.voice import SECOND

_SECONDS = 3.0


def recall_of(reader: Reader | None, settings: Settings, log: Log) -> Recall:
    """Return how the minutes before the start are looked up, of which none is pruned yet."""
    kept = round(min(settings.storage_retention, settings.storage_retention_normal) * SECOND)

    def recall(since: int, before: int) -> Mapping[int, Causes]:
        if reader is None:
            return {}
        try:
            return reader.minutes(max(since, before - kept + MINUTE), before, _SECONDS)
        except ReadError as error:
            log.warning("the hour before the start cannot be looked up", reason=str(error))
            return {}

    return recall

"""What has ended in each minute."""

import msgspec
import numpy as np

from bandwidth_voice_exporter.voice.causes import CAUSES
from lab.alert_quality.lengths import Whole
from lab.alert_quality.traffic import PAIRS, Floats


class Ended(msgspec.Struct, frozen=True):
    """Calls by pair, cause, answered and minute; short calls and minutes talked by pair, minute."""

    calls: Whole
    short: Whole
    talk: Floats

    @classmethod
    def nothing(cls, minutes: int) -> "Ended":
        """No call at all, in so many minutes."""
        return cls(
            np.zeros((len(PAIRS), len(CAUSES), 2, minutes), np.int64),
            np.zeros((len(PAIRS), minutes), np.int64),
            np.zeros((len(PAIRS), minutes)),
        )

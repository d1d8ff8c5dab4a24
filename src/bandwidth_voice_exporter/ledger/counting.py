"""The totals of a ledger's calls: resumed at a start, folded into, encoded for the next."""

from collections.abc import Iterable, Mapping, Sequence

from bandwidth_voice_exporter.ledger.database import DamagedError
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import CappedLabel, Instruments, Limits, Tally, checkpoint
from bandwidth_voice_exporter.settings import Settings
from bandwidth_voice_exporter.voice import DISCONNECT, SECOND, CallEnded, Clock


class Counting:
    """A tally under the settings, which counts the labels that overflow."""

    def __init__(
        self, settings: Settings, clock: Clock, instruments: Instruments, log: Log
    ) -> None:
        self._limits = _limits(settings)
        self._names = settings.labels_application
        self._clock = clock
        self._instruments = instruments
        self._log = log
        self.tally = Tally(self._limits, clock())

    def resume(self, state: bytes | None, since: Iterable[CallEnded]) -> None:
        """Go on from encoded totals and the calls since. Raises DamagedError."""
        try:
            self.tally, anew = checkpoint.resume(
                state, self._limits, self._names, self._clock(), since
            )
        except checkpoint.CheckpointError as error:
            raise DamagedError(str(error)) from error
        for what in anew:
            self._log.warning("configuration changed: counted from 0 again", what=what)

    def fold(self, call: CallEnded) -> None:
        """Count a call."""
        self._instruments.overflow(self.tally.fold(call))

    def follow_clock(self) -> None:
        """Take the births along from now on whenever the clock is set."""
        self._clock.on_step(self.tally.step)

    def let_in(self, admitted: Mapping[str, Sequence[str]]) -> bool:
        """Name label values that other exporters name too, by label, whatever the caps say.

        Return whether any of them was not named before.
        """
        is_any, at = False, self._clock()
        for label, admission in self.tally.admissions().items():
            for value in filter(admission.let_in, admitted.get(label, ())):
                is_any = True
                if label == "application":
                    self.tally.bear_application(value, at)
        return is_any

    def admitted(self) -> dict[CappedLabel, list[str]]:
        """Return the label values that were not known from the start, by label."""
        return {
            label: list(admission.admitted) for label, admission in self.tally.admissions().items()
        }

    def most(self) -> dict[CappedLabel, int]:
        """Return how many of these there may be."""
        return {label: one.cap for label, one in self.tally.admissions().items()}

    def unnamed(self, calls: Sequence[CallEnded]) -> dict[CappedLabel, list[str]]:
        """Return the values of some calls that have no name in labels yet, by label."""
        admissions = self.tally.admissions()
        has_cause, has_application = admissions["cause"].names, admissions["application"].names
        return {
            "cause": [call.cause for call in calls if not has_cause(call.cause)],
            "application": [
                call.application
                for call in calls
                if call.event_type == DISCONNECT and not has_application(call.application)
            ],
        }

    def encode(self) -> bytes:
        """Return the totals as they are now."""
        return checkpoint.encode(self.tally, self._names)


def _limits(settings: Settings) -> Limits:
    return Limits(
        applications=tuple(settings.labels_application),
        max_applications=settings.labels_max_applications,
        max_new_causes=settings.labels_max_new_causes,
        max_error_ids=settings.errors_max_ids,
        max_new_error_ids_per_minute=settings.errors_max_new_per_minute,
        newborn_hold=round(settings.metrics_newborn_hold * SECOND),
        exemplars=not settings.no_exemplars,
        native_histograms=settings.metrics_native_histograms,
        reconciles=settings.reconcile_record,
    )

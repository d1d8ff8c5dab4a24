"""The verdicts on listed calls, and what becomes of each call."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from bandwidth_voice_exporter.metrics import Kind
from bandwidth_voice_exporter.reconcile.catch import Catch, decoded, end_of, key_of, paced
from bandwidth_voice_exporter.reconcile.coverage import Coverage, Group
from bandwidth_voice_exporter.voice import HANGUP, CallEnded


class Verdicts(msgspec.Struct):
    """Listed calls by group and verdict, and when the first of the missed ones ended."""

    calls: dict[Group, Counter[str]] = {}
    missed_since: int | None = None

    def add(self, key: Group, verdict: str, number: int = 1) -> None:
        """Count calls."""
        self.calls.setdefault(key, Counter())[verdict] += number

    def miss(self, end: int) -> None:
        """Note when a call ended that webhooks missed."""
        self.missed_since = end if self.missed_since is None else min(self.missed_since, end)

    def only(self, verdict: str) -> "Verdicts":
        """Return the calls of one verdict."""
        calls = {key: Counter({verdict: found[verdict]}) for key, found in self.calls.items()}
        return Verdicts({key: found for key, found in calls.items() if +found}, self.missed_since)

    def by_verdict(self) -> Counter[str]:
        """Return how many there were of all kinds."""
        return sum(self.calls.values(), Counter[str]())


class Step:
    """Listed calls that are not written down yet; if ``is_again``, they were compared before."""

    def __init__(self, *, is_again: bool = False) -> None:
        self.is_again = is_again
        self.listed = 0
        self.missed: list[bytes] = []
        self.outcome = Verdicts()

    def take(self, catch: Catch, coverage: Coverage) -> None:
        """Take in a part of the list, in a thread."""
        self.missed += catch.missed
        self.listed += len(catch.listed)
        if self.is_again:
            return
        for some in paced(catch.listed):
            for one in some:
                coverage.put(one.key, one.end, is_counted=one.is_counted)
                if one.is_counted:
                    self.outcome.add(one.key, "counted")
        for key, number in catch.recorded.items():
            self.outcome.add(key, "recorded", number)
        for key, number in catch.nameless.items():
            self.outcome.add(key, "no_id", number)


class Judge:
    """Says of calls that are not in a ledger whether they are lost, or why that cannot be said.

    Rows since ``kept_since`` are there, but perhaps for some of the times in ``doubts``; both are
    of the ledger's clock, which Bandwidth's is ``ahead`` of (microseconds).
    """

    def __init__(
        self,
        coverage: Coverage,
        kept_since: Mapping[Kind, int],
        doubts: Sequence[tuple[int, int]],
        ahead: int,
    ) -> None:
        self._coverage = coverage
        self._verdicts = coverage.verdicts()
        self._kept_since = kept_since
        self._doubts = doubts
        self._ahead = ahead

    def lost(self, missed: Sequence[bytes], outcome: Verdicts) -> list[bytes]:
        """Return those of encoded calls that are lost, in a thread; count the others."""
        lost = []
        for some in paced(missed):
            for encoded in some:
                call = decoded(encoded)
                verdict = self.verdict(call)
                if verdict == "missed":
                    outcome.miss(end_of(call))
                    lost.append(encoded)
                else:
                    outcome.add(key_of(call), verdict)
        return lost

    def verdict(self, call: CallEnded) -> str:
        """Return a call's."""
        verdict = self._verdicts[self._coverage.known(key_of(call))]
        if verdict != "missed":
            return verdict
        end = end_of(call) - self._ahead
        if call.call_id is None:
            return "no_id"
        if end < self._kept_since["normal" if call.cause == HANGUP else "failure"]:
            return "pruned"
        if any(since <= end <= until for since, until in self._doubts):
            return "doubted"
        return verdict

"""One comparison by hand, which changes nothing, as a table for a person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from bandwidth_voice_exporter.reconcile.coverage import Group
from bandwidth_voice_exporter.reconcile.judge import Verdicts
from bandwidth_voice_exporter.reconcile.notes import Notes
from bandwidth_voice_exporter.voice import SECOND

# Of a missed call only the whole comparison tells which of these it is.
_BY_COVERAGE = ("missed", "not_configured", "partial", "too_few")
_HEAD = ("application", "direction", "listed", "counted", "recorded", "not counted", "which are")
_NUMBERS = slice(2, 6)
_MEANINGS = {
    "missed": "missed",
    "not_configured": "not configured: webhooks report none",
    "partial": "webhooks report only some",
    "too_few": "too few to judge",
    "pruned": "too old: rows of then are pruned",
    "doubted": "of a time that the ledger does not know whole",
    "no_id": "without a call id to ask for",
}


class Report:
    """The result of a comparison of the calls that started from ``since`` on (microseconds).

    ``names`` are applications' names by id; ``is_since_first`` if the ledger begins at that time.
    """

    def __init__(self, since: int, names: Mapping[str, str], *, is_since_first: bool) -> None:
        self._since = self._until = since
        self._is_since_first = is_since_first
        self._names = names
        self._calls: dict[Group, Counter[str]] = {}
        self._verdicts: dict[Group, str] = {}

    async def take(self, notes: Notes, outcome: Verdicts) -> None:
        """Take in a window's."""
        self._until = notes.mark
        self._verdicts = notes.coverage.verdicts()
        for key, verdicts in outcome.calls.items():
            self._calls.setdefault(key, Counter()).update(verdicts)

    def text(self) -> str:
        """Return it as lines."""
        if not self._calls:
            return ""
        rows = [_HEAD, *(self._row(key) for key in sorted(self._calls, key=self._named))]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        return "".join(f"{_line(row, widths)}\n" for row in rows)

    def summary(self) -> str:
        """Return it in two sentences."""
        sums = sum((Counter(self._judged(key)) for key in self._calls), Counter[str]())
        found = (
            f"{sums['counted']} of {sums.total()} listed calls were counted by webhooks, "
            f"{sums['recorded']} from the list; {sums['missed']} were missed."
            if sums
            else "Bandwidth lists no ended calls of this time."
        )
        first = " The ledger has no earlier ones." if self._is_since_first else ""
        return (
            f"Calls that started from {_written(self._since)} to {_written(self._until)} UTC were "
            f"compared; later ones\nmay not be listed yet (--reconcile.settle).{first}\n"
            f"{found}"
        )

    def _named(self, key: Group) -> Group:
        return self._names.get(key[0], key[0]), key[1]

    def _judged(self, key: Group) -> dict[str, int]:
        """Return a kind's calls by verdict, as all of them together say it."""
        verdicts = self._calls[key]
        others = {name: n for name, n in verdicts.items() if name not in _BY_COVERAGE}
        by_coverage = sum(verdicts[name] for name in _BY_COVERAGE)
        return (
            {**others, self._verdicts.get(key, "too_few"): by_coverage} if by_coverage else others
        )

    def _row(self, key: Group) -> tuple[str, ...]:
        verdicts = self._judged(key)
        counted, recorded = verdicts.pop("counted", 0), verdicts.pop("recorded", 0)
        rest = sum(verdicts.values())
        numbers = (counted + recorded + rest, counted, recorded, rest)
        said = ", ".join(
            _MEANINGS[name] if len(verdicts) == 1 else f"{number} {_MEANINGS[name]}"
            for name, number in verdicts.items()
        )
        return (*self._named(key), *map(str, numbers), said)


def _written(time_: int) -> str:
    return f"{datetime.fromtimestamp(time_ // SECOND, UTC):%Y-%m-%d %H:%M:%S}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if column in range(len(row))[_NUMBERS] else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()

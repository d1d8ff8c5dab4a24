"""The error ids that have a series each: the most recent, a few a minute, of every cause."""

import msgspec

MINUTE = 60_000_000

Key = tuple[str, ...]


class ErrorIds(msgspec.Struct):
    """The label sets that name an error id, oldest first, each with its birth (microseconds).

    An id is as good as unique to its call, so ``cap`` bounds the series and ``per_minute`` the
    churn. A cause may take no more of a minute's allowance than it leaves to the others: a storm
    of one cause does not hide the first id of another. A series younger than ``min_age`` is not
    given up, so that every one of them is scraped at 0 and at its value.
    """

    cap: int
    per_minute: int
    min_age: int
    births: dict[Key, int] = {}
    minute: int = 0
    taken: dict[str, int] = {}

    def admit(self, key: Key, cause: str, at: int) -> bool:
        """Whether a label set born at a time may have its own series."""
        if at // MINUTE != self.minute:
            self.minute, self.taken = at // MINUTE, {}
        own = self.taken.get(cause, 0)
        if own >= self.per_minute - sum(self.taken.values()) or not self._has_room(at):
            return False
        self.taken[cause] = own + 1
        self.births[key] = at
        return True

    def surplus(self) -> Key | None:
        """Return the oldest label set where there is one too many; it is forgotten here."""
        if len(self.births) <= self.cap:
            return None
        oldest = next(iter(self.births))
        del self.births[oldest]
        return oldest

    def _has_room(self, at: int) -> bool:
        if len(self.births) < self.cap:
            return True
        # A birth in the future is that of a clock that was set back since: old enough.
        return self.cap > 0 and not 0 <= at - next(iter(self.births.values())) < self.min_age

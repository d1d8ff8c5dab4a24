"""One of the exporters that share a ledger."""

import msgspec

LEASE = 10.0  # seconds without a sign of life, after which a name may be taken over


class Replica(msgspec.Struct, frozen=True):
    """A name that calls are counted under; ``age`` is that of its last sign of life.

    It is in seconds, and None for a replica that said that it ends.
    """

    name: str
    host: str
    age: float | None
    is_this: bool

    @property
    def lives(self) -> bool:
        """Whether it gave a sign of life within the lease."""
        return self.age is not None and self.age < LEASE

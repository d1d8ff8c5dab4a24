"""What a replica's share has come to."""

import uuid

import msgspec


class SharedSaved(msgspec.Struct, frozen=True):
    """What a replica's share has come to: encoded totals, and the last row that is in them.

    ``counted_twice`` of its calls another replica has counted too; of the spool that it names the
    entries up to ``spooled`` are in.
    """

    last_row: int
    state: bytes | None
    counted_twice: int = 0
    spool: uuid.UUID | None = None
    spooled: int = 0

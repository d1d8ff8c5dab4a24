"""The saved totals of a replica's share."""

import uuid

import msgspec


class SharedSaved(msgspec.Struct, frozen=True):
    """The saved totals of a replica's share, encoded, and the last row that is in them.

    Another replica has counted ``counted_twice`` of its calls too; of the spool that it names, the
    entries up to ``spooled`` are in.
    """

    last_row: int
    state: bytes | None
    counted_twice: int = 0
    spool: uuid.UUID | None = None
    spooled: int = 0

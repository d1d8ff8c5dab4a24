"""An open connection to PostgreSQL: of asyncpg's, which has no types, what the ledger uses."""

from collections.abc import AsyncIterable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

Record = Sequence[Any]  # a row, whose columns are what the statement asks for


class PostgresConnection(Protocol):
    """Runs statements with ``$1`` for their first value; raises whatever the driver raises."""

    async def execute(self, statement: str, *values: object) -> str:
        """Return the command's tag, which ends with the number of rows."""
        ...

    async def fetch(self, statement: str, *values: object) -> list[Record]:
        """Return the rows that were found."""
        ...

    async def fetchrow(self, statement: str, *values: object) -> Record:
        """Return the one row of a statement that always finds one."""
        ...

    async def fetchval(self, statement: str, *values: object) -> Any:
        """Return the first column of the first row; None where there is none."""
        ...

    async def executemany(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        """Run a statement with each of some values."""
        ...

    async def copy_records_to_table(
        self, table: str, *, records: Iterable[Record], columns: Sequence[str], schema_name: str
    ) -> str:
        """Write rows, as fast as can be; return the command's tag."""
        ...

    def cursor(self, statement: str, *, prefetch: int) -> AsyncIterable[Record]:
        """Yield the rows that are found, so many at a time, within a transaction."""
        ...

    def transaction(self, *, isolation: str | None = None) -> AbstractAsyncContextManager[object]:
        """Commit all statements meanwhile, or none of them."""
        ...

    def is_closed(self) -> bool:
        """Whether it is known to be lost, or was closed."""
        ...

    def get_server_pid(self) -> int:
        """Return the server's process for this connection."""
        ...

    async def close(self) -> None:
        """Say goodbye, however long it takes."""
        ...

    def terminate(self) -> None:
        """Break it off."""
        ...

"""A ledger that writes for as long as it is used."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol


class Writing(Protocol):
    """A ledger with a task that writes."""

    async def run(self) -> None:
        """Write until ``close`` is called and everything is written."""

    def close(self) -> None:
        """Let ``run`` end once nothing is pending."""


@contextlib.asynccontextmanager
async def running(ledger: Writing) -> AsyncIterator[None]:
    """Let it write meanwhile, and write all on the way out. Raises what its task raises."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(ledger.run())
            try:
                yield
            finally:
                ledger.close()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures

"""The totals of before the start, shown as soon as they are known."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from bandwidth_voice_exporter.meanwhile import meanwhile
from bandwidth_voice_exporter.metrics import Tally
from bandwidth_voice_exporter.ops.history import History, Recall
from bandwidth_voice_exporter.ops.state import State


@contextlib.asynccontextmanager
async def shown(loaded: asyncio.Future[Tally], state: State, recall: Recall) -> AsyncIterator[None]:
    """Show the totals once they are known, and recall the minutes before the start meanwhile."""
    if loaded.done():
        async with _show(loaded.result(), state).recalling(recall):
            yield
        return
    async with meanwhile(_show_later(loaded, state, recall)):
        yield


async def _show_later(loaded: asyncio.Future[Tally], state: State, recall: Recall) -> None:
    async with _show(await asyncio.shield(loaded), state).recalling(recall):
        await asyncio.get_running_loop().create_future()


def _show(tally: Tally, state: State) -> History:
    history = History(tally)
    state.tally, state.history = tally, history
    return history

"""The sender of a request, for an application that acts on it."""

import asyncio
from typing import Protocol

from starlette.types import Scope


class Sender(Protocol):
    """The sender of a request, with the actions that an application may ask for."""

    def trust(self) -> None:
        """Have others closed first if room is short."""
        ...

    def hang_up(self) -> None:
        """Give no answer: a refused event does not come again, an unanswered one may."""
        ...

    async def left(self) -> None:
        """Wait until no more comes from it: it has gone, or waits for nothing but answers."""
        ...


class _Nobody:
    """The sender of a request that came on no connection of a listener's."""

    def trust(self) -> None:
        pass

    def hang_up(self) -> None:
        pass

    async def left(self) -> None:
        await asyncio.get_running_loop().create_future()


def sender_of(scope: Scope) -> Sender:
    """Return the sender of a request."""
    sender: Sender = scope.get("sender") or _Nobody()
    return sender

"""Who sent a request, for an application that has something to be done about them."""

import asyncio
from typing import Protocol

from starlette.types import Scope


class Sender(Protocol):
    """Who sent a request, as far as an application may ask for something to be done about them."""

    def trust(self) -> None:
        """Let others go first where there is not enough for all."""
        ...

    def hang_up(self) -> None:
        """Give no answer: what is refused does not come again, what has no answer may."""
        ...

    async def left(self) -> None:
        """Wait until no more comes from them: they have gone, or wait for nothing but answers."""
        ...


class _Nobody:
    """Who sent a request that came on no connection of a listener's."""

    def trust(self) -> None:
        pass

    def hang_up(self) -> None:
        pass

    async def left(self) -> None:
        await asyncio.get_running_loop().create_future()


def sender_of(scope: Scope) -> Sender:
    """Return who sent a request."""
    sender: Sender = scope.get("sender") or _Nobody()
    return sender

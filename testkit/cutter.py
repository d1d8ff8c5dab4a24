"""A TCP proxy that cuts connections between any two messages, as a network does that is ill."""

import asyncio
import random

from testkit.proxy import Proxy


class Cutter(Proxy):
    """Cuts a connection before it passes a message on, once in so many messages."""

    def __init__(self, target: str, every: int, seed: int = 1) -> None:
        self._every = every
        self._dice = random.Random(seed)
        super().__init__(target)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        ways = [
            asyncio.create_task(self._pass(reader, upstream_writer)),
            asyncio.create_task(self._pass(upstream_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for each in (upstream_writer, writer):
                each.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not self._dice.randrange(self._every):
                return
            writer.write(data)

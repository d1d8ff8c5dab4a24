"""A TCP proxy that can keep one answer back, as a network does that swallows it."""

import asyncio
import threading

from testkit.closing import Closing

NOWHERE = "127.0.0.1:1"


class Proxy(Closing):
    """Passes bytes to and from an address; leaving the context closes all connections."""

    def __init__(self, target: str) -> None:
        """Listen on a loopback port of its own, which `address` names."""
        self.lead_to(target)
        self._swallow = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._connected, "127.0.0.1", 0)
        )
        self.address = "{}:{}".format(*self._server.sockets[0].getsockname())
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def lead_to(self, target: str) -> None:
        """Pass what is connected from now on to another address."""
        host, _, port = target.rpartition(":")
        self._target = host, int(port)

    def cut(self) -> None:
        """End all connections, and each new one at once, until it leads somewhere again."""
        self.lead_to(NOWHERE)
        self.drop()

    def drop(self) -> None:
        """End all connections."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(10)

    def stall(self) -> None:
        """Keep the next answer back until its client gives up."""
        self._swallow.set()

    def close(self) -> None:
        """Stop listening and end what is connected."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        await self._drop()

    async def _drop(self) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the other side is gone, or the test is over
        finally:
            self._connections.discard(task)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        answers = asyncio.create_task(self._answers(upstream_reader, writer))
        try:
            while data := await reader.read(65536):
                upstream_writer.write(data)
        finally:
            upstream_writer.close()
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self._swallow.is_set():
                self._swallow.clear()
                return  # the client waits, for nothing
            writer.write(data)
        writer.close()

"""Everything borrowed from uvicorn: a server's loop, and its orderly end.

- ``Config``, for an application without lifespan, access log and server header.
- ``Server``: ``serve`` with its ten ticks a second, the ``Date`` header of all answers, and an end
  that waits for connections, then for tasks, then cancels. The listener has a ``startup``,
  ``on_tick``, ``shutdown`` and ``capture_signals`` of its own, and sets ``servers``, ``started``
  and ``should_exit``.
- ``ServerState``: ``connections``, of which it calls ``shutdown``; ``tasks``, of which it calls
  ``cancel``; ``default_headers``.
- A transport's addresses, and whether it has TLS.

Its protocols, which read requests and call applications, are not used: http.connection says why.
Known to work with 0.40 to 0.54.
"""

from uvicorn import Config, Server
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

__all__ = ["Config", "Server", "ServerState", "get_local_addr", "get_remote_addr", "is_ssl"]

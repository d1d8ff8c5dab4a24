"""Passwords of the ops listener: nothing behind it is reached without one of them."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus

import bcrypt
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bandwidth_voice_exporter.http import basic
from bandwidth_voice_exporter.http.exchange import sender_of
from bandwidth_voice_exporter.logs import Log

_AT_ONCE = 2  # each check takes a core for as long as the hash's cost makes it
_REMEMBERED = 1000  # answers of each kind
_LONGEST = 72  # bytes of a password that bcrypt takes; htpasswd and Go ignore the rest too

_REFUSED = "credentials are missing or wrong"


class Protected:
    """An application that asks for the user and password of one of ``users`` (bcrypt hashes).

    Without users it asks for nothing. That a user is not known shows neither in the answer nor in
    the time that it takes.
    """

    def __init__(self, app: ASGIApp, users: Callable[[], Mapping[bytes, bytes]], log: Log) -> None:
        self._app = app
        self._users = users
        self._log = log
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._key = os.urandom(32)
        self._memory = _Memory()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or 401."""
        users = self._users()
        given = _credentials(scope)
        if not users:
            await self._app(scope, receive, send)
            return
        if given and await self._accepts(users, *given):
            sender_of(scope).trust()
            await self._app(scope, receive, send)
            return
        if given and self._log.is_due(_REFUSED):
            self._log.warning(_REFUSED, listener="ops")
        answer = PlainTextResponse(
            f"{_REFUSED}\n",
            HTTPStatus.UNAUTHORIZED,
            {"www-authenticate": 'Basic realm="ops", charset="UTF-8"'},
        )
        await answer(scope, receive, send)

    async def _accepts(self, users: Mapping[bytes, bytes], user: bytes, password: bytes) -> bool:
        # Who is not known is checked against somebody's hash, always the same one's: it takes what
        # a check takes here, whatever the costs of the hashes are.
        stored = users.get(user) or self._somebody(users, user)
        key = self._digest(user, password, stored)
        is_right = self._memory.get(key)
        if is_right is None:
            async with self._slots:
                is_right = self._memory.get(key)  # of the request that had the slot before
                if is_right is None:
                    matches = await asyncio.to_thread(bcrypt.checkpw, password[:_LONGEST], stored)
                    is_right = matches and user in users
                    self._memory.add(key, is_right=is_right)
        return is_right

    def _somebody(self, users: Mapping[bytes, bytes], user: bytes) -> bytes:
        hashes = sorted(users.values())
        return hashes[int.from_bytes(self._digest(user)) % len(hashes)]

    def _digest(self, *parts: bytes) -> bytes:
        digest = hashlib.blake2b(key=self._key, digest_size=32)
        for part in parts:
            digest.update(len(part).to_bytes(8) + part)
        return digest.digest()


class _Memory:
    """Which credentials were right and which wrong; apart, for guesses push nobody known out."""

    def __init__(self) -> None:
        self._answers: dict[bool, dict[bytes, None]] = {True: {}, False: {}}

    def get(self, key: bytes) -> bool | None:
        return next((is_right for is_right, keys in self._answers.items() if key in keys), None)

    def add(self, key: bytes, *, is_right: bool) -> None:
        keys = self._answers[is_right]
        if len(keys) >= _REMEMBERED:
            del keys[next(iter(keys))]
        keys[key] = None


def _credentials(scope: Scope) -> tuple[bytes, bytes] | None:
    """Return the user and password of an Authorization header; None where it has none."""
    header = next((value for name, value in scope["headers"] if name == b"authorization"), None)
    user, colon, password = basic.decode(header).partition(b":")
    return (user, password) if colon else None

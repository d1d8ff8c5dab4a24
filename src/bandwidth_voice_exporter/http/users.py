"""Passwords of the ops listener: nothing behind it is reached without one of them."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TypeVar

import bcrypt
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bandwidth_voice_exporter.http import basic
from bandwidth_voice_exporter.http.checks import Checks, FullError, Place
from bandwidth_voice_exporter.http.peer import source_of
from bandwidth_voice_exporter.http.sender import Sender, sender_of
from bandwidth_voice_exporter.logs import Log

_REMEMBERED = 1000  # answers of each kind
_LONGEST = 72  # bytes of a password that bcrypt takes; htpasswd and Go ignore the rest too

T = TypeVar("T")

_MISSING = "credentials are missing"
_WRONG = "credentials are wrong"
_FULL = "too many passwords wait to be checked\n"


class _GoneError(Exception):
    """The client went away before its password was checked."""


class Protected:
    """An application that asks for the user and password of one of ``users`` (bcrypt hashes).

    Without users it asks for nothing. That a user is not known shows neither in the answer nor in
    the time that it takes, and not in the order either: that goes by the client.
    """

    def __init__(self, app: ASGIApp, users: Callable[[], Mapping[bytes, bytes]], log: Log) -> None:
        self._app = app
        self._users = users
        self._log = log
        self._checks = Checks()
        self._key = os.urandom(32)
        self._memory = _Memory()
        self._known: dict[str, None] = {}  # sources that showed right credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or 401; 503 where too many of its source wait already."""
        users = self._users()
        given = _credentials(scope)
        if not users:
            await self._app(scope, receive, send)
            return
        try:
            is_right = given is not None and await self._accepts(users, given, scope)
        except _GoneError:
            sender_of(scope).hang_up()
            return
        except FullError:
            full = PlainTextResponse(_FULL, HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": "1"})
            await full(scope, receive, send)
            return
        if is_right:
            sender_of(scope).trust()
            _remember(self._known, source_of(scope))
            await self._app(scope, receive, send)
            return
        said = _WRONG if given else _MISSING
        if given and self._log.is_due(said):
            self._log.warning(said, listener="ops")
        refused = PlainTextResponse(
            f"{said}\n",
            HTTPStatus.UNAUTHORIZED,
            {"www-authenticate": 'Basic realm="ops", charset="UTF-8"'},
        )
        await refused(scope, receive, send)

    async def _accepts(
        self,
        users: Mapping[bytes, bytes],
        given: tuple[bytes, bytes],
        scope: Scope,
    ) -> bool:
        user, password = given
        # An unknown user is checked against somebody's hash, always the same one's: it takes what
        # a check takes here, whatever the costs of the hashes are.
        stored = users.get(user) or self._somebody(users, user)
        key = self._digest(user, password, stored)
        is_right = self._memory.get(key)
        if is_right is None:
            source = source_of(scope)
            place = self._checks.enter(source, is_known=source in self._known)
            try:
                await _turn(place, sender_of(scope))
                is_right = self._memory.get(key)  # of the request that had the turn before
                if is_right is None:
                    matches = await asyncio.to_thread(bcrypt.checkpw, password[:_LONGEST], stored)
                    is_right = matches and user in users
                    self._memory.add(key, is_right=is_right)
            finally:
                self._checks.leave(place)
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
    """Right credentials and wrong ones, kept apart: guesses must not push right ones out."""

    def __init__(self) -> None:
        self._answers: dict[bool, dict[bytes, None]] = {True: {}, False: {}}

    def get(self, key: bytes) -> bool | None:
        return next((is_right for is_right, keys in self._answers.items() if key in keys), None)

    def add(self, key: bytes, *, is_right: bool) -> None:
        _remember(self._answers[is_right], key)


def _remember(keys: dict[T, None], key: T) -> None:
    """Add a key, in the place of the oldest where there are too many."""
    if key not in keys and len(keys) >= _REMEMBERED:
        del keys[next(iter(keys))]
    keys[key] = None


async def _turn(place: Place, sender: Sender) -> None:
    """Wait until it is a place's turn. Raises _GoneError once nobody waits for the answer."""
    if place.done():
        return
    gone = asyncio.ensure_future(sender.left())
    try:
        await asyncio.wait((place, gone), return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise _GoneError
    finally:
        gone.cancel()


def _credentials(scope: Scope) -> tuple[bytes, bytes] | None:
    """Return the user and password of an Authorization header; None where it has none."""
    header = next((value for name, value in scope["headers"] if name == b"authorization"), None)
    user, colon, password = basic.decode(header).partition(b":")
    return (user, password) if colon else None

"""A copy of a ledger, whatever it is kept in, into an empty one: all of it, or nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.ledger import directory, file_copy, key
from bandwidth_voice_exporter.ledger.contents import CopySource, CopyTarget
from bandwidth_voice_exporter.ledger.database import StoreError
from bandwidth_voice_exporter.ledger.opening import postgres
from bandwidth_voice_exporter.voice import is_pseudonym


class LedgerPlace(msgspec.Struct, frozen=True):
    """A ledger's file or directory, or its URL and the file with the password; one of the two."""

    path: Path | None = None
    url: str = ""
    password_file: Path | None = None

    @property
    def file(self) -> Path:
        """The ledger's file."""
        if self.path is None:
            raise AssertionError("a URL names no file")
        is_file = self.path.is_file() or self.path.suffix == Path(directory.LEDGER).suffix
        return self.path if is_file else self.path / directory.LEDGER


class Copied(msgspec.Struct):
    """A copy's contents: calls, ``hashed`` ones of them by their ids, and the totals of shares.

    ``counted_twice`` calls are in the totals twice. Metrics in ``anew`` begin at 0, as they have
    other labels or buckets now. ``key`` is the file of the key that ids were hashed by.
    """

    calls: int = 0
    hashed: int = 0
    shares: int = 0
    counted_twice: int = 0
    anew: list[str] = []
    key: Path | None = None


def copied(source: LedgerPlace, target: LedgerPlace, name: str, key_file: Path | None) -> Copied:
    """Copy a ledger into an empty one; the totals of one on a disk become the share of a name.

    A shared one's ids are hashed by the key in a file. Raises StoreError: then nothing is copied.
    """
    return asyncio.run(_copied(source, target, name, key_file))


async def _copied(
    source: LedgerPlace, target: LedgerPlace, name: str, key_file: Path | None
) -> Copied:
    result = Copied()
    async with contextlib.AsyncExitStack() as stack:
        given: CopySource
        secret = _secret(key_file)
        if source.path is None:
            shared = postgres().LedgerTarget(source.url, source.password_file, "FROM")
            given = await stack.enter_async_context(postgres().copy_source(shared))
        else:
            file = stack.enter_context(file_copy.source_in(source.file, name))
            given, secret = file, file.secret
            result.key = source.file.parent / key.KEY
        taken = await stack.enter_async_context(_target(target, secret, result))
        await _copy(given, taken, result)
    return result


@contextlib.asynccontextmanager
async def _target(
    target: LedgerPlace, secret: bytes | None, result: Copied
) -> AsyncIterator[CopyTarget]:
    if target.path is None:
        shared = postgres().LedgerTarget(target.url, target.password_file, "TO")
        async with postgres().copy_target(shared) as taken:
            yield taken
        return
    with file_copy.target_in(target.file, secret) as file:
        yield file
        result.anew = file.anew


async def _copy(source: CopySource, target: CopyTarget, result: Copied) -> None:
    contents = await source.contents()
    result.shares = len(contents.shares)
    result.counted_twice = sum(share.counted_twice for share in contents.shares)
    await target.begin(contents)
    for counted in (True, False):
        async for placed in source.calls(counted=counted):
            await target.write(placed)
            result.calls += len(placed)
            result.hashed += sum(
                call.call_id is not None and is_pseudonym(call.call_id) for _, call in placed
            )
        if counted:
            await target.save()
    await target.end()


def _secret(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        secret = key.found(file)
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from error
    if secret is None:
        raise StoreError(f"{file}: a key has from {key.SHORTEST} to {key.LONGEST} bytes")
    return secret

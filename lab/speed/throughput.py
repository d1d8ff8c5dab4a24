"""Events a second, all receivers in turn and round after round, so that all see one machine."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from lab.speed import events, load, receivers
from lab.speed.receivers import BARE, DISK, MEMORY, STARLETTE

_WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class Case:
    """How events come: connections at once, each for one event or for many, encrypted or not."""

    connections: int = 64
    is_fresh: bool = False
    has_tls: bool = False


def hot(rounds: int, seconds: int) -> dict[str, Any]:
    """Every receiver with 64 connections."""
    return _compared(receivers.all_receivers(), Case(), rounds, seconds)


def one(rounds: int, seconds: int) -> dict[str, Any]:
    """Every receiver with one connection: an event at a time."""
    return _compared(receivers.all_receivers(), Case(connections=1), rounds, seconds)


def many(rounds: int, seconds: int) -> dict[str, Any]:
    """Every receiver with 512 connections."""
    return _compared(receivers.all_receivers(), Case(connections=512), rounds, seconds)


def fresh(rounds: int, seconds: int) -> dict[str, Any]:
    """A new connection for each event, as some load balancers do it."""
    return _compared(receivers.all_receivers(), Case(is_fresh=True), rounds, seconds)


def tls(rounds: int, seconds: int) -> dict[str, Any]:
    """TLS, on connections that stay."""
    return _compared((BARE, MEMORY, DISK, STARLETTE), Case(has_tls=True), rounds, seconds)


def _compared(names: Iterable[str], case: Case, rounds: int, seconds: int) -> dict[str, Any]:
    runs: dict[str, list[load.Run]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, found in runs.items():
            with tempfile.TemporaryDirectory(dir=".tools") as temporary:
                found.append(_measured(name, Path(temporary).resolve(), case, seconds))
    return {name: load.summary(found) for name, found in runs.items()}


def _measured(name: str, directory: Path, case: Case, seconds: int) -> load.Run:
    bodies = directory / "bodies"
    events.write(bodies, applications=1)
    certificate = _certificate(directory) if case.has_tls else None
    with receivers.started(name, directory, certificate=certificate) as running:
        load.run(running, bodies, connections=case.connections, seconds=_WARM_UP_SECONDS)
        return load.run(
            running,
            bodies,
            connections=case.connections,
            seconds=seconds,
            is_fresh=case.is_fresh,
        )


def _certificate(directory: Path) -> tuple[Path, Path]:
    issued = trustme.CA().issue_cert("127.0.0.1")
    cert, key = directory / "cert.pem", directory / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return cert, key

"""The options of the simulator's command line, read and checked."""

import argparse
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec

from bandwidth_voice_exporter.settings import PASSWORD
from bandwidth_voice_exporter.simulate.parser import parser_of_options
from bandwidth_voice_exporter.simulate.profile import APPLICATIONS
from bandwidth_voice_exporter.simulate.target import WebhookTarget, is_loopback, parse_target
from bandwidth_voice_exporter.simulate.traffic import Traffic

_SEED_BITS = 32


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The traffic to send, and its target; ``lasts`` in simulated seconds."""

    target: WebhookTarget
    traffic: Traffic
    speed: float
    lasts: float | None
    events: int | None
    duplicate_share: float
    get_share: float
    connections: int
    log_file: Path | None
    control: Path | None
    calls_file: Path | None
    shows_password: bool


def parse_options(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Read ``argv``; a usage error raises SystemExit(2), after its message."""
    parser = parser_of_options()
    found = parser.parse_args(argv)
    try:
        target = _target(found, _credentials(found, environ))
        traffic = _traffic(found)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return Options(
        target=target,
        traffic=traffic,
        speed=found.speed,
        lasts=found.lasts,
        events=found.events,
        duplicate_share=found.duplicate_share,
        get_share=found.get_share,
        connections=found.connections,
        log_file=found.log_file,
        control=found.control,
        calls_file=found.calls_file,
        shows_password=":" in (found.user or ""),
    )


def _credentials(found: argparse.Namespace, environ: Mapping[str, str]) -> str | None:
    """Return the user and password to send, with a colon between them."""
    if found.credentials_file:
        if found.user:
            raise ValueError("--user and --credentials-file are two ways to say the same")
        return _pair_in(found.credentials_file)
    if found.user is None or ":" in found.user:
        return cast("str | None", found.user)
    password = environ.get(PASSWORD)
    if not password:
        raise ValueError(f"--user {found.user}: its password goes into {PASSWORD}")
    return f"{found.user}:{password}"


def _pair_in(file: Path) -> str:
    """Return the first pair of a file, which is as that of the exporter."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ValueError(f"--credentials-file {file}: {reason}") from None
    for line in lines:
        if line.strip() and not line.startswith("#") and ":" in line:
            return line
    raise ValueError(f"--credentials-file {file}: no line of the form USER:PASSWORD")


def _target(found: argparse.Namespace, credentials: str | None) -> WebhookTarget:
    target = parse_target(found.option_url or found.url, credentials, challenge=found.challenge)
    if not found.allow_remote and not is_loopback(target):
        raise ValueError(f"{target.host} is not this machine: --allow-remote sends there")
    return target


def _traffic(found: argparse.Namespace) -> Traffic:
    applications = tuple(found.application or APPLICATIONS)
    known = {application.application_id for application in applications}
    for incident in found.incident:
        if incident.application not in {None, *known}:
            raise ValueError(f"application: {incident.application} has no calls in this traffic")
    return Traffic(
        seed=secrets.randbits(_SEED_BITS) if found.seed is None else found.seed,
        rate=found.rate,
        flat=found.flat,
        applications=applications,
        incidents=tuple(found.incident),
        transfer_share=found.transfer_share,
    )

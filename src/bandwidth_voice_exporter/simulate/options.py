"""The options of the simulator's command line, read and checked."""

import argparse
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TypeVar, cast

import msgspec

from bandwidth_voice_exporter.settings import duration
from bandwidth_voice_exporter.simulate.incident import parse_incident
from bandwidth_voice_exporter.simulate.profile import APPLICATIONS, Application
from bandwidth_voice_exporter.simulate.target import Target, is_loopback, parse_target
from bandwidth_voice_exporter.simulate.traffic import Traffic

T = TypeVar("T")

DEFAULT_TARGET = "http://127.0.0.1:10061/webhooks/voice"
_PASSWORD_VARIABLE = "WEBHOOK_PASSWORD"  # noqa: S105  # the variable's name, not a password
_SEED_BITS = 32
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DESCRIPTION = """\
Send disconnect webhooks of simulated calls to a receiver, over real HTTP.

Calls start at random moments, more of them in business hours (simulated time
begins on a Monday at 07:00), and are reported when they end. As Bandwidth does,
a request waits 15 s for its answer and is sent once more after a connection
exception, never after an HTTP status."""
_EPILOG = """\
Durations are written as 300s, 5m, 1h30m or 500ms. An incident gives its cause,
any cause, to a share of the calls that start in it:

  --incident cause=callback-error,after=60s,for=300s,share=0.4
  --incident cause=busy,after=0s,for=5m,share=1,direction=outbound

The keys direction and application are optional.

SIGINT or SIGTERM stops sending and waits for what is in flight. Exit status: 0;
1 if a delivery was not answered 2xx in the end; 2 for a mistake in the command."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to send where; ``lasts`` in simulated seconds."""

    target: Target
    traffic: Traffic
    speed: float
    lasts: float | None
    events: int | None
    duplicate_share: float
    get_share: float
    connections: int
    log_file: Path | None
    shows_password: bool


def parse_options(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Read ``argv``; a usage error raises SystemExit(2), after its message."""
    parser = _parser()
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
    password = environ.get(_PASSWORD_VARIABLE)
    if not password:
        raise ValueError(f"--user {found.user}: its password goes into {_PASSWORD_VARIABLE}")
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


def _target(found: argparse.Namespace, credentials: str | None) -> Target:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bandwidth-voice-exporter simulate",
        usage="%(prog)s [options] [URL]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        # A width of its own: the default one would be read from the environment.
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=27, width=80
        ),
        allow_abbrev=False,
    )
    _add_target(parser.add_argument_group("where to"))
    _add_traffic(parser.add_argument_group("which calls"))
    _add_delivery(parser.add_argument_group("how they are sent"))
    return parser


def _add_target(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("url", nargs="?", metavar="URL", default=DEFAULT_TARGET, help="default %(default)s")
    add("--target", dest="option_url", metavar="URL", help="the same as an option")
    add(
        "--user",
        metavar="USER",
        help=f"user name for HTTP Basic, whose password is in {_PASSWORD_VARIABLE}; "
        "with USER:PASSWORD, other users of the machine can see it",
    )
    add(
        "--credentials-file",
        metavar="FILE",
        type=Path,
        help="the first USER:PASSWORD line in it, as the exporter's",
    )
    add("--allow-remote", action="store_true", help="accept a URL that is not this machine's")


def _add_traffic(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--rate",
        metavar="N",
        type=_argument(_positive),
        default=60.0,
        help="calls that start per minute, as the mean of a week (60)",
    )
    add("--flat", action="store_true", help="the same rate at every hour of the week")
    add(
        "--for",
        dest="lasts",
        metavar="DURATION",
        type=_argument(duration),
        help="stop after this much simulated time",
    )
    add(
        "--events",
        metavar="N",
        type=_argument(_count),
        help="stop after N events and the second deliveries that some of them get",
    )
    add(
        "--application",
        metavar="UUID[=WEIGHT]",
        type=_argument(_application),
        action="append",
        help="an application with its share of the calls, repeatable (three of them)",
    )
    add(
        "--incident",
        metavar="KEY=VALUE,...",
        type=_argument(parse_incident),
        action="append",
        default=[],
        help="a stretch of failures, repeatable, see below",
    )
    add(
        "--transfer-share",
        metavar="SHARE",
        type=_argument(_share),
        default=0.03,
        help="of the answered calls, those with a second leg (0.03)",
    )
    add(
        "--seed",
        metavar="N",
        type=int,
        help="the same calls again, ids included: a receiver that remembers them "
        "takes them for duplicates (a new seed each time)",
    )


def _add_delivery(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--speed",
        metavar="N",
        type=_argument(_positive),
        default=1.0,
        help="let simulated time pass N times faster; calls keep their lengths (1)",
    )
    add(
        "--duplicate-share",
        metavar="SHARE",
        type=_argument(_share),
        default=0.01,
        help="of the events, those delivered a second time (0.01)",
    )
    add(
        "--get-share",
        metavar="SHARE",
        type=_argument(_share),
        default=0.0,
        help="of the deliveries, those by GET (0)",
    )
    add(
        "--connections",
        metavar="N",
        type=_argument(_count),
        default=8,
        help="requests in flight at most (8)",
    )
    add(
        "--challenge",
        action="store_true",
        help="send each event first without its credentials, and with them once they are "
        "asked for, as Bandwidth may",
    )
    add(
        "--log-file",
        metavar="FILE",
        type=Path,
        help="write a JSON line for each request and its answer",
    )


def _positive(text: str) -> float:
    number = _number(text)
    if not (isfinite(number) and number > 0):
        raise ValueError(f"{text!r} is not above 0")
    return number


def _share(text: str) -> float:
    share = _number(text)
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{text!r} is not from 0 to 1")
    return share


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _application(text: str) -> Application:
    application_id, equals, weight = text.partition("=")
    if not _UUID.fullmatch(application_id):
        raise ValueError(f"{application_id!r} is not a UUID")
    return Application(application_id, _positive(weight) if equals else 1.0)


def _argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return ``parse`` with a ValueError in the form whose text argparse shows."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed

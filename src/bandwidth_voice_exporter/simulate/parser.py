"""The simulator's command line."""

import argparse
from pathlib import Path

from bandwidth_voice_exporter import output
from bandwidth_voice_exporter.settings import PASSWORD, duration
from bandwidth_voice_exporter.simulate.incident import parse_incident
from bandwidth_voice_exporter.simulate.values import application, argument, count, positive, share

DEFAULT_TARGET = "http://127.0.0.1:10061/webhooks/voice"

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

The keys direction and application are optional. With --control FILE, made by
mkfifo FILE, an incident begins when a line tells of it; a line calm ends all:

  echo cause=callback-error,for=5m,share=0.4 > FILE

SIGINT or SIGTERM stops sending and waits for what is in flight. Exit status: 0;
1 if a delivery was not answered 2xx in the end; 2 for a mistake in the command."""


def parser_of_options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = output.Parser(
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
    calls = parser.add_argument_group("which calls")
    _add_rate(calls)
    _add_calls(calls)
    delivery = parser.add_argument_group("how they are sent")
    _add_delivery(delivery)
    _add_requests(delivery)
    return parser


def _add_target(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("url", nargs="?", metavar="URL", default=DEFAULT_TARGET, help="default %(default)s")
    add("--target", dest="option_url", metavar="URL", help="the same as an option")
    add(
        "--user",
        metavar="USER",
        help=f"user name for HTTP Basic, whose password is in {PASSWORD}; "
        "with USER:PASSWORD, other users of the machine can see it",
    )
    add(
        "--credentials-file",
        metavar="FILE",
        type=Path,
        help="the first USER:PASSWORD line in it, as the exporter's",
    )
    add("--allow-remote", action="store_true", help="accept a URL that is not this machine's")


def _add_rate(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--rate",
        metavar="N",
        type=argument(positive),
        default=60.0,
        help="calls that start per minute, as the mean of a week (60)",
    )
    add("--flat", action="store_true", help="the same rate at every hour of the week")
    add(
        "--for",
        dest="lasts",
        metavar="DURATION",
        type=argument(duration),
        help="stop after this much simulated time",
    )
    add(
        "--events",
        metavar="N",
        type=argument(count),
        help="stop after N events and the second deliveries that some of them get",
    )


def _add_calls(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--application",
        metavar="UUID[=WEIGHT]",
        type=argument(application),
        action="append",
        help="an application with its share of the calls, repeatable (three of them)",
    )
    add(
        "--incident",
        metavar="KEY=VALUE,...",
        type=argument(parse_incident),
        action="append",
        default=[],
        help="a stretch of failures, repeatable, see below",
    )
    add(
        "--control",
        metavar="FILE",
        type=Path,
        help="a named pipe, or - for standard input, whose lines tell of incidents while "
        "calls are sent",
    )
    add(
        "--transfer-share",
        metavar="SHARE",
        type=argument(share),
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
        type=argument(positive),
        default=1.0,
        help="let simulated time pass N times faster; calls keep their lengths (1)",
    )
    add(
        "--duplicate-share",
        metavar="SHARE",
        type=argument(share),
        default=0.01,
        help="of the events, those delivered a second time (0.01)",
    )
    add(
        "--get-share",
        metavar="SHARE",
        type=argument(share),
        default=0.0,
        help="of the deliveries, those by GET (0)",
    )


def _add_requests(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--connections",
        metavar="N",
        type=argument(count),
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
    add(
        "--calls-file",
        metavar="FILE",
        type=Path,
        help="write the JSON body of each call's webhook, a line each, when the call ends and "
        "whether or not the webhook arrives: what Bandwidth would list",
    )

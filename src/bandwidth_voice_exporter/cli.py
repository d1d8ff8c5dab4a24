"""The command line: the only reader of arguments and environment."""

import argparse
import codecs
import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from bandwidth_voice_exporter import (
    extras,
    followed,
    ledger_command,
    logs,
    output,
    rehearsal,
    server,
    signals,
)
from bandwidth_voice_exporter.http import ListenError, UnusableError
from bandwidth_voice_exporter.ledger import StorageError, StoreError
from bandwidth_voice_exporter.open_files import OpenFilesError
from bandwidth_voice_exporter.settings import (
    CONFIG_VARIABLE,
    ENVIRONMENT_PREFIX,
    OPTIONS,
    Option,
    Settings,
    SettingsError,
    duration,
    hint,
    resolve,
)
from bandwidth_voice_exporter.simulate import main as simulate
from bandwidth_voice_exporter.version import description, version
from bandwidth_voice_exporter.welcome import greet

PROGRAM = "bandwidth-voice-exporter"

_DESCRIPTION = """\
Takes the disconnect webhooks of Bandwidth Programmable Voice and counts for
Prometheus how calls end: by cause, direction, error id and duration."""

_EPILOG = f"""\
Every flag has an environment variable: {ENVIRONMENT_PREFIX} and
the flag's name in capitals, with _ for . and -. In the file, [web] with
listen-address is --web.listen-address. A flag comes before the environment,
the environment before the file.

{PROGRAM} simulate --help tells how to send it
simulated traffic."""

_ASKING = ("help", "version")  # flags that end the program at once: they have no value
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_RECONCILE = "reconcile"
_HANDOUTS = ("rules", "dashboards", "runbooks", "alertmanager")
_SINCE = "how far back calls are compared with Bandwidth's list, 7d at most (24h)"

_DROPPED = "lines of this log were dropped: they could not be written"


def run() -> None:
    """Run the program and exit with its status, even if its output cannot be written."""
    output.open_closed()
    try:
        sys.exit(main(sys.argv[1:], os.environ))
    finally:
        output.settle()


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Return the exit status: 0, 1 where it cannot run, 2 for wrong usage or settings."""
    if argv[:1] == ["simulate"]:
        signals.let()
        return simulate(argv[1:], environ)
    if argv and (command := _command(argv[0])):
        signals.let()
        return command(argv)
    is_report = argv[:1] == [_RECONCILE]
    parser = _parser(is_report=is_report)
    known, unknown = parser.parse_known_args(argv[is_report:])
    if unknown:
        parser.error(_unknown(unknown[0], vars(known)))
    arguments = vars(known)
    try:
        settings = resolve(_flags(arguments), environ, _file(arguments["config.file"], environ))
        extras.check(settings)
        if is_report:
            return _reported(settings, arguments["since"])
        files = followed.read_files(settings)
    except (SettingsError, UnusableError) as error:
        output.say(sys.stderr, f"{PROGRAM}: {error}\n")
        return 2
    if arguments["check-config"]:
        return _checked(settings)
    return _run(settings, files)


def _command(name: str) -> Callable[[Sequence[str]], int] | None:
    """Return a command that serves nothing, if there is one of the name."""
    if name in _HANDOUTS:
        from bandwidth_voice_exporter import handouts  # noqa: PLC0415  # nothing of it is served

        return handouts.main
    if name == "ledger":
        return ledger_command.main
    return None


def _run(settings: Settings, files: followed.Files) -> int:
    """Serve until a signal ends it; return the exit status."""
    log = logs.Log()
    with (
        output.Output(output.STDOUT) as out,
        output.Output(output.STDERR, lambda lines: log.warning(_DROPPED, lines=lines)) as err,
    ):
        logs.configure(settings.log_level, settings.log_format, err)
        log.info("starting", version=version())
        try:
            server.run(settings, files, log, partial(greet, out, settings, files))
        except (OpenFilesError, ListenError, StorageError, StoreError) as error:
            err.write(f"{PROGRAM}: {error}\n")
            return 1
    return 0


def _reported(settings: Settings, since: str) -> int:
    """Compare once with Bandwidth's list and print the result; return the exit status."""
    try:
        seconds = duration(since)
    except ValueError as error:
        raise SettingsError(f"--since {since!r}: {error}") from None
    try:
        output.say(sys.stdout, extras.report(settings, seconds))
    except extras.CannotCompareError as error:
        output.say(sys.stderr, f"{PROGRAM}: {error}\n")
        return 1
    except KeyboardInterrupt:
        output.say(sys.stderr, f"{PROGRAM}: reconcile: it was interrupted; nothing is changed\n")
        return 1
    return 0


def _checked(settings: Settings) -> int:
    """Say that settings are valid, and what of them does not fit here; return the exit status."""
    if obstacles := rehearsal.obstacles(settings):
        lines = (f"{PROGRAM}: valid, but does not start here: {one}\n" for one in obstacles)
        output.say(sys.stderr, "".join(lines))
        return 1
    but = "".join(f", but {notice}" for notice in rehearsal.notices(settings) if notice)
    output.say(sys.stdout, f"{PROGRAM}: the settings are valid{but}\n")
    return 0


def _parser(*, is_report: bool = False) -> argparse.ArgumentParser:
    usages = (
        f"{PROGRAM} [--FLAG VALUE ...]",
        f"{PROGRAM} {_RECONCILE} [--since DURATION] [--FLAG VALUE ...]",
        f"{PROGRAM} ledger copy FROM TO",
        f"{PROGRAM} simulate [--help]",
        f"{PROGRAM} {'|'.join(_HANDOUTS)} [--help]",
    )
    parser = output.Parser(
        PROGRAM,
        usage="\n       ".join(usages),
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=28, width=79
        ),
        add_help=False,
        allow_abbrev=False,
    )
    program = parser.add_argument_group("program")
    program.add_argument("-h", "--help", action="help", help="show this text")
    program.add_argument("--version", action="version", version=description())
    program.add_argument("--config.file", metavar="FILE", help="TOML file with settings")
    program.add_argument(
        "--check-config",
        dest="check-config",
        action="store_true",
        help="check the settings, and whether they fit this machine, and exit",
    )
    if is_report:
        program.add_argument("--since", metavar="DURATION", default="24h", help=_SINCE)
    for name, options in groupby(OPTIONS, key=lambda option: option.group):
        group = parser.add_argument_group(name)
        for option in options:
            _add(group, option)
    return parser


def _unknown(argument: str, known: Iterable[str]) -> str:
    flag = argument.partition("=")[0]
    if not flag.startswith("--"):
        return f"unrecognized argument: {flag}"
    return f"{flag}: no such flag{hint(flag, [f'--{one}' for one in (*_ASKING, *known)])}"


def _add(group: "argparse._ArgumentGroup", option: Option) -> None:
    default = f" ({option.default})" if option.default and not option.is_switch else ""
    flag, text = f"--{option.flag}", option.help + default
    if option.is_switch:
        group.add_argument(flag, dest=option.flag, help=text, action="store_const", const="true")
        return
    action = "append" if option.is_repeatable else "store"
    group.add_argument(flag, dest=option.flag, help=text, metavar=option.metavar, action=action)


def _flags(arguments: Mapping[str, object]) -> dict[str, str]:
    given = {option.flag: arguments[option.flag] for option in OPTIONS}
    return {
        flag: ",".join(value) if isinstance(value, list) else str(value)
        for flag, value in given.items()
        if value is not None
    }


def _file(path: str | None, environ: Mapping[str, str]) -> dict[str, object]:
    path = path or environ.get(CONFIG_VARIABLE)
    if not path:
        return {}
    try:
        content = Path(path).read_bytes()
        if content.startswith(_UTF16) or b"\0" in content:
            raise SettingsError(f"--config.file {path}: UTF-16 or binary; save it as UTF-8")
        return tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"--config.file {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"--config.file {path}: line {line} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"--config.file {path}: {error}") from None

"""The commands on ledgers that no exporter runs with: copy one into another."""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bandwidth_voice_exporter import output
from bandwidth_voice_exporter.ledger import Copied, LedgerPlace, StoreError, copied
from bandwidth_voice_exporter.settings import database_url, host_name, replica_name

_PROGRAM = "bandwidth-voice-exporter"
_DESCRIPTION = """\
Copy a ledger into an empty one, all of it or nothing: calls, counters and
notes. FROM and TO are each the file or directory of a ledger on a disk, or the
postgresql:// URL of one that exporters share. No exporter runs with either."""


def main(argv: Sequence[str]) -> int:
    """Run the command that arguments after ``ledger`` name, and return its exit status.

    A usage error raises SystemExit(2).
    """
    parser = output.Parser(f"{_PROGRAM} ledger", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="copy")
    copy = commands.add_parser(
        "copy",
        help="copy a ledger into an empty one",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_arguments(copy)
    given = vars(parser.parse_args(argv[1:]))
    source = _place(copy, given, "source", "from")
    target = _place(copy, given, "target", "to")
    name = _parsed(copy, replica_name, given["replica.name"], "--replica.name")
    key_file: Path | None = given["ledger.key_file"]
    try:
        result = copied(source, target, name, key_file)
    except (StoreError, ModuleNotFoundError) as error:
        said = _missing(error) if isinstance(error, ModuleNotFoundError) else str(error)
        output.say(sys.stderr, f"{_PROGRAM}: nothing is copied: {said}\n")
        return 1
    except KeyboardInterrupt:
        output.say(sys.stderr, f"{_PROGRAM}: nothing is copied: it was interrupted\n")
        return 1
    output.say(sys.stdout, _told(result, source, target, has_key=key_file is not None))
    return 0


def _add_arguments(copy: argparse.ArgumentParser) -> None:
    copy.add_argument("source", metavar="FROM")
    copy.add_argument("target", metavar="TO")
    for flag, ledger in (("from", "FROM"), ("to", "TO")):
        copy.add_argument(
            f"--{flag}.password-file", type=Path, metavar="FILE", help=f"password of {ledger}'s URL"
        )
    copy.add_argument(
        "--ledger.key-file",
        type=Path,
        metavar="FILE",
        help="the exporters' key, where FROM is shared: TO's directory gets it",
    )
    copy.add_argument(
        "--replica.name",
        metavar="NAME",
        default=host_name(),
        help="whose share the counters are, where FROM is on a disk and TO shared (%(default)s)",
    )


def _place(
    parser: argparse.ArgumentParser, given: dict[str, str], what: str, side: str
) -> LedgerPlace:
    text, file = given[what], given[f"{side}.password_file"]
    if "://" not in text:
        return LedgerPlace(Path(text))
    parse = partial(database_url, flag=f"--{side}.password-file")
    url = _parsed(parser, parse, text, side.upper())
    return LedgerPlace(None, url, Path(file) if file else None)


def _parsed(
    parser: argparse.ArgumentParser, parse: Callable[[str], str], text: str, name: str
) -> str:
    try:
        return parse(text)
    except ValueError as error:
        parser.error(f"{name}: {error}")


def _missing(error: ModuleNotFoundError) -> str:
    return f"a shared ledger needs {error.name}: pip install '{_PROGRAM}[postgres]'"


def _told(result: Copied, source: LedgerPlace, target: LedgerPlace, *, has_key: bool) -> str:
    lines = [f"copied: {result.calls} calls; totals of exporters: {result.shares}"]
    if result.counted_twice and target.path:
        lines.append(
            f"{result.counted_twice} calls were counted by two replicas while the database was "
            f"away: the totals hold them twice"
        )
    if result.anew:
        lines.append(f"other labels or buckets now, begun at 0: {', '.join(result.anew)}")
    if result.hashed and source.path and target.path is None:
        lines.append(
            f"{result.hashed} calls have hashed ids: give all exporters {result.key} as "
            f"--ledger.key-file, or these calls count again where they are delivered again"
        )
    if result.hashed and source.path is None and target.path and not has_key:
        lines.append(
            f"{result.hashed} calls have hashed ids: put the exporters' --ledger.key-file into "
            f"{target.file.parent} under the name key, or these calls count again where they are "
            f"delivered again"
        )
    return "".join(f"{line}\n" for line in lines)

"""Every command in README and docs/ is run by a test, or held to its program, or marked as not."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bandwidth_voice_exporter import cli, handouts
from bandwidth_voice_exporter.simulate.options import parse_options
from testkit.certificates import Authority
from testkit.exporter import MODULE

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PROGRAM = "bandwidth-voice-exporter"
MARK = "no test runs this"
MOST_MARKED = 10
HARMLESS = ("openssl", "touch")  # run as they are, in a temporary place
EXPERIMENTS = re.findall(
    r'^    "([\w-]+)": \("lab\.', (ROOT / "lab" / "__main__.py").read_text("utf-8"), re.MULTILINE
)
HANDOUTS = ("rules", "dashboards", "runbooks", "alertmanager")

# The test that runs it; a shell block is as in the document, line by line.
ELSEWHERE = {
    "python3 -m pip wheel --no-deps --wheel-dir dist .": "test_wheel.py",
    "python3 -m venv ~/exporter": "test_wheel.py",
    "~/exporter/bin/pip install dist/bandwidth_voice_exporter-0.1.0-py3-none-any.whl": (
        "test_wheel.py"
    ),
    "~/exporter/bin/bandwidth-voice-exporter": "test_wheel.py",
    "cp -a data ledger-copy": "test_docs.py",
    "python3 -c 'import sqlite3; ": "test_docs.py",
}
# Programs, and a word that a text may name them by without asking anybody to run them.
NAMES = re.compile(
    rf"(?:\S*/)?({PROGRAM}|make|python3?|pip|docker|kubectl|helm|openssl|pg_dump) \S|{PROGRAM}$"
)


class Command:
    """A command as a document has it, and whether it is marked there."""

    def __init__(self, document: Path, text: str, *, is_marked: bool) -> None:
        self.document = document.name
        self.text = text
        self.is_marked = is_marked

    def __repr__(self) -> str:
        return f"{self.document}: {self.text}"

    @property
    def words(self) -> list[str]:
        """Its words, the program without its directory."""
        program, *arguments = shlex.split(self.text, comments=True)
        return [program.rpartition("/")[2], *arguments]


def in_blocks(document: Path, text: str) -> Iterator[Command]:
    """Commands of the shell blocks: one a line, or several lines that end in a backslash."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if line.strip() and not line.strip().startswith("#"):
                yield Command(document, line.strip(), is_marked=MARK in line)


def in_sentences(document: Path, text: str) -> Iterator[Command]:
    """Commands that a sentence names; a mark follows in brackets."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    for found in re.finditer(r"`([^`]+)`([^`]{0,40})", prose):
        named = " ".join(found[1].split())
        if NAMES.match(named):
            yield Command(document, named, is_marked=MARK in " ".join(found[2].split()))


COMMANDS = [
    command
    for document in DOCUMENTS
    for read in (in_blocks, in_sentences)
    for command in read(document, document.read_text("utf-8"))
]
CHECKED = [command for command in COMMANDS if not command.is_marked]


def check(command: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a command or hold it to its program; return what nothing here knows how to check."""
    program, *arguments = command.words
    if test := next((ELSEWHERE[one] for one in ELSEWHERE if command.text.startswith(one)), ""):
        assert (Path(__file__).parent / test).exists()
    elif program == PROGRAM:
        monkeypatch.chdir(place)
        run_exporter(arguments, place)
    elif program == "make":
        for word in (word for word in arguments if "=" not in word):
            assert re.search(rf"^{word}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        for word in (word for word in arguments if word.startswith("ARGS=") and "lab" in arguments):
            assert word.removeprefix("ARGS=").split()[0] in EXPERIMENTS
    elif program == "python" and arguments[:2] == ["-m", "lab"]:
        assert arguments[2] in EXPERIMENTS
    elif program == "python" and arguments[0] == "-m":
        assert (ROOT / arguments[1].replace(".", "/")).with_suffix(".py").exists()
    elif program == "pip" and (extra := re.fullmatch(rf"{PROGRAM}\[(\w+)\]", arguments[-1])):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        assert extra[1] in project["optional-dependencies"]
    elif program in HARMLESS:
        subprocess.run([program, *arguments], cwd=place, check=True, capture_output=True)
    else:
        return program
    return ""


def run_exporter(arguments: Sequence[str], place: Path) -> None:
    """Run a command of the program to its success; where it would serve, its settings alone."""
    arguments = [word.replace("/run/secrets", str(place)) for word in arguments]
    if arguments[:1] == ["simulate"]:
        assert parse_options(arguments[1:], {})
    elif arguments and arguments[0] in HANDOUTS:
        assert handouts.main(arguments) == 0
    elif arguments[:2] == ["ledger", "copy"]:
        # Its own tests run it; held to it here are the flags.
        command = [*MODULE, "ledger", "copy", "--help"]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for flag in (word.partition("=")[0] for word in arguments if word.startswith("--")):
            assert f"{flag} " in told
    elif arguments == ["--help"]:
        with pytest.raises(SystemExit, match="0"):
            cli.main(arguments, {})
    else:
        if arguments[:1] == ["reconcile"]:
            assert arguments[1] == "--since"
            arguments = arguments[3:]
        free = ("--webhook.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0")
        home = {"HOME": str(place)}
        assert cli.main([*arguments, *free, "--check-config"], home) == 0


@pytest.mark.program
@pytest.mark.parametrize("command", CHECKED, ids=repr)
def test_a_command_does_what_the_document_says(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It runs, or its flags, targets and files are those that there are; others have a mark."""
    for name, text in (
        ("credentials", "user:word\n"),
        ("client", "id:secret\n"),
        ("db-password", "word\n"),
        ("key", "0" * 64),
        ("db-ca.pem", Authority().pem.decode()),
        ("alerts.toml", ""),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    unknown = check(command, tmp_path, monkeypatch)
    assert not unknown, f"no test runs {unknown}: say so there with ({MARK}), or teach this one"
    del capsys  # it keeps what they write from the terminal


def test_few_commands_are_run_by_no_test() -> None:
    """Few commands are marked as run by no test, and none is the program, make or Python."""
    marked = [command for command in COMMANDS if command.is_marked]
    assert len(CHECKED) > 40
    assert len(marked) <= MOST_MARKED
    for command in marked:
        assert command.words[0] not in (PROGRAM, "make", "python"), command

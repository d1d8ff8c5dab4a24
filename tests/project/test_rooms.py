"""The package's rooms: imports go one way, and through doors."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "bandwidth_voice_exporter"
ROOT = Path(__file__).parents[2] / "src" / PACKAGE

# Each with the rooms that it may import from; modules beside the rooms are rooms of one module.
BELOW: dict[str, set[str]] = {
    "logs": set(),
    "meanwhile": set(),
    "open_files": set(),
    "output": set(),
    "signals": set(),
    "version": set(),
    "voice": set(),
    "settings": {"voice"},
    "metrics": {"version", "voice", "settings"},
    "ledger": {"logs", "voice", "settings", "metrics"},
    "runbooks": set(),
    "alerts": {"voice", "settings", "metrics"},
    "dashboards": {"voice", "metrics"},
    "handouts": {"output", "settings", "alerts", "dashboards", "runbooks"},
    "ledger_command": {"output", "settings", "ledger"},
    "http": {"logs", "meanwhile", "settings", "metrics"},
    "forward": {"logs", "voice", "settings", "metrics", "http"},
    "reconcile": {"logs", "meanwhile", "version", "voice", "settings", "metrics", "ledger"},
    "webhook": {"logs", "voice", "settings", "metrics", "ledger", "http", "forward"},
    "ops": {
        *("logs", "meanwhile", "version", "voice", "settings", "metrics"),
        *("ledger", "http", "runbooks"),
    },
    "simulate": {"meanwhile", "output", "settings", "voice"},
    "followed": {"logs", "settings", "metrics", "http", "webhook"},
    "listeners": {
        *("logs", "open_files", "voice", "settings", "metrics"),
        *("ledger", "http", "forward", "webhook", "ops", "followed"),
    },
    "extras": {
        *("logs", "open_files", "voice", "settings", "metrics"),
        *("ledger", "forward", "reconcile", "listeners"),
    },
    "server": {
        *("logs", "open_files", "signals", "voice", "settings", "metrics", "extras"),
        *("ledger", "http", "forward", "webhook", "ops", "followed", "listeners"),
    },
    "welcome": {"output", "settings", "http", "followed", "listeners"},
    "rehearsal": {"extras", "open_files", "settings", "ledger", "http"},
    "cli": {
        *("logs", "open_files", "output", "rehearsal", "signals", "version", "settings"),
        *("ledger", "http", "webhook", "simulate", "extras", "followed", "server", "welcome"),
        *("handouts", "ledger_command"),
    },
    "__main__": {"signals", "cli"},
    "__init__": set(),
}


def imports(file: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (room, what follows it in the module's name, imported name) of a file's imports."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith(PACKAGE) for alias in node.names), file
        if not isinstance(node, ast.ImportFrom):
            continue
        assert not node.level, f"{file}: a relative import"
        package, _, inside = (node.module or "").partition(".")
        if package != PACKAGE:
            continue
        room, _, module = inside.partition(".")
        for alias in node.names:
            yield (room, module, alias.name) if room else (alias.name, "", "")


def room_of(file: Path) -> str:
    """The room that a file belongs to."""
    first = file.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


FILES = sorted(ROOT.rglob("*.py"))


def test_every_room_has_its_place() -> None:
    """No room or module is without a rule about what it may import."""
    assert {room_of(file) for file in FILES} == set(BELOW)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_down_and_through_doors(file: Path) -> None:
    """A module imports from rooms below its own alone, and only what their doors name."""
    here = room_of(file)
    for room, module, name in imports(file):
        if room == here:
            continue
        assert room in BELOW[here], f"{here} imports from {room}"
        assert not module, f"{room}.{module} is not a door"
        if name and (ROOT / room).is_dir():
            door = importlib.import_module(f"{PACKAGE}.{room}")
            assert name in door.__all__, f"{name} is not in {room}'s door"


def test_no_room_leads_back_to_itself() -> None:
    """The rule itself has no circle: what a room may import never may import it."""
    floors: dict[str, int] = {}

    def floor(room: str, above: tuple[str, ...] = ()) -> int:
        assert room not in above, f"{room} leads back to itself"
        if room not in floors:
            floors[room] = 1 + max((floor(one, (*above, room)) for one in BELOW[room]), default=0)
        return floors[room]

    assert floor("__main__") == max(floor(room) for room in BELOW)

"""The ledger's default place: the system's directory for state, or the place of before."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

_NAME = "bandwidth-voice-exporter"
# The place of earlier versions, from the working directory on. A ledger there stays in use: one
# that is begun anew is a reset of every counter.
_BEFORE = Path("data")
_LEDGER = "ledger.sqlite3"


class StatePlace(msgspec.Struct, frozen=True):
    """A directory, and a notice about it; empty if it is the usual one."""

    path: Path
    notice: str = ""


def place(environ: Mapping[str, str]) -> StatePlace:
    """Return where the ledger is by default; raises ValueError where nothing says it."""
    if not _has_ledger(_BEFORE):
        return StatePlace(_state(environ))
    return StatePlace(
        _BEFORE,
        f"the ledger is in {_BEFORE}/ of the working directory, where earlier versions put it by "
        f"default: set --storage.path={_BEFORE.absolute()}, or stop and move it to where new ones "
        f"are, with all that is beside it ($STATE_DIRECTORY, or {_NAME} in $XDG_STATE_HOME)",
    )


def _has_ledger(directory: Path) -> bool:
    try:
        (directory / _LEDGER).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # without the right to look, the start fails instead of beginning at zero
    return True


def _state(environ: Mapping[str, str]) -> Path:
    """Return systemd's directory for the service, else the user's, by the XDG specification."""
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    if (home := Path(environ.get("XDG_STATE_HOME", ""))).is_absolute():
        return home / _NAME
    if not (home := Path(environ.get("HOME", ""))).is_absolute():
        try:
            home = Path.home()
        except RuntimeError:
            raise ValueError(
                "none of STATE_DIRECTORY, XDG_STATE_HOME and HOME names a directory for state"
            ) from None
    return home / ".local" / "state" / _NAME

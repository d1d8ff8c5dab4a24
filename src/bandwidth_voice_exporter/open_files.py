"""How many connections fit into the files that the system lets the process open."""

import resource

import msgspec

_OPS = 300  # connections of the ops listener, where there is room for all
_OVERFLOW = 200  # connections that are accepted beyond those of the webhook, likewise
_OTHERS = 100  # the database, the listeners, Python's own
_FEWEST = 20  # connections that it makes sense to start with


class OpenFilesError(OSError):
    """Too few open files for anything to come in."""


class OpenFiles(msgspec.Struct, frozen=True):
    """Connections that each listener may have at once; ``notice`` where they are fewer than set.

    ``overflow`` are those that may be accepted beyond the webhook's.
    """

    webhook: int
    ops: int
    overflow: int = 0
    notice: str = ""


def room(webhook: int, files_each: int = 1) -> OpenFiles:
    """Return what fits of so many connections, after asking the system for it.

    Raises OpenFilesError.
    """
    wanted = webhook * files_each + _OPS + _OVERFLOW + _OTHERS
    return share(webhook, _allowed(wanted), files_each)


def share(webhook: int, allowed: int, files_each: int = 1) -> OpenFiles:
    """Share so many open files among the listeners. Raises OpenFilesError."""
    connections = allowed - _OTHERS
    if connections < _FEWEST:
        raise OpenFilesError(
            f"the system allows {allowed} open files (ulimit -n), at least {_OTHERS + _FEWEST} are "
            f"needed"
        )
    rest = _OPS + _OVERFLOW
    fitting = min(webhook, (connections - min(rest, connections // 5)) // files_each)
    rest = min(rest, connections - fitting * files_each)
    overflow = rest * _OVERFLOW // (_OPS + _OVERFLOW)
    if fitting == webhook:
        return OpenFiles(webhook, rest - overflow, overflow)
    return OpenFiles(
        fitting,
        rest - overflow,
        overflow,
        f"{fitting} of {webhook} connections (--webhook.max-connections) fit into the {allowed} "
        f"open files that the system allows (ulimit -n)",
    )


def _allowed(wanted: int) -> int:
    """Return how many files may be open: as many as wanted, where the system can be moved to it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # a sandbox forbids it, or the kernel has a lower limit
        return soft
    return most

"""Make the programs that tests start available, from Debian's packages.

They are unpacked beside the tree, in .tools/PACKAGE; nothing is started on the system, and nothing
installed on it, except in CI what cannot be unpacked.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / ".tools"
IN_CI = os.environ.get("CI") == "true"
QUIET = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Package:
    """A package, the programs in it that are needed, and how to have them tell their version."""

    name: str
    programs: Sequence[str]
    version_flag: str = "--version"
    is_installed: bool = False  # for it drags in more libraries than can be unpacked beside it


PACKAGES = (
    Package("prometheus", ("prometheus", "promtool")),
    Package("prometheus-alertmanager", ("prometheus-alertmanager", "amtool")),
    Package("nginx", ("nginx",), version_flag="-v"),
    Package("postgresql-15", ("postgres", "initdb"), is_installed=True),
    Package("pgbouncer", ("pgbouncer",), is_installed=True),
    Package("chromium", ("chromium",), is_installed=True),
)


class UnavailableError(Exception):
    """A package cannot be had here; the message is one line that says why."""


def is_there(package: Package) -> bool:
    """Whether all of its programs start, installed or unpacked: a library may be missing."""
    unpacked = TOOLS / package.name / "usr"
    found = os.pathsep.join(
        (
            *(os.environ.get("PATH", ""), "/usr/sbin", f"{unpacked}/bin", f"{unpacked}/sbin"),
            # Debian keeps a server's programs out of PATH.
            *(f"{place}/lib/postgresql/15/bin" for place in ("/usr", unpacked)),
        )
    )
    programs = [shutil.which(program, path=found) for program in package.programs]
    return all(program and succeeded(program, package.version_flag)[0] for program in programs)


def succeeded(*command: str, cwd: str | None = None) -> tuple[bool, str]:
    """Run a command; return whether it succeeded and the last line of its complaint."""
    try:
        result = subprocess.run(
            command, cwd=cwd, env=QUIET, capture_output=True, text=True, check=False
        )
    except OSError as error:
        return False, str(error)
    complaint = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
    return result.returncode == 0, complaint[-1]


def apt_get(*command: str, cwd: str | None = None) -> None:
    """Run apt-get, with new package lists if need be; UnavailableError if it fails."""
    is_root = os.geteuid() == 0
    # apt drops to a user who cannot write into our folder, and warns about it, unless told not to.
    whole = ("apt-get", "-o", "APT::Sandbox::User=root", *command)
    done, complaint = succeeded(*whole, cwd=cwd)
    if not done and is_root:  # the package lists are empty or out of date
        succeeded("apt-get", "update")
        done, complaint = succeeded(*whole, cwd=cwd)
    if not done:
        advice = "" if is_root else " (are the package lists empty? `apt-get update` needs root)"
        raise UnavailableError(f"apt-get {' '.join(command)}: {complaint}{advice}")


def unpack(package: Package) -> None:
    """Unpack the package into .tools, in place of what is there."""
    TOOLS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        apt_get("download", package.name, cwd=folder)
        file = next(Path(folder).glob("*.deb"))
        done, complaint = succeeded("dpkg-deb", "-x", file.name, "unpacked", cwd=folder)
        if not done:
            raise UnavailableError(f"dpkg-deb -x {file.name}: {complaint}")
        shutil.rmtree(TOOLS / package.name, ignore_errors=True)
        (Path(folder) / "unpacked").rename(TOOLS / package.name)


def install(package: Package) -> None:
    """Install the package where that is nobody's own machine."""
    if not (IN_CI and os.geteuid() == 0):
        raise UnavailableError(
            f"it is not unpacked but installed: `apt-get install {package.name}`, as root"
        )
    apt_get("install", "--yes", "--no-install-recommends", package.name)


def fetch(package: Package) -> None:
    """Make the package's programs available; UnavailableError if that is not possible."""
    if is_there(package):
        return
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise UnavailableError("not on PATH, and no apt-get and dpkg-deb to get it with")
    (install if package.is_installed else unpack)(package)
    if not is_there(package):
        raise UnavailableError("Debian's package is in place, but does not run here")


def fetched(package: Package) -> bool:
    """Fetch a package, or say why it cannot be had; return whether it is there."""
    try:
        fetch(package)
    except UnavailableError as reason:
        print(
            f"{package.name} cannot be had, and tests that need it will not run: {reason}",
            file=sys.stderr,
        )
        return False
    return True


def main() -> int:
    """Fetch all packages or those named; return 0, or 1 where one is missing and CI=true."""
    wanted = sys.argv[1:]
    if unknown := set(wanted) - {package.name for package in PACKAGES}:
        print(f"fetch_debian.py: not in its list: {', '.join(unknown)}", file=sys.stderr)
        return 2
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "fetching").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)  # `make demo` fetches while it installs
        kept = [fetched(package) for package in PACKAGES if not wanted or package.name in wanted]
    return int(IN_CI and not all(kept))


if __name__ == "__main__":
    sys.exit(main())

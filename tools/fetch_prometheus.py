"""Make a Prometheus available to the tests; nothing is installed or started on the system."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = ("prometheus", "promtool")
TOOLS = Path(__file__).resolve().parent.parent / ".tools"
BINARIES = TOOLS / "prometheus" / "usr" / "bin"


class UnavailableError(Exception):
    """Prometheus cannot be had here; the message is one line that says why."""


def runs(program: str | Path) -> bool:
    """Whether the program starts here: a shared library or the right processor may be missing."""
    try:
        return (
            subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


def succeeded(*command: str, cwd: str) -> tuple[bool, str]:
    """Run a command; return whether it succeeded and the last line of its complaint."""
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    complaint = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
    return result.returncode == 0, complaint[-1]


def download(folder: str) -> Path:
    """Download Debian's package into the folder and return its path."""
    is_root = os.geteuid() == 0
    # apt drops to a user who cannot write into our folder, and warns about it, unless told not to.
    fetch = ("apt-get", "-o", "APT::Sandbox::User=root", "download", "prometheus")
    done, complaint = succeeded(*fetch, cwd=folder)
    if not done and is_root:  # the package lists are empty or out of date
        succeeded("apt-get", "update", cwd=folder)
        done, complaint = succeeded(*fetch, cwd=folder)
    if not done:
        advice = "" if is_root else " (are the package lists empty? `apt-get update` needs root)"
        raise UnavailableError(f"apt-get download prometheus: {complaint}{advice}")
    return next(Path(folder).glob("prometheus_*.deb"))


def unpack() -> None:
    """Unpack Debian's package into .tools/prometheus; UnavailableError if that is no use."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise UnavailableError(
            "no prometheus and promtool on PATH, and no apt-get to get them with"
        )
    TOOLS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        package = download(folder)
        done, complaint = succeeded("dpkg-deb", "-x", str(package), "unpacked", cwd=folder)
        if not done:
            raise UnavailableError(f"dpkg-deb -x {package.name}: {complaint}")
        shutil.rmtree(TOOLS / "prometheus", ignore_errors=True)
        (Path(folder) / "unpacked").rename(TOOLS / "prometheus")
    if not all(runs(BINARIES / program) for program in PROGRAMS):
        raise UnavailableError("Debian's package was unpacked but its programs do not run here")


def main() -> int:
    """Return 0, or 1 where Prometheus is missing and CI=true."""
    if any(all(runs(where / program) for program in PROGRAMS) for where in (Path(), BINARIES)):
        return 0
    try:
        unpack()
    except UnavailableError as reason:
        print(f"Tests marked `prometheus` will not run: {reason}", file=sys.stderr)
        return int(os.environ.get("CI") == "true")
    return 0


if __name__ == "__main__":
    sys.exit(main())

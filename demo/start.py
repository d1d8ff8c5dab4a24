"""Install what the demonstration needs, have Prometheus fetched meanwhile, and become it.

It runs before anything is installed, and so on Python's standard library alone.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"
_INTERRUPTED = 130
PROGRAMS = ("prometheus", "prometheus-alertmanager")


def main() -> int:
    """Install and go on as the demonstration; ``make`` is the first argument, flags follow."""
    make, *flags = sys.argv[1:]
    began = time.time()
    print("   0 s  installs begin; Prometheus and Alertmanager are fetched meanwhile", flush=True)
    fetching = subprocess.Popen(
        [sys.executable, ROOT / "tools" / "fetch_debian.py", *PROGRAMS],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # the demonstration asks again, and shows what it is told
    )
    try:
        made = subprocess.run([make, "--no-print-directory", ".venv/demo.stamp"], check=False)
    except KeyboardInterrupt:
        made = subprocess.CompletedProcess(make, _INTERRUPTED)
    if not made.returncode:
        # A fetching that is not over goes on as a child of this process.
        command = [str(PYTHON), "-m", "demo", f"--began={began}", *flags]
        os.execv(PYTHON, command)  # noqa: S606 - no shell is wanted
    fetching.terminate()
    fetching.wait()
    return made.returncode


if __name__ == "__main__":
    sys.exit(main())

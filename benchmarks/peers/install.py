"""Install what the exporter is compared with into .tools/: Python receivers, and Go ones.

The Python ones come from a locked list; the Go ones need Go and its module proxy.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools"
PYTHON = TOOLS / "peers" / "bin" / "python"
TELEGRAF = TOOLS / "go" / "bin" / "telegraf"

_LOCKED = Path(__file__).parents[2] / "requirements" / "bench.txt"
_TELEGRAF = "github.com/influxdata/telegraf/cmd/telegraf@v1.39.3"
# All of Telegraf is some hundred modules: these are the plugins that the comparison uses.
_PLUGINS = (
    *("custom", "inputs.http_listener_v2", "parsers.json"),
    *("aggregators.starlark", "outputs.prometheus_client"),
)


def python_peers() -> None:
    """Make the environment of the receivers written by hand, anew where its list has changed."""
    stamp = TOOLS / "peers" / "installed"
    if stamp.exists() and stamp.read_text() == _LOCKED.read_text():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", TOOLS / "peers"], check=True)
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--require-hashes", "-r", str(_LOCKED)], check=True)
    stamp.write_text(_LOCKED.read_text())


def go_peers() -> None:
    """Build Telegraf, where Go is."""
    if TELEGRAF.exists():
        return
    if not shutil.which("go"):
        sys.stderr.write("no Go here: Telegraf is left out\n")
        return
    command = ["nice", "-n", "15", "go", "install", "-tags", ",".join(_PLUGINS), _TELEGRAF]
    places = {"GOBIN": str(TELEGRAF.parent), "CGO_ENABLED": "0"}
    if subprocess.run(command, env={**os.environ, **places}, check=False).returncode:
        sys.stderr.write("Telegraf could not be built: it is left out\n")


if __name__ == "__main__":
    python_peers()
    go_peers()

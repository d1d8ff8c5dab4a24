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
GO = TOOLS / "go" / "bin"
TELEGRAF = GO / "telegraf"
JSON_EXPORTER = GO / "json_exporter"
OTELCOL = TOOLS / "go" / "otelcol" / "otelcol"

_ROOT = Path(__file__).parents[2]
_LOCKED = _ROOT / "requirements" / "bench.txt"
_TELEGRAF = "github.com/influxdata/telegraf/cmd/telegraf@v1.39.3"
_JSON_EXPORTER = "github.com/utilitywarehouse/json_exporter@v0.0.2"
_BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.144.0"
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
    """Build what is not built yet, where Go is."""
    install = ("go", "install")
    builds: dict[Path, list[tuple[str, ...]]] = {
        TELEGRAF: [(*install, "-tags", ",".join(_PLUGINS), _TELEGRAF)],
        JSON_EXPORTER: [(*install, _JSON_EXPORTER)],
        OTELCOL: [
            (*install, _BUILDER),
            (str(GO / "builder"), "--config", "lab/peers/otelcol-builder.yaml"),
        ],
    }
    places = {"GOBIN": str(GO), "CGO_ENABLED": "0"}
    for program, commands in builds.items():
        if not program.exists() and not _built(commands, places):
            why = "its module could not be had or built" if shutil.which("go") else "there is no Go"
            sys.stderr.write(f"{program.name} is left out: {why}\n")


def _built(commands: list[tuple[str, ...]], places: dict[str, str]) -> bool:
    if not shutil.which("go"):
        return False
    environment = {**os.environ, **places}
    return all(
        subprocess.run(
            ["nice", "-n", "15", *command], cwd=_ROOT, env=environment, check=False
        ).returncode
        == 0
        for command in commands
    )


if __name__ == "__main__":
    python_peers()
    go_peers()

"""Commands that write the package's other parts: rules, runbooks, dashboards."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bandwidth_voice_exporter import alerts, dashboards, output, runbooks
from bandwidth_voice_exporter.settings import url

_PROGRAM = "bandwidth-voice-exporter"
_FORMATS: Mapping[str, Callable[[str], str]] = {
    "prometheus": lambda rules: rules,
    "operator": alerts.manifest,
}


def main(argv: Sequence[str]) -> int:
    """Write the part that the first argument names; a usage error raises SystemExit(2)."""
    command, *arguments = argv
    commands: Mapping[str, Callable[[Sequence[str]], int]] = {
        "rules": _rules,
        "alertmanager": _alertmanager,
        "dashboards": lambda given: _files(command, dashboards.dashboards(), given),
        "runbooks": lambda given: _files(command, runbooks.texts(), given),
    }
    return commands[command](arguments)


def _rules(argv: Sequence[str]) -> int:
    parser = _parser("rules", "Write the alert rules for Prometheus, made of a configuration.")
    parser.add_argument(
        "--print-config", action="store_true", help="write the configuration, to be changed"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of changed settings")
    parser.add_argument("--format", choices=_FORMATS, default="prometheus", help="(%(default)s)")
    parser.add_argument(
        "--web.external-url", metavar="URL", help="link to the exporter's runbooks and failures"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="instead of standard output")
    parser.add_argument(
        "--time-scale", type=int, default=1, metavar="N", help="divide every duration by N, to try"
    )
    found = vars(parser.parse_args(argv))
    if found["time_scale"] < 1:
        parser.error("--time-scale: at least 1")
    if found["print_config"]:
        return _said(parser, alerts.config.shipped(), found["output"])
    try:
        settings = _linked(alerts.config.load(found["config"]), found["web.external_url"])
        text = alerts.rules.text(settings, found["time_scale"])
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return _said(parser, _FORMATS[found["format"]](text), found["output"])


def _linked(settings: alerts.config.Config, external_url: str | None) -> alerts.config.Config:
    if external_url is None:
        return settings
    try:
        url(external_url)
    except ValueError as error:
        raise ValueError(f"--web.external-url: {error}") from None
    links = msgspec.structs.replace(settings.links, exporter=external_url.rstrip("/"))
    return msgspec.structs.replace(settings, links=links)


def _alertmanager(argv: Sequence[str]) -> int:
    parser = _parser("alertmanager", "Write an example of Alertmanager's configuration.")
    parser.parse_args(argv)
    return _said(parser, alerts.alertmanager(), None)


def _files(command: str, texts: Mapping[str, str], argv: Sequence[str]) -> int:
    parser = _parser(command, f"Write the {command} into a directory; without one, list them.")
    parser.add_argument("directory", type=Path, nargs="?", metavar="DIR")
    directory: Path | None = parser.parse_args(argv).directory
    if directory is None:
        return _said(parser, "".join(f"{name}\n" for name in texts), None)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(str(error))
    return max(_said(parser, text, directory / name) for name, text in texts.items())


def _said(parser: argparse.ArgumentParser, text: str, file: Path | None) -> int:
    if file is None:
        output.say(sys.stdout, text)
        return 0
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        parser.error(str(error))
    return 0


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    return output.Parser(f"{_PROGRAM} {command}", description=description, allow_abbrev=False)

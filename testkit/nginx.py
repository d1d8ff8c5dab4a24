"""Debian's nginx on a loopback port, with an example of deploy/ before exporters."""

import getpass
import os
import re
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from testkit import programs, waiting
from testkit.certificates import Pair
from testkit.closing import Closing
from testkit.process import Process

_DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
EXAMPLE = _DEPLOY / "nginx" / "bandwidth-voice-exporter.conf"
SHARED = _DEPLOY / "postgresql" / "nginx.conf"  # before replicas that share a ledger, without TLS

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
# Two for each request that a handler holds; one that finds none free is closed unread.
_CONNECTIONS = 8192
_ATTEMPTS = 5  # another program may take a port that was free


def before_a_handler(text: str) -> str:
    """Return the example with what its comment says of paths that are passed on in force."""
    said = re.findall(r"^    #     ((\w+) .+?;)", text, re.MULTILINE)
    assert said
    for line, name in said:
        text, replaced = re.subn(rf"(?m)^        {name} .+?;", f"        {line}", text)
        assert replaced == 1, line
    return text


class Nginx(Closing):
    """Answers once it is constructed; leaving the context kills it and its workers."""

    def __init__(
        self,
        directory: Path,
        upstreams: Sequence[str],
        tls: Pair | None = None,
        *,
        is_encrypted: bool = True,
        edit: Callable[[str], str] = str,
    ) -> None:
        """Keep configuration, logs and temporary files in the directory.

        With `edit` a test changes the example; without encryption it listens on plain HTTP. Without
        a certificate the example is that of three replicas that share a ledger.
        """
        self.directory = directory
        self.access_log = directory / "access.log"
        directory.mkdir(parents=True)
        program = programs.path("nginx")
        for _ in range(_ATTEMPTS):
            self.address = f"127.0.0.1:{_free_port()}"
            config = self._write(upstreams, tls, is_encrypted=is_encrypted, edit=edit)
            # `-e`: Debian's writes elsewhere before it has read its configuration.
            command = [program, "-p", f"{directory}/", "-e", "error.log", "-c", str(config)]
            self.process = Process(command, directory)
            try:
                if self.process.wait_until(self._is_up, "nginx to answer or end"):
                    return
            except AssertionError:
                self.process.kill()
        raise AssertionError(f"{self.process.tail()}\n{(directory / 'error.log').read_text()}")

    def _write(
        self,
        upstreams: Sequence[str],
        tls: Pair | None,
        *,
        is_encrypted: bool,
        edit: Callable[[str], str],
    ) -> Path:
        if tls:
            one_by_one = "\n".join(f"server {address} max_fails=0;" for address in upstreams)
            here = {
                "server 127.0.0.1:10061 max_fails=0;": one_by_one,
                "listen 443 ssl;": f"listen {self.address}{' ssl' * is_encrypted};",
                "/etc/ssl/private/webhooks.example.com.crt": str(tls.cert_file),
                "/etc/ssl/private/webhooks.example.com.key": str(tls.key_file),
                "/var/log/nginx/bandwidth-voice-exporter.log": str(self.access_log),
            }
        else:
            here = {
                "listen 80;": f"listen {self.address};",
                "/var/log/nginx/access.log": str(self.access_log),
                **{
                    f"server {name}:10061": f"server {address}"
                    for name, address in zip(("one", "two", "three"), upstreams, strict=True)
                },
            }
        text = (EXAMPLE if tls else SHARED).read_text()
        for there, its_stand_in in here.items():
            assert text.count(there) == 1, there
            text = text.replace(there, its_stand_in)
        (self.directory / "example.conf").write_text(edit(text))
        config = self.directory / "nginx.conf"
        config.write_text(
            "\n".join(
                (
                    f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
                    *("daemon off;", "pid nginx.pid;", "error_log error.log info;"),
                    "worker_processes 1;",
                    *(f"events {{ worker_connections {_CONNECTIONS}; }}", "http {"),
                    *(f"{kind}_temp_path {self.directory}/temp;" for kind in _TEMPORARY),
                    *(f"include {self.directory}/example.conf;", "}"),
                )
            )
        )
        return config

    def _is_up(self) -> bool:
        return (self.directory / "nginx.pid").exists()  # which it writes once it listens

    def wait_for_log(self, wanted: Callable[[str], bool], what: str) -> str:
        """Wait for a line of the access log that is wanted and return it."""
        return waiting.until(lambda: next(filter(wanted, self.lines()), None), what)

    def lines(self) -> list[str]:
        """Every line of the access log."""
        return self.access_log.read_text().splitlines() if self.access_log.exists() else []

    def written(self) -> dict[str, str]:
        """All that is in its directory, but its configuration: logs and temporary files."""
        return {
            str(path): path.read_text(errors="replace")
            for path in self.directory.rglob("*")
            if path.is_file() and path.suffix != ".conf"
        }

    def close(self) -> None:
        """Kill it if it still runs."""
        self.process.kill()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port

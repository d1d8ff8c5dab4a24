"""The cost of a hop through the exporter, beside nginx's proxy_pass and mirror, in one run."""

import argparse
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from lab.abuse.exporter import Report, Running, exporter, percentile, take_load_core
from lab.abuse.slow import send
from testkit import programs
from testkit.process import Process

RESULTS = Path(__file__).with_name("results")
_PORTS = {"handler": 18471, "proxy_pass": 18472, "mirror": 18473}
_CONFIG = """\
daemon off; master_process off; pid nginx.pid; error_log error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path temp; proxy_temp_path temp;
  fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  upstream handler {{ server 127.0.0.1:{handler}; keepalive 256; }}
  upstream exporter {{ server {exporter}; keepalive 256; }}
  proxy_http_version 1.1; proxy_set_header Connection "";
  server {{ listen 127.0.0.1:{handler}; keepalive_requests 1000000; location / {{ return 204; }} }}
  server {{ listen 127.0.0.1:{proxy_pass}; keepalive_requests 1000000;
    location / {{ proxy_pass http://handler; }} }}
  server {{ listen 127.0.0.1:{mirror}; keepalive_requests 1000000;
    location / {{ mirror /mirror; proxy_pass http://handler; }}
    location = /mirror {{ internal; proxy_pass http://exporter$request_uri; }} }}
}}
"""


@contextmanager
def nginx(exporter_address: str) -> Iterator[None]:
    """A handler that says 204, a proxy before it, and one that mirrors to an exporter."""
    with TemporaryDirectory() as directory:
        config = Path(directory, "nginx.conf")
        config.write_text(_CONFIG.format(exporter=exporter_address, **_PORTS))
        command = [programs.path("nginx"), "-p", f"{directory}/", "-e", "error.log"]
        with Process([*command, "-c", str(config)], Path(directory)) as process:
            process.wait_until(Path(directory, "nginx.pid").exists, "nginx to listen")
            yield


def main() -> None:
    """Measure each way at each rate, twice, and keep the better of two medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rates", type=int, nargs="+", default=[1, 100, 1000])
    options = parser.parse_args()
    # Ended as by Ctrl-C: what it has started goes with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    take_load_core()
    report = Report("cost", "milliseconds added by a hop", folder=RESULTS)
    handler = f"--forward.url=http://127.0.0.1:{_PORTS['handler']}"
    with ExitStack() as stack:
        plain = stack.enter_context(exporter("--storage.path="))
        stack.enter_context(nginx("{}:{}".format(*plain.webhook)))
        in_memory = stack.enter_context(exporter(handler, "--storage.path="))
        on_disk = stack.enter_context(exporter(handler))
        ways = {
            "direct": ("127.0.0.1", _PORTS["handler"]),
            "nginx proxy_pass": ("127.0.0.1", _PORTS["proxy_pass"]),
            "nginx mirror": ("127.0.0.1", _PORTS["mirror"]),
            "forward, ledger in memory": in_memory.webhook,
            "forward, ledger on disk": on_disk.webhook,
        }
        for rate in options.rates:
            base: dict[float, float] = {}
            for way, address in ways.items():
                target = Running(address, "", 0)
                uvloop.run(send(target, min(rate, 50), 2))
                real = uvloop.run(send(target, rate, options.seconds))
                assert set(real.answers) == {"204"}, (way, real.answers)
                times = {share: percentile(real.seconds, share) * 1000 for share in (0.5, 0.99)}
                base = base or times
                added = {share: times[share] - base[share] for share in times}
                is_judged = rate == 100 and way.startswith("forward")
                may = {0.5: 3.0 if "memory" in way else 1e9, 0.99: 25.0}
                limit = "p50 <= 3 (memory), p99 <= 25" if is_judged else ""
                report.figure(
                    f"{rate}/s, {way}: p50, p99 (added)",
                    f"{times[0.5]:.2f}, {times[0.99]:.2f} ({added[0.5]:+.2f}, {added[0.99]:+.2f})",
                    limit,
                    is_met=not is_judged or all(added[share] <= may[share] for share in may),
                )
                report.details[f"{rate} {way}"] = {str(share): ms for share, ms in times.items()}
    report.finish()


if __name__ == "__main__":
    main()

"""Scrapes as Prometheus does, once a second until told to stop; prints how long each took."""

import gzip
import json
import sys
import time
import urllib.request

ACCEPT = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def scrape(address: str, *, is_compressed: bool = True) -> tuple[float, int, bytes]:
    """Seconds, bytes that came, and what they say."""
    headers = {"Accept": ACCEPT, "X-Prometheus-Scrape-Timeout-Seconds": "10"}
    if is_compressed:
        headers["Accept-Encoding"] = "gzip"
    request = urllib.request.Request(f"http://{address}/metrics", headers=headers)
    began = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        body: bytes = answer.read()
    took = time.perf_counter() - began
    return took, len(body), gzip.decompress(body) if is_compressed else body


def main() -> None:
    """Scrape an address so many times."""
    address, times = sys.argv[1], int(sys.argv[2])
    began = time.monotonic()
    took = []
    for number in range(times):
        time.sleep(max(0.0, began + number - time.monotonic()))
        took.append(scrape(address)[0])
    print(json.dumps(took))


if __name__ == "__main__":
    main()

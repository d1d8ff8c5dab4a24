"""Why Bandwidth gave no answer that can be used."""

import email.utils
import time
from http import HTTPStatus

import aiohttp

# The meaning of a failed answer; those of 500 and above are Bandwidth's own errors.
_REASONS = {
    HTTPStatus.BAD_REQUEST: "invalid",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limited",
}


class AskError(Exception):
    """No answer, or none that can be used, by a reason of the failures' metric."""

    def __init__(self, reason: str, detail: str = "", wait: float | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.wait = wait  # seconds that Bandwidth asks for


def refusal(answer: aiohttp.ClientResponse, body: bytes) -> AskError:
    """Return what an answer that is none means."""
    del body  # may quote the request
    status = answer.status
    if status in _REASONS:
        reason = _REASONS[HTTPStatus(status)]
    else:
        reason = "server" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "malformed"
    return AskError(reason, f"status {status}", _wait(answer.headers.get("Retry-After", "")))


def _wait(text: str) -> float | None:
    """Return the seconds of a Retry-After, which may be a time."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def reason_of(error: aiohttp.ClientError) -> str:
    """Return why there was no answer."""
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ServerFingerprintMismatch):
        return "tls"
    if isinstance(error, aiohttp.ServerTimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "connect"
    cut_off = aiohttp.ClientConnectionError | aiohttp.ClientPayloadError
    return "reset" if isinstance(error, cut_off) else "malformed"

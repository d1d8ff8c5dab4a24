"""Why Bandwidth gave no answer that can be used."""

from collections.abc import Mapping
from http import HTTPStatus

import aiohttp

from bandwidth_voice_exporter.reconcile.http_date import wait_of

# The meaning of a failed answer; those of 500 and above are Bandwidth's own errors.
_REASONS = {
    HTTPStatus.BAD_REQUEST: "invalid",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limited",
}


# The meaning of each failure, and what to do about it.
_ADVICE: Mapping[str, str] = {
    "credentials": "the credentials file cannot be used",
    "token": "Bandwidth gives no token: the client id or the secret in "
    "--reconcile.credentials-file is wrong, or was withdrawn",
    "unauthorized": "Bandwidth refuses a token that it just gave: --reconcile.api-url and "
    "--reconcile.token-url do not belong together",
    "forbidden": "the credentials may not read the calls of this account: look at "
    "--reconcile.account, and at the roles and accounts of the client in the Bandwidth App",
    "not_found": "there is nothing under this URL: look at --reconcile.account, "
    "--reconcile.api-url and --reconcile.token-url",
    "invalid": "Bandwidth does not understand the question: look at --reconcile.account and "
    "--reconcile.api-url",
    "rate_limited": "Bandwidth was asked too often: others use the same credentials; the next "
    "comparison tries again",
    "connect": "Bandwidth cannot be reached: look at the network, DNS, the firewall and "
    "--reconcile.api-url and --reconcile.token-url",
    "tls": "Bandwidth's certificate is not trusted: look at this machine's clock and CA "
    "certificates, and for a proxy that reads TLS",
    "clock": "this machine's clock and Bandwidth's are more than a day apart: set the clock",
    "timeout": "Bandwidth does not answer in time; the next comparison tries again",
    "reset": "Bandwidth closed the connection; the next comparison tries again",
    "server": "Bandwidth has an error of its own; the next comparison tries again",
    "malformed": "the answer makes no sense: look at --reconcile.api-url and --reconcile.token-url",
}


class AskError(Exception):
    """No answer, or none that can be used, by a reason of the failures' metric.

    Its text is a sentence for a person; ``wait`` are the seconds that Bandwidth asks for.
    """

    def __init__(self, reason: str, detail: str = "", wait: float | None = None) -> None:
        self.advice = _ADVICE[reason]
        super().__init__(f"{self.advice} ({reason}{detail and ': '}{detail})")
        self.reason = reason
        self.detail = detail
        self.wait = wait


def refusal(answer: aiohttp.ClientResponse, body: bytes) -> AskError:
    """Return what an answer that is none means."""
    del body  # may quote the request
    status = answer.status
    if status in _REASONS:
        reason = _REASONS[HTTPStatus(status)]
    else:
        reason = "server" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "malformed"
    detail = f"status {status} of {answer.url.origin()}{answer.url.path}"
    return AskError(reason, detail, wait_of(answer.headers))


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

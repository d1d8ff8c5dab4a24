"""Headers as they are passed on: those of one connection dropped, those of a proxy added."""

from collections.abc import Iterable, Sequence

from multidict import CIMultiDict
from starlette.types import Scope

Header = tuple[bytes, bytes]

# RFC 9110, 7.6.1, and its predecessors; Host, lengths and 100-continue are made anew.
_OF_A_CONNECTION = frozenset(
    (
        *(b"connection", b"proxy-connection", b"keep-alive", b"te", b"trailer", b"upgrade"),
        *(b"transfer-encoding", b"http2-settings", b"proxy-authorization", b"proxy-authenticate"),
    )
)
_MADE_ANEW = frozenset((b"host", b"content-length", b"expect"))
_FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"via")


def of_request(scope: Scope, name: str, authorization: str | None) -> CIMultiDict[str]:
    """Return a request's headers for a handler.

    ``name`` is this proxy's in Via, ``authorization`` None where the request keeps its own.
    """
    headers: CIMultiDict[str] = CIMultiDict()
    hops: dict[bytes, list[str]] = {header: [] for header in _FORWARDED}
    host = ""
    for header, value in _end_to_end(scope["headers"]):
        if header in hops:
            hops[header].append(text(value))
        elif header == b"host":
            host = text(value)
        elif header in _MADE_ANEW or (header == b"authorization" and authorization):
            continue
        else:
            headers.add(text(header), text(value))
    if authorization:
        headers["authorization"] = authorization
    client = scope.get("client")
    if client:
        hops[b"x-forwarded-for"].append(client[0])
    hops[b"x-forwarded-proto"] = hops[b"x-forwarded-proto"] or [scope["scheme"]]
    hops[b"x-forwarded-host"] = hops[b"x-forwarded-host"] or [host]
    hops[b"via"].append(f"{scope['http_version']} {name}")
    for header, values in hops.items():
        if any(values):
            headers[text(header)] = ", ".join(values)
    return headers


def of_answer(headers: Sequence[Header]) -> list[Header]:
    """Return a handler's headers for the sender, names in lower case as ASGI has them."""
    return [*_end_to_end([(header.lower(), value) for header, value in headers])]


def has_passed(scope: Scope, name: str) -> bool:
    """Whether a proxy of a name has passed a request on before."""
    wanted = name.encode()
    return any(header == b"via" and wanted in value for header, value in scope["headers"])


def text(value: bytes) -> str:
    """Return bytes as text that becomes the same bytes again, unless they are no UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _end_to_end(headers: Iterable[Header]) -> Iterable[Header]:
    headers = list(headers)
    named = {
        token.strip().lower()
        for header, value in headers
        if header == b"connection"
        for token in value.split(b",")
    }
    dropped = _OF_A_CONNECTION | named
    return (pair for pair in headers if pair[0] not in dropped)

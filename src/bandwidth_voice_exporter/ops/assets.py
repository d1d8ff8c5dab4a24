"""The parts of the pages: templates, and files that a browser fetches from the same origin."""

import hashlib
import mimetypes
from collections.abc import Mapping
from http import HTTPStatus
from importlib import resources

import jinja2
import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bandwidth_voice_exporter.ops import formats
from bandwidth_voice_exporter.settings import paths

_PACKAGE = "bandwidth_voice_exporter.ops"
# Nothing but these files runs or is shown: every field of a call is text.
_SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class _File(msgspec.Struct, frozen=True):
    body: bytes
    media_type: str
    digest: str


class Assets:
    """Templates and static files, all read once; their addresses begin with ``prefix``."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._files = {
            file.name: _read(file.name, file.read_bytes())
            for file in (resources.files(_PACKAGE) / "static").iterdir()
        }
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader(_PACKAGE),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals["static"] = self._address
        self._environment.filters |= {
            name: getattr(formats, name)
            for name in ("age", "clock", "day", "iso", "many", "number", "share", "size", "span")
        }

        # Compiled here, not while events wait for the first page's reader.
        for name in self._environment.list_templates():
            self._environment.get_template(name)

    def render(self, template: str, values: Mapping[str, object]) -> str:
        """Return a page; whatever is put into it is escaped."""
        return self._environment.get_template(template).render(values)

    async def answer(self, request: Request) -> Response:
        """Return a static file; its address changes with its contents."""
        file = self._files.get(request.path_params["name"])
        if file is None:
            return secured(PlainTextResponse("not found\n", HTTPStatus.NOT_FOUND))
        response = secured(Response(file.body, media_type=file.media_type))
        response.headers["cache-control"] = "private, max-age=31536000, immutable"
        return response

    def _address(self, name: str) -> str:
        return f"{self._prefix}{paths.STATIC}{name}?{self._files[name].digest}"


def secured(response: Response) -> Response:
    """Forbid a browser whatever an answer does not need, and to keep it."""
    response.headers.update(_SECURITY)
    response.headers["cache-control"] = "no-store"
    return response


def _read(name: str, body: bytes) -> _File:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return _File(body, media_type, hashlib.sha256(body).hexdigest()[:12])

"""TLS and users of a listener, as its web configuration has them at the moment."""

import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.http import tls, web_config
from bandwidth_voice_exporter.http.not_after import not_after
from bandwidth_voice_exporter.http.watch import Looks, Reading, UnusableError, Watch, reading
from bandwidth_voice_exporter.http.web_config import WebConfigError
from bandwidth_voice_exporter.logs import Log


class Loaded(msgspec.Struct, frozen=True):
    """A configuration that can be used; ``context`` is None without TLS.

    ``not_after`` is when its certificate ends, in seconds since 1970.
    """

    context: ssl.SSLContext | None = None
    not_after: float | None = None
    users: Mapping[bytes, bytes] = {}


def load(path: Path | None, *, may_have_users: bool) -> Reading[Loaded]:
    """Read a listener's TLS and users. Raises WebConfigError where they cannot be used."""
    return reading(lambda looks: _loaded(path, looks, may_have_users=may_have_users))


class Security:
    """A listener's TLS and users, which follow the files that they come from.

    If these cannot be used any more, the last good ones stay. Neither TLS nor the last user goes
    without a restart: an empty file may be one that is being written.
    """

    def __init__(  # noqa: PLR0913  # a file, its listener, and callbacks
        self,
        path: Path | None,
        first: Reading[Loaded],
        log: Log,
        *,
        listener: str,
        may_have_users: bool,
        on_load: Callable[[bool], object],
        on_handshake_error: Callable[[], object],
        on_certificate: Callable[[float], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._log = log
        self._listener = listener
        self._may_have_users = may_have_users
        self._on_load = on_load
        self._on_handshake_error = on_handshake_error
        self._on_certificate = on_certificate
        self._watch = Watch(first, self._read, monotonic)
        self.tls: ssl.SSLContext | None = None
        if first.value.context:
            self.tls = tls.Following(self._context, self._tell)
        self._tell_end(first.value)

    def users(self) -> Mapping[bytes, bytes]:
        """Return the bcrypt hashes by user name; without any, clients need no password."""
        return self._watch.value.users

    def look(self) -> None:
        """Follow the files; to be called again and again."""
        news = self._watch.look()
        if news is not None:
            self._tell_of(news)

    def read_again(self) -> None:
        """Read the files now, changed or not."""
        if self._path:
            self._tell_of(self._watch.read_again())

    def _tell_of(self, news: Loaded | UnusableError) -> None:
        self._on_load(not isinstance(news, UnusableError))
        if isinstance(news, UnusableError):
            self._log.error(
                "web configuration not usable, the old one stays",
                listener=self._listener,
                reason=str(news),
            )
        else:
            self._log.info("web configuration loaded", listener=self._listener)
            self._tell_end(news)

    def _tell_end(self, loaded: Loaded) -> None:
        if loaded.not_after is not None:
            self._on_certificate(loaded.not_after)

    def _context(self) -> ssl.SSLContext:
        context = self._watch.value.context
        if context is None:
            raise AssertionError("TLS does not go without a restart")
        return context

    def _tell(self, reason: str) -> None:
        self._on_handshake_error()
        if self._log.is_due(f"TLS of {self._listener}"):
            self._log.warning("a TLS handshake failed", listener=self._listener, reason=reason)

    def _read(self, looks: Looks) -> Loaded:
        old = self._watch.value
        new = _loaded(self._path, looks, may_have_users=self._may_have_users)
        if (new.context is None) != (old.context is None):
            raise WebConfigError(
                f"{self._path}: {web_config.TLS} can be turned on or off only by a restart"
            )
        if old.users and not new.users:
            raise WebConfigError(f"{self._path}: {web_config.USERS} goes only by a restart")
        return new


def _loaded(path: Path | None, looks: Looks, *, may_have_users: bool) -> Loaded:
    if path is None:
        return Loaded()
    config = web_config.read(path, looks)
    for file in config.tls.files if config.tls else ():
        looks.at(file)
    if config.users and not may_have_users:
        raise WebConfigError(
            f"{path}: {web_config.USERS} is for the ops listener; the webhook's "
            f"credentials are in --webhook.credentials-file"
        )
    try:
        if config.tls is None:
            return Loaded(users=config.users)
        context = tls.context(config.tls)
        return Loaded(context, not_after(config.tls.cert_file), config.users)
    except WebConfigError as error:
        raise WebConfigError(f"{path}: {error}") from error

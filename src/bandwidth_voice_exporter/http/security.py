"""TLS and users of a listener, as its web configuration has them at the moment."""

import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.http import tls, web_config
from bandwidth_voice_exporter.http.web_config import WebConfig, WebConfigError
from bandwidth_voice_exporter.logs import Log

# Often enough for a rotation, and next to nothing for a few calls of stat: no timer is needed,
# since who is not asked by a new connection or request need not know.
_LOOK_EVERY = 1.0  # seconds

_Signature = tuple[int, int, int] | None


class Loaded(msgspec.Struct, frozen=True):
    """A configuration that can be used; ``context`` is None without TLS."""

    context: ssl.SSLContext | None = None
    users: Mapping[bytes, bytes] = {}


def load(path: Path | None, *, may_have_users: bool) -> Loaded:
    """Return a listener's TLS and users. Raises WebConfigError where they cannot be used."""
    if path is None:
        return Loaded()
    return _loaded(path, web_config.read(path), may_have_users=may_have_users)


class Security:
    """A listener's TLS and users, which follow the files that they come from.

    Where these cannot be used any more the last good ones stay. Neither TLS nor the last user goes
    without a restart: an empty file may be one that somebody is writing.
    """

    def __init__(  # noqa: PLR0913  # a file, whose it is, and whom to tell
        self,
        path: Path | None,
        log: Log,
        *,
        listener: str,
        may_have_users: bool,
        on_load: Callable[[bool], object],
        on_handshake_error: Callable[[], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._log = log
        self._listener = listener
        self._may_have_users = may_have_users
        self._on_load = on_load
        self._on_handshake_error = on_handshake_error
        self._monotonic = monotonic
        self._looked = monotonic()
        self._seen: dict[Path, _Signature] = {}
        self._loaded = Loaded() if path is None else self._read(path)
        self.tls: ssl.SSLContext | None = None
        if self._loaded.context:
            self.tls = tls.Following(self._context, self._tell)

    def users(self) -> Mapping[bytes, bytes]:
        """Return the bcrypt hashes by user name; without any nobody has to say who they are."""
        self._follow()
        return self._loaded.users

    def _context(self) -> ssl.SSLContext:
        self._follow()
        if self._loaded.context is None:
            raise AssertionError("TLS does not go without a restart")
        return self._loaded.context

    def _tell(self, reason: str) -> None:
        self._on_handshake_error()
        if self._log.is_due(f"TLS of {self._listener}"):
            self._log.warning("a TLS handshake failed", listener=self._listener, reason=reason)

    def _follow(self) -> None:
        now = self._monotonic()
        if self._path is None or now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        if any(_look(file) != signature for file, signature in self._seen.items()):
            self.read_again()

    def read_again(self) -> None:
        """Read the files now, changed or not."""
        if self._path is None:
            return
        try:
            self._loaded = self._allowed(self._path, self._read(self._path))
        except WebConfigError as error:
            self._on_load(False)  # noqa: FBT003  # a gauge's setter takes the value by position
            self._log.error(
                "web configuration not usable, the old one stays",
                listener=self._listener,
                reason=str(error),
            )
            return
        self._on_load(True)  # noqa: FBT003  # as above
        self._log.info("web configuration loaded", listener=self._listener)

    def _read(self, path: Path) -> Loaded:
        """Read everything anew; each file is looked at before it is read, to miss no change."""
        self._seen = {file: _look(file) for file in (path, *self._seen)}
        config = web_config.read(path)
        files = config.tls.files if config.tls else ()
        self._seen = {path: self._seen[path]} | {file: _look(file) for file in files}
        return _loaded(path, config, may_have_users=self._may_have_users)

    def _allowed(self, path: Path, new: Loaded) -> Loaded:
        if (new.context is None) != (self._loaded.context is None):
            raise WebConfigError(f"{path}: {web_config.TLS} comes and goes only with a restart")
        if self._loaded.users and not new.users:
            raise WebConfigError(f"{path}: {web_config.USERS} goes only with a restart")
        return new


def _loaded(path: Path, config: WebConfig, *, may_have_users: bool) -> Loaded:
    if config.users and not may_have_users:
        raise WebConfigError(
            f"{path}: {web_config.USERS} is for the ops listener; who may send events is in "
            f"--webhook.credentials-file"
        )
    try:
        return Loaded(tls.context(config.tls) if config.tls else None, config.users)
    except WebConfigError as error:
        raise WebConfigError(f"{path}: {error}") from error


def _look(file: Path) -> _Signature:
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino, status.st_size)

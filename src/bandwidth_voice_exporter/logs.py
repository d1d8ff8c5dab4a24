"""Log lines with fields, as logfmt or JSON, on standard error."""

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

NAME = "bandwidth_voice_exporter"


class Log:
    """A logger whose messages are fixed sentences and whose particulars are fields."""

    def __init__(self, name: str = NAME, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._logger = logging.getLogger(name)
        self._monotonic = monotonic
        self._last: dict[str, float] = {}

    def info(self, message: str, **fields: object) -> None:
        """Say what happened."""
        self._logger.info(message, extra={"fields": fields})

    def warning(self, message: str, **fields: object) -> None:
        """Log a condition that somebody should look at."""
        self._logger.warning(message, extra={"fields": fields})

    def error(self, message: str, **fields: object) -> None:
        """Say what does not work."""
        self._logger.error(message, extra={"fields": fields})

    def exception(self, message: str, **fields: object) -> None:
        """Say what does not work, and where; not with what, for that may be personal."""
        self._logger.exception(message, extra={"fields": fields})  # noqa: LOG004  # the caller is one

    def is_due(self, message: str, every: float = 60.0) -> bool:
        """Whether a message that may come often was last due that many seconds ago."""
        now = self._monotonic()
        if now - self._last.get(message, -every) < every:
            return False
        self._last[message] = now
        return True


class Stream(Protocol):
    """The stream that lines are written to."""

    def write(self, text: str, /) -> object:
        """Write a text."""
        ...

    def flush(self) -> object:
        """Write the waiting lines."""
        ...


def configure(level: str, log_format: str, stream: Stream) -> None:
    """Send every log line of the process to a stream, uvicorn's included; as ``json`` or logfmt."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(lambda record: not _is_hang_up(record))
    handler.setFormatter(_Formatter(_json if log_format == "json" else _logfmt))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Below that uvicorn has a line for each malformed request: strangers could fill the log.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def _is_hang_up(record: logging.LogRecord) -> bool:
    """Whether a record is uvicorn's of an answer whose client had gone, which is no error."""
    error = record.exc_info[1] if record.exc_info else None
    return isinstance(error, RuntimeError) and "the handler is closed" in str(error)


class _Formatter(logging.Formatter):
    def __init__(self, write: Callable[[dict[str, object]], str]) -> None:
        super().__init__()
        self._write = write

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            fields["error"] = record.exc_info[0].__name__
            fields["at"] = _places(record)
        return self._write(fields)


def _places(record: logging.LogRecord) -> str:
    """Return the call stack as file:line, innermost last: a message could quote a request."""
    places = []
    traceback = record.exc_info[2] if record.exc_info else None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return " ".join(places)


def _json(fields: dict[str, object]) -> str:
    return json.dumps(fields, default=str, ensure_ascii=False)


def _logfmt(fields: dict[str, object]) -> str:
    return " ".join(f"{name}={_logfmt_value(value)}" for name, value in fields.items())


def _logfmt_value(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not any(mark in text for mark in ' "='):
        return text
    return json.dumps(text, ensure_ascii=False)

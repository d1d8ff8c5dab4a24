"""Log lines."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from bandwidth_voice_exporter import logs
from bandwidth_voice_exporter.logs import Log

NUMBER = "+19195550100"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A stream to configure logging to; the process's own configuration comes back after."""
    loggers = (logging.getLogger(), logging.getLogger("uvicorn"))
    levels = [logger.level for logger in loggers]
    handlers = loggers[0].handlers[:]
    loggers[0].handlers.clear()
    yield io.StringIO()
    loggers[0].handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def logfmt(stream: io.StringIO, **fields: object) -> str:
    """The line of a message with fields, without its time."""
    logs.configure("info", "logfmt", stream)
    Log("test").info("it is so", **fields)
    [line] = stream.getvalue().splitlines()
    return re.sub(r"^ts=\S+ ", "", line)


def as_json(stream: io.StringIO, **fields: object) -> dict[str, Any]:
    """The line of a message with fields, decoded."""
    logs.configure("info", "json", stream)
    Log("test").info("it is so", **fields)
    [line, _] = stream.getvalue().split("\n")
    decoded: dict[str, Any] = json.loads(line)
    return decoded


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        (7, "7"),
        (True, "True"),
        ("é", "é"),
        ("C:\\x", "C:\\x"),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('a"b', '"a\\"b"'),
        ("", '""'),
        ("a\nlevel=error", '"a\\nlevel=error"'),
        ("a\u2028b", '"a\u2028b"'),
        ("\x1b[31m", '"\\u001b[31m"'),
    ],
)
def test_logfmt_quoting(value: object, written: str, stream: io.StringIO) -> None:
    """A value that logfmt could misread is quoted, any other is written as it is."""
    logs.configure("info", "logfmt", stream)
    Log("test").info("it is so", field=value)
    line = re.sub(r"^ts=\S+ ", "", stream.getvalue())
    assert line == f'level=info msg="it is so" field={written}\n'


def test_logfmt_fields_stay_in_order(stream: io.StringIO) -> None:
    """Fields are written in the order given."""
    assert logfmt(stream, b=1, a=2) == 'level=info msg="it is so" b=1 a=2'


def test_logfmt_time(stream: io.StringIO) -> None:
    """A line begins with its time in UTC, to the millisecond."""
    logs.configure("info", "logfmt", stream)
    Log("test").info("x")
    match = re.match(r"ts=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00) ", stream.getvalue())
    assert match
    assert datetime.fromisoformat(match[1]).utcoffset() is not None


def test_json(stream: io.StringIO) -> None:
    """A JSON line has time, level, message and the fields with their types."""
    line = as_json(stream, count=7, ok=True, none=None, text='a "b"\n\u2028', path=ValueError)
    assert datetime.fromisoformat(line.pop("ts")).utcoffset() is not None
    assert line == {
        "level": "info",
        "msg": "it is so",
        "count": 7,
        "ok": True,
        "none": None,
        "text": 'a "b"\n\u2028',
        "path": str(ValueError),
    }


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_one_line_a_message(log_format: str, stream: io.StringIO) -> None:
    """A message is one line, even if a field has line breaks."""
    logs.configure("info", log_format, stream)
    Log("test").info("x", field="a\nb\r\nc")
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_levels(level: str, expected: list[str], stream: io.StringIO) -> None:
    """Lines below the level are not written."""
    logs.configure(level, "json", stream)
    log = Log("test")
    for say in (log.info, log.warning, log.error):
        say("x")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == expected


def fail() -> None:
    """Raise an error that quotes a phone number, from another one that does too."""
    raise ValueError(NUMBER) from KeyError(NUMBER)


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
@pytest.mark.parametrize("foreign", [False, True], ids=["own", "foreign"])
def test_exceptions_say_where_and_not_what(
    log_format: str,
    foreign: bool,  # noqa: FBT001  # one of two kinds of logger
    stream: io.StringIO,
) -> None:
    """An exception is logged by its class and its places, never by its message or traceback."""
    logs.configure("info", log_format, stream)
    try:
        fail()
    except ValueError:
        if foreign:
            logging.getLogger("uvicorn.error").exception("it failed")
        else:
            Log("test").exception("it failed", code=500)
    line = stream.getvalue()
    assert "it failed" in line
    assert "ValueError" in line
    assert re.search(r"test_logs\.py:\d+ test_logs\.py:\d+", line)
    assert NUMBER not in line
    assert "Traceback" not in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(("level", "written"), [("WARNING", False), ("ERROR", True)])
def test_uvicorn_is_quiet(level: str, written: bool, stream: io.StringIO) -> None:  # noqa: FBT001  # a table
    """Uvicorn's warnings, such as of strangers' requests, are left out; its errors are written."""
    logs.configure("info", "logfmt", stream)
    logging.getLogger("uvicorn.error").log(logging.getLevelNamesMapping()[level], "x")
    assert bool(stream.getvalue()) is written


def test_throttle() -> None:
    """A message is due at once, then again only when its time has passed; others are apart."""
    now = 0.0
    log = Log("test", monotonic=lambda: now)
    assert log.is_due("a")
    assert not log.is_due("a")
    assert log.is_due("b")
    now = 59.9
    assert not log.is_due("a")
    now = 60.0
    assert log.is_due("a")
    assert not log.is_due("a")


def test_throttle_of_another_length() -> None:
    """How often a message is due is up to the caller."""
    now = 5.0
    log = Log("test", monotonic=lambda: now)
    assert log.is_due("a", every=2)
    now = 6.9
    assert not log.is_due("a", every=2)
    now = 7.0
    assert log.is_due("a", every=2)

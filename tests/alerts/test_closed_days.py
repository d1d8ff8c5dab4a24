"""Closed days: each counts once, and an iCalendar file of them is read in full or refused."""

from datetime import date
from pathlib import Path

import pytest

from bandwidth_voice_exporter import alerts
from bandwidth_voice_exporter.alerts import ical

DAYS = (date(2026, 12, 25), date(2026, 12, 26), date(2026, 12, 27))
START = "DTSTART;VALUE=DATE:20261225"


def calendar(*lines: str, end: str = "\r\n") -> str:
    """A calendar of one event."""
    event = ("BEGIN:VEVENT", "SUMMARY:Christmas", *lines, "END:VEVENT")
    return "".join(f"{line}{end}" for line in ("BEGIN:VCALENDAR", *event, "END:VCALENDAR"))


def read(directory: Path, text: str | bytes) -> tuple[date, ...]:
    """The days of a file with this content."""
    file = directory / "holidays.ics"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return ical.days(file)


@pytest.mark.parametrize(
    "lines",
    [
        (START, "DTEND;VALUE=DATE:20261228"),
        ("dtstart;value=date:20261225", "dtend:20261228"),
        ("DTSTART;TZID=Europe/Berlin;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261228"),
        ('DTSTART;X-A="b;c:d",e;VALUE=DATE:20261225', "DTEND;VALUE=DATE:20261228"),
        (START, "DURATION:P3D"),
        (START, "DURATION:+P3D", "STATUS:CONFIRMED"),
        ("DTSTART;VALUE=DATE:2026\r\n 1225", "DTEND;VALUE=DA\r\n\tTE:20261228"),
        (START, "DURATION:P3D", "BEGIN:VALARM", "DURATION:PT5M", "END:VALARM"),
    ],
)
def test_days_are_those_of_the_event(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """Begin and end or length are read in any case, however folded, and beside an alarm."""
    assert read(tmp_path, calendar(*lines)) == DAYS


def test_weeks_are_days(tmp_path: Path) -> None:
    """A length of weeks is of seven days each, and no length is one day."""
    assert len(read(tmp_path, calendar(START, "DURATION:P2W"))) == 14
    assert read(tmp_path, calendar(START)) == DAYS[:1]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_lines_end_as_they_do(tmp_path: Path, end: str) -> None:
    """Any end of a line is one, behind a byte order mark too, and a fold may part a character."""
    folded = "SUMMARY:W\u00e4".encode()[:-1] + f"{end} ".encode() + b"\xa4"
    content = calendar("X", START, end=end).encode().replace(b"X", folded, 1)
    assert read(tmp_path, b"\xef\xbb\xbf" + content) == DAYS[:1]


def test_cancelled_event_is_no_closed_day(tmp_path: Path) -> None:
    """An event that was cancelled is left out."""
    assert read(tmp_path, calendar(START, "STATUS:CANCELLED")) == ()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((START, "RRULE:FREQ=YEARLY"), r"it repeats \(RRULE\)"),
        ((START, "RDATE;VALUE=DATE:20271225"), r"it repeats \(RDATE\)"),
        ((START, "rdate:20271225"), r"it repeats \(RDATE\)"),
        ((START, "RECURRENCE-ID;VALUE=DATE:20261225"), r"it repeats \(RECURRENCE-ID\)"),
        ((START, "DTEND:20261225T120000Z"), "DTEND, 20261225T120000Z, is no whole day"),
        ((START, "DTEND;VALUE=DATE:20261225"), "not after DTSTART"),
        ((START, "DTEND;VALUE=DATE:20261224"), "not after DTSTART"),
        ((START, "DURATION:PT24H"), "DURATION, PT24H, is no number of whole days"),
        ((START, "DURATION:P0D"), "DURATION, P0D, is no number of whole days"),
        ((START, "DURATION:P1D", "DTEND:20261226"), "both DTEND and DURATION"),
        ((START, "DTEND;VALUE=DATE:22061226"), "more than a year"),
        ((START, START), "DTSTART twice"),
        (("DTSTART;TZID=Europe/Berlin:20261225T000000",), "is no whole day"),
        (("DTSTART;VALUE=PERIOD:20261225",), "is no whole day"),
        (("DTSTART;VALUE=DATE:20261325",), "DTSTART, 20261325, is no date: month"),
        ((), "it has no DTSTART"),
    ],
)
def test_event_that_is_no_whole_day_is_refused(
    tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    """An event that repeats, has hours, or has no date or day is refused by file and name."""
    with pytest.raises(ValueError, match=rf"holidays\.ics: the event 'Christmas': .*{said}"):
        read(tmp_path, calendar(*lines))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no event"),
        (b"BEGIN:VCALENDAR\nEND:VCALENDAR\n", "no event"),
        (b"<!DOCTYPE html>\n<title>Sign in</title>\n", "no iCalendar file"),
        (b"BEGIN:VEVENT\nDTSTART:20261225\nEND:VEVENT\n", "no iCalendar file"),
        (calendar(START).encode()[:-15], "cut off: END:"),
        (calendar(START).replace("END:VEVENT", "END:VALARM").encode(), "has not begun"),
        (calendar(START, "and tomorrow").encode(), "no iCalendar file .*'and tomorrow'"),
        (calendar(START).replace("Christmas", "Weihn\u00e4cht").encode("latin-1"), "not in UTF-8"),
    ],
)
def test_file_that_is_no_calendar_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """A file without an event, of another kind, cut off or in another encoding is refused."""
    with pytest.raises(ValueError, match=rf"holidays\.ics: .*{said}"):
        read(tmp_path, content)


def test_day_that_is_given_twice_is_closed_once(tmp_path: Path) -> None:
    """A closed day that the key repeats, or a file gives too, makes the same rules as once."""
    config = tmp_path / "alerts.toml"
    (tmp_path / "holidays.ics").write_text(calendar(START), "utf-8")

    def rules_of(*lines: str) -> str:
        config.write_text("\n".join(lines), "utf-8")
        return alerts.rules.text(alerts.config.load(config))

    file, once = 'closed_days_file = "holidays.ics"', rules_of("closed_days = [2026-12-25]")
    assert rules_of("closed_days = [2026-12-25, 2026-12-25]") == once
    assert rules_of("closed_days = [2026-12-25]", file) == once
    assert rules_of(file) == once

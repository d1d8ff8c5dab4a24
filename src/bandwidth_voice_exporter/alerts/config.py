"""The settings of the rules, read and checked."""

import re
import tomllib
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from bandwidth_voice_exporter.alerts import grouping, ical, jobs
from bandwidth_voice_exporter.alerts.wallclock import WallClock
from bandwidth_voice_exporter.metrics import catalog

_ADDRESS = re.compile(r"https?://[^\s{}/][^\s{}]*(?<!/)")
_OF_KEY = re.compile(r"(?P<said>.*) - at `\$\.(?P<key>[\w.]+)[^`]*`", re.DOTALL)

Calls = Annotated[int, Meta(ge=1)]  # or requests, or failures: so many at least
Portion = Annotated[float, Meta(ge=0, le=1)]  # of calls, requests, answers
# Of the calls expected: five hundredths more are taken of an hour, and some must be left.
Lost = Annotated[float, Meta(gt=0, le=0.9)]
Score = Annotated[float, Meta(gt=0, le=100)]  # usual spreads
Multiple = Annotated[float, Meta(ge=1, le=1000)]  # of what is usual
Days = Annotated[float, Meta(gt=0, le=3650)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the configuration; an unknown key in it is refused by name."""


class Links(Section, frozen=True):
    """The addresses that alerts link to; an empty one is not linked to.

    ``exporter`` is its --web.external-url, ``dashboards`` is below which Grafana has them by uid,
    and ``runbooks`` below which they are files, if not the exporter's own.
    """

    exporter: str = ""
    dashboards: str = ""
    runbooks: str = ""

    def __post_init__(self) -> None:
        """Refuse a text that is no address."""
        for name in self.__struct_fields__:
            address = getattr(self, name)
            if address and not _ADDRESS.fullmatch(address):
                raise ValueError(
                    f"{name}: {address!r}: not https://host/path, without / at its end"
                )

    @property
    def runbook(self) -> str:
        """The address of a runbook, with {} for an alert's name."""
        if self.runbooks:
            return f"{self.runbooks}/{{}}.md"
        return f"{self.exporter}/runbooks/{{}}" if self.exporter else ""


class Objective(Section, frozen=True):
    """The share of calls that may end neither by the application's fault nor by Bandwidth's."""

    availability: Portion
    least_calls: Calls


class OfficeHours(Section, frozen=True):
    """When silence and lost volume matter, in UTC; days from 0, Sunday, to 6.

    Hours that pass midnight are of the day on which they begin; days may pass the end of the week.
    """

    first_day: int
    last_day: int
    from_hour: int
    to_hour: int

    def __post_init__(self) -> None:
        """Refuse what is no day and no hour, and hours of which there are none."""
        for name, most, unit in (
            ("first_day", 6, "a day from 0, Sunday,"),
            ("last_day", 6, "a day from 0, Sunday,"),
            ("from_hour", 23, "an hour from 0"),
            ("to_hour", 24, "an hour from 0"),
        ):
            number = getattr(self, name)
            if not 0 <= number <= most:
                raise ValueError(f"{name}: {number}: not {unit} to {most}, in UTC")
        if self.from_hour == self.to_hour:
            raise ValueError(
                f"to_hour: {self.to_hour}: the same as from_hour, which leaves no hour; "
                "in UTC, a whole day is from 0 to 24"
            )


class Failures(Section, frozen=True):
    """When a share of failures is too high.

    ``zscore`` is counted in the series' own usual spreads, ``points`` is a share of all calls
    above the one expected, ``absolute`` a share that is too high while nothing is expected yet.
    """

    zscore: Score
    points: Portion
    absolute: Portion
    least_calls: Calls


class Flow(Section, frozen=True):
    """When calls are missing or too many; ``lost`` are shares, ``surge`` a factor."""

    silent_expected: Calls
    silent_uncertain: Calls
    # Of a day, which is how far the rules look back for the last call.
    by_hand_hours: Annotated[int, Meta(ge=1, le=23)]
    lost_expected: Calls
    zscore: Score
    soon_zscore: Score
    lost: Lost
    soon_lost: Lost
    surge: Multiple
    surge_least_calls: Calls
    late_seconds: int
    late_share: Portion


class Exporter(Section, frozen=True):
    """When the exporter itself is in trouble."""

    unauthorized_least: Calls
    unfollowed_share: Portion
    malformed_share: Portion
    malformed_least: Calls
    slow_commit_share: Portion
    restarts: Annotated[int, Meta(ge=1)]
    certificate_days: Days
    certificate_late_days: Days


class Forwards(Section, frozen=True):
    """When a handler that deliveries are passed on to is in trouble: shares of its requests."""

    failed_share: Portion
    failed_least: Calls
    slow_share: Portion
    slow_least: Calls


class Users(Section, frozen=True):
    """The behaviour of people on the line, beside the shifts of causes."""

    abandon_share: Portion
    rejected_factor: Multiple
    least_calls: Calls


class Durations(Section, frozen=True):
    """Lengths of calls and waits."""

    short_share: Portion
    acd_factor: Portion
    acd_least_calls: Calls
    zero_talk_share: Portion
    zero_talk_least: Calls
    long_calls: Calls
    queue_share: Portion
    queue_least: Calls
    setup_factor: Multiple
    setup_more_seconds: Seconds
    least_calls: Calls


class Config(Section, frozen=True):
    """The whole configuration."""

    job: str
    quiet_days: Annotated[int, Meta(ge=1, le=3650)]
    links: Links
    objective: Objective
    spike: Failures
    rise: Failures
    single_application: Failures
    users: Failures
    short_calls: Failures
    flow: Flow
    exporter: Exporter
    forwards: Forwards
    habits: Users
    lengths: Durations
    group_labels: tuple[str, ...] = ()
    switched_off: tuple[str, ...] = ()
    time_zone: str = "UTC"
    closed_days: tuple[date, ...] = ()
    closed_days_file: str | None = None
    switched_by_hand: tuple[Literal["inbound", "outbound"], ...] = ()
    office_hours: OfficeHours | None = None

    @property
    def by_hand(self) -> str:
        """The matcher of the directions that people switch on and off."""
        return f'{{direction=~"{"|".join(self.switched_by_hand)}"}}'

    @property
    def flowing(self) -> str:
        """The matcher of the others; none where all are."""
        return self.by_hand.replace("=~", "!~") if self.switched_by_hand else ""

    @property
    def clock(self) -> WallClock:
        """The clock on the wall of the site."""
        return WallClock(ZoneInfo(self.time_zone), self.closed_days)


def shipped() -> str:
    """Return the text of the configuration that everything has that is not set."""
    return (resources.files(__package__) / "config.toml").read_text("utf-8")


def load(path: Path | None = None) -> Config:
    """Read the file with what is set; raises ValueError with the key that is wrong, OSError."""
    everything = tomllib.loads(shipped())
    try:
        given = tomllib.loads(path.read_text("utf-8")) if path else {}
        for key, value in given.items():
            is_table = isinstance(value, dict) and isinstance(everything.get(key), dict)
            everything[key] = {**everything[key], **value} if is_table else value
        config = _converted(everything)
        _check(config)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if path is None or config.closed_days_file is None:
        return config
    days = ical.days(path.parent / config.closed_days_file)
    return msgspec.structs.replace(config, closed_days=(*config.closed_days, *days))


def _converted(everything: dict[str, Any]) -> Config:
    """Return the configuration; raises ValueError with the key, and the value if it is one."""
    try:
        return msgspec.convert(everything, Config)
    except msgspec.ValidationError as error:
        found = _OF_KEY.fullmatch(str(error))
        if found is None:
            raise
        value: Any = everything
        for name in found["key"].split("."):
            value = value[name]
        # A table's own message says which of its keys it is about.
        shown = "" if isinstance(value, dict) else f"{value!r}: "
        raise ValueError(f"{found['key']}: {shown}{found['said']}") from error


def _check(config: Config) -> None:
    """Raise ValueError with the key for what is no rule, or none that could ever be told."""
    jobs.check(config.job)
    grouping.check(config.group_labels)
    try:
        ZoneInfo(config.time_zone)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValueError(
            f"time_zone: {config.time_zone!r}: this machine knows no such time zone; "
            "write one such as 'Europe/Berlin'"
        ) from error
    flow, exporter = config.flow, config.exporter
    if flow.silent_uncertain < flow.silent_expected:
        raise ValueError(
            f"flow.silent_uncertain: {flow.silent_uncertain}: "
            f"not flow.silent_expected ({flow.silent_expected}) or more"
        )
    # Only these are counted.
    bounds = [bound for bound in catalog.DELAY.buckets if bound == int(bound)]
    if flow.late_seconds not in bounds:
        raise ValueError(
            f"flow.late_seconds: {flow.late_seconds}: not one of {', '.join(map(str, bounds))}"
        )
    if exporter.certificate_late_days > exporter.certificate_days:
        raise ValueError(
            f"exporter.certificate_late_days: {exporter.certificate_late_days:g}: "
            f"not exporter.certificate_days ({exporter.certificate_days:g}) or less"
        )

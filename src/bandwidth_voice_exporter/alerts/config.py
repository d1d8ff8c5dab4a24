"""The settings of the rules, read and checked."""

import re
import tomllib
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from bandwidth_voice_exporter.alerts import ical
from bandwidth_voice_exporter.alerts.wallclock import WallClock

_ADDRESS = re.compile(r"https?://[^\s{}/][^\s{}]*(?<!/)")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


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

    availability: float
    least_calls: int


class OfficeHours(Section, frozen=True):
    """When silence and lost volume matter, in UTC; days from 0, Sunday, to 6."""

    first_day: int
    last_day: int
    from_hour: int
    to_hour: int


class Failures(Section, frozen=True):
    """When a share of failures is too high.

    ``zscore`` is counted in the series' own usual spreads, ``points`` is a share of all calls
    above the one expected, ``absolute`` a share that is too high while nothing is expected yet.
    """

    zscore: float
    points: float
    absolute: float
    least_calls: int


class Flow(Section, frozen=True):
    """When calls are missing or too many; ``lost`` are shares, ``surge`` a factor."""

    silent_expected: int
    silent_uncertain: int
    by_hand_hours: int
    lost_expected: int
    zscore: float
    soon_zscore: float
    lost: float
    soon_lost: float
    surge: float
    surge_least_calls: int
    late_seconds: int
    late_share: float


class Exporter(Section, frozen=True):
    """When the exporter itself is in trouble."""

    unauthorized_least: int
    unfollowed_share: float
    malformed_share: float
    malformed_least: int
    slow_commit_share: float
    restarts: int
    certificate_days: float
    certificate_late_days: float


class Forwards(Section, frozen=True):
    """When a handler that deliveries are passed on to is in trouble: shares of its requests."""

    failed_share: float
    failed_least: int
    slow_share: float
    slow_least: int


class Users(Section, frozen=True):
    """The behaviour of people on the line, beside the shifts of causes."""

    abandon_share: float
    rejected_factor: float
    least_calls: int


class Durations(Section, frozen=True):
    """Lengths of calls and waits."""

    short_share: float
    acd_factor: float
    acd_least_calls: int
    zero_talk_share: float
    zero_talk_least: int
    long_calls: int
    queue_share: float
    queue_least: int
    setup_factor: float
    setup_more_seconds: float
    least_calls: int


class Config(Section, frozen=True):
    """The whole configuration."""

    job: str
    quiet_days: int
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
        config = msgspec.convert(everything, Config)
    except (msgspec.ValidationError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    try:
        re.compile(config.job)
    except re.error as error:
        raise ValueError(f"{path}: job is no regular expression: {error}") from error
    for label in config.group_labels:
        if not _LABEL.fullmatch(label):
            raise ValueError(f"{path}: group_labels: {label!r} is no label")
    try:
        ZoneInfo(config.time_zone)
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise ValueError(f"{path}: time_zone: {error}") from error
    if path is None or config.closed_days_file is None:
        return config
    days = ical.days(path.parent / config.closed_days_file)
    return msgspec.structs.replace(config, closed_days=(*config.closed_days, *days))

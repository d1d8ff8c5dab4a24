"""The traffic without incidents: how many calls start in each minute, and how they will end.

It takes the simulator's causes, lengths and weekly curve and adds what makes real traffic hard to
judge: ten unequal applications, volume that wanders from day to day and hour to hour, shares of
causes that drift, and a shape over the day that each cause has for itself.
"""

import math

import msgspec
import numpy as np
import numpy.typing as npt

from bandwidth_voice_exporter.simulate.curve import weekly
from bandwidth_voice_exporter.simulate.profile import ApplicationProfile, Profile
from bandwidth_voice_exporter.voice.causes import CAUSES, HANGUP

Floats = npt.NDArray[np.float64]

HOUR = 60  # everything here counts in minutes
DAY = 24 * HOUR
WEEK = 7 * DAY
LEAD = 5 * HOUR  # before the first minute that counts: longer than the longest call
DIRECTIONS = ("inbound", "outbound")

APPLICATIONS = (
    ApplicationProfile("contact-centre", 26.0, 0.8),
    ApplicationProfile("dialler", 20.0, 0.0),
    ApplicationProfile("ivr", 13.0, 1.0),
    ApplicationProfile("notifier", 11.0, 0.0),
    ApplicationProfile("sales", 9.0, 0.3),
    ApplicationProfile("helpdesk", 7.0, 1.0),
    ApplicationProfile("reminders", 5.0, 0.0),
    ApplicationProfile("clinic", 4.0, 0.6),
    ApplicationProfile("hotline", 3.0, 1.0),
    ApplicationProfile("surveys", 2.0, 0.0),
)
_WEIGHT = sum(application.weight for application in APPLICATIONS)
_LEAST_HANGUPS = 0.1  # however far the other causes drift


class Pair(msgspec.Struct, frozen=True):
    """One application's calls in one direction, and their share of all calls."""

    application: str
    direction: str
    share: float


PAIRS = tuple(
    Pair(application.application_id, direction, application.weight / _WEIGHT * share)
    for application in APPLICATIONS
    for direction, share in (
        ("inbound", application.inbound_share),
        ("outbound", 1 - application.inbound_share),
    )
    if share > 0
)
PROFILE = Profile()
BASE_SHARE = {"inbound": dict(PROFILE.inbound), "outbound": dict(PROFILE.outbound)}


class Character(msgspec.Struct, frozen=True, kw_only=True):
    """How unsteady the traffic is: standard deviations of logarithms, unless said otherwise."""

    day_volume: float = 0.08  # of all calls together, from day to day
    application_volume: float = 0.10  # of one application and direction, from day to day
    hour_volume: float = 0.12  # of the same, from hour to hour
    standing_share: float = 0.35  # by how much applications differ in a cause's share, for good
    drifting_share: float = 0.15  # of a cause's share in a direction, slowly
    own_drifting_share: float = 0.10  # of the same in one application
    drift_hours: float = 12.0  # after which a drift has lost 63 % of itself
    daily_share: float = 0.25  # half the swing of a cause's share over the day
    evening_shape: bool = False  # busy in the evening and at weekends, not in office hours
    heavy_tail: bool = False  # lengths of calls with a power law's tail


USUAL = Character()
UNSTEADY = Character(
    day_volume=2 * USUAL.day_volume,
    application_volume=2 * USUAL.application_volume,
    hour_volume=2 * USUAL.hour_volume,
    drifting_share=2 * USUAL.drifting_share,
    own_drifting_share=2 * USUAL.own_drifting_share,
    evening_shape=True,
    heavy_tail=True,
)

_EVENING = (
    *(0.50, 0.30, 0.20, 0.15, 0.15, 0.20, 0.35, 0.60, 0.80, 0.90, 1.00, 1.10),
    *(1.20, 1.15, 1.10, 1.15, 1.30, 1.60, 2.00, 2.30, 2.20, 1.80, 1.30, 0.80),
)
_EVENING_DAY = (0.90, 0.90, 0.95, 1.00, 1.15, 1.30, 1.05)


class Starts(msgspec.Struct, frozen=True):
    """What is expected to start: from ``LEAD`` minutes before the first minute that counts.

    ``rate`` in calls a minute by pair and minute; ``share`` by pair, cause and minute.
    """

    rate: Floats
    share: Floats


def week_shape(character: Character) -> Floats:
    """The level of each minute of a week from Monday 00:00 on, its mean 1."""
    if not character.evening_shape:
        return np.array([weekly(60.0 * minute) for minute in range(WEEK)])
    hours = np.outer(_EVENING_DAY, _EVENING).ravel()
    shape = np.interp(np.arange(WEEK) / HOUR, np.arange(169), np.append(hours, hours[0]))
    return np.asarray(shape / shape.mean())


def level_curve(character: Character, minutes: int) -> Floats:
    """The level of each minute from ``LEAD`` before Monday 00:00 on, for ``minutes`` after it."""
    return week_shape(character)[np.arange(-LEAD, minutes) % WEEK]


def starts(level: float, seed: int, minutes: int, character: Character = USUAL) -> Starts:
    """Draw the expected starts at ``level`` calls a minute on average, of all pairs together."""
    rng = np.random.default_rng((seed, round(level), 1))
    hours = math.ceil((LEAD + minutes) / HOUR) + 1
    pairs = len(PAIRS)
    log_volume = (
        _daily(rng, character.day_volume, 1, hours)
        + _daily(rng, character.application_volume, pairs, hours)
        + _centred(rng, character.hour_volume, (pairs, hours))
    )
    of_pair = np.array([pair.share for pair in PAIRS])[:, None]
    curve = level_curve(character, minutes)
    rate = level * of_pair * curve * _by_minute(np.exp(log_volume), curve.size)
    return Starts(rate, _shares(rng, character, hours, curve.size))


def _shares(rng: np.random.Generator, character: Character, hours: int, minutes: int) -> Floats:
    shape = (len(PAIRS), len(CAUSES), hours)
    of_direction = _drift(rng, character, (len(DIRECTIONS), len(CAUSES), hours))
    log_share = (
        character.standing_share * rng.standard_normal((*shape[:2], 1))
        + character.drifting_share
        * of_direction[[DIRECTIONS.index(pair.direction) for pair in PAIRS]]
        + character.own_drifting_share * _drift(rng, character, shape)
    )
    # Each cause has its own time of the day; the lead begins LEAD before midnight.
    phase = 2 * np.pi * np.arange(len(CAUSES)) / len(CAUSES)
    clock = 2 * np.pi * (np.arange(hours) - LEAD / HOUR) / 24
    log_share = log_share + character.daily_share * np.cos(clock - phase[:, None])
    base = np.array(
        [[BASE_SHARE[pair.direction].get(cause, 0.0) for cause in CAUSES] for pair in PAIRS]
    )
    share = base[:, :, None] * np.exp(log_share)
    hangup = CAUSES.index(HANGUP)
    share[:, hangup] = 0.0
    total = share.sum(axis=1, keepdims=True)
    share *= np.minimum(1.0, (1 - _LEAST_HANGUPS) / total)
    share[:, hangup] = 1.0 - share.sum(axis=1)
    return _by_minute(share, minutes)


def _daily(rng: np.random.Generator, sigma: float, rows: int, hours: int) -> Floats:
    first = 24 - LEAD // HOUR  # the lead is the end of a day
    days = math.ceil((first + hours) / 24)
    return np.repeat(_centred(rng, sigma, (rows, days)), 24, axis=1)[:, first : first + hours]


def _centred(rng: np.random.Generator, sigma: float, shape: tuple[int, ...]) -> Floats:
    # So that the mean of its exponential is 1.
    return sigma * rng.standard_normal(shape) - sigma**2 / 2


def _drift(rng: np.random.Generator, character: Character, shape: tuple[int, ...]) -> Floats:
    keep = math.exp(-1 / character.drift_hours)
    shocks = rng.standard_normal(shape)
    shocks[..., 1:] *= math.sqrt(1 - keep**2)
    for hour in range(1, shape[-1]):
        shocks[..., hour] += keep * shocks[..., hour - 1]
    return shocks


def _by_minute(hourly: Floats, minutes: int) -> Floats:
    at = np.arange(minutes) / HOUR
    before = at.astype(np.int64)
    part = at - before
    result: Floats = hourly[..., before] * (1 - part) + hourly[..., before + 1] * part
    return result

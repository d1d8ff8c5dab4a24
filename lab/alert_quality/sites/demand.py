"""How many calls are expected to start: without chance, and as they come in a run."""

import math
from functools import cache

import msgspec
import numpy as np
import numpy.typing as npt

from bandwidth_voice_exporter.voice.causes import CAUSES, HANGUP
from lab.alert_quality.sites.calendar import MINUTES, Calendar, Clock, clock
from lab.alert_quality.sites.hours import Hours
from lab.alert_quality.sites.site import PRODUCTION, Line, Site
from lab.alert_quality.traffic import BASE_SHARE, DAY, HOUR, LEAD, WEEK, Floats

Bools = npt.NDArray[np.bool_]

LEVELS = (1, 10, 60, 600)  # calls a minute, the mean over open hours
_OPEN = 0.15  # of a busy minute's calls
_BUSY = 0.9  # of the minutes with calls, so many are less busy
_ALL = slice(None)
_MINUTE = np.arange(-LEAD, MINUTES)
_LEAST_HANGUPS = 0.1
_CAMPAIGN = (60, 300)  # minutes
_NO_CAMPAIGN = 0.15  # of weekdays


class Demand(msgspec.Struct, frozen=True):
    """Expected starts a minute, from ``LEAD`` before the first on; without chance.

    Lines that are busy at the same times share one of the ``shapes``, ``scale`` and their weight
    times which they expect.
    """

    site: Site
    level: int
    clock: Clock
    shapes: tuple[Floats, ...]
    of_line: tuple[int, ...]
    scale: float

    def line(self, place: int) -> Floats:
        """What one line expects."""
        return self.scale * self.site.lines[place].weight * self.shapes[self.of_line[place]]

    def of(self, direction: str, application: str | None = None, during: slice = _ALL) -> Floats:
        """What production expects in a direction."""
        weights: dict[int, float] = {}
        for shape, line in zip(self.of_line, self.site.lines, strict=True):
            if (
                line.environment == PRODUCTION
                and direction in {"both", line.direction}
                and application in {None, line.application}
            ):
                weights[shape] = weights.get(shape, 0.0) + line.weight
        parts = [weight * self.shapes[shape][during] for shape, weight in weights.items()]
        total: Floats = self.scale * np.sum(parts, axis=0)
        return total

    def opened(self, direction: str) -> Bools:
        """The minutes in which a direction is open: where its calls are not a trickle."""
        rate = self.of(direction)
        some = rate[rate > 0]
        if self.site.never_closes or not some.size:
            return np.asarray(rate > 0)
        return np.asarray(rate >= _OPEN * np.quantile(some, _BUSY))


def demand(site: Site, level: int, seed: int) -> Demand:
    """What is expected at a level: the mean rate of all production lines over open minutes."""
    days = site.calendar(seed)
    rng = site.chance(seed, level, 11)
    kinds: dict[tuple[object, ...], int] = {}
    shapes: list[Floats] = []
    of_line = []
    for line in site.lines:
        # Each campaign has its own times; of all else the hours say them.
        kind = (line.hours, line.begins, line.application if line.by_hand else None)
        of_line.append(kinds.setdefault(kind, len(shapes)))
        if of_line[-1] == len(shapes):
            shape = _switched(rng, days, line) if line.by_hand else _shape(line.hours, days)
            if line.begins:
                shape = np.where(line.begins <= _MINUTE, shape, 0.0)
            shapes.append(shape * (1 + site.growth) ** (_MINUTE / WEEK))
    raw = Demand(site, level, clock(days), tuple(shapes), tuple(of_line), 1.0)
    mean = float(raw.of("both")[raw.opened("both")].mean())
    return msgspec.structs.replace(raw, scale=level / mean)


@cache
def _shape(hours: Hours, days: Calendar) -> Floats:
    return hours.shape(clock(days))


def shares(site: Site, level: int, seed: int) -> Floats:
    """The shares of causes by line, cause and hour: they differ, drift, and have their time."""
    character = site.character
    rng = site.chance(seed, level, 12)
    hours = (LEAD + MINUTES) // HOUR + 2
    lines = len(site.lines)
    directions = ("inbound", "outbound")
    of_direction = _drift(rng, character.drift_hours, (2, len(CAUSES), hours))
    log_share = (
        character.standing_share * rng.standard_normal((lines, len(CAUSES), 1))
        + character.drifting_share
        * of_direction[[directions.index(line.direction) for line in site.lines]]
        + character.own_drifting_share
        * _drift(rng, character.drift_hours, (lines, len(CAUSES), hours))
    )
    phase = 2 * np.pi * np.arange(len(CAUSES)) / len(CAUSES)
    day = 2 * np.pi * (np.arange(hours) - LEAD / HOUR) / 24
    log_share = log_share + character.daily_share * np.cos(day - phase[:, None])
    base = [[BASE_SHARE[line.direction].get(one, 0.0) for one in CAUSES] for line in site.lines]
    share = np.array(base)[:, :, None] * np.exp(log_share)
    hangup = CAUSES.index(HANGUP)
    share[:, hangup] = 0.0
    share *= np.minimum(1.0, (1 - _LEAST_HANGUPS) / share.sum(axis=1, keepdims=True))
    share[:, hangup] = 1.0 - share.sum(axis=1)
    return share


def volume(site: Site, level: int, seed: int) -> Floats:
    """What chance makes of the expected volume, by line and hour; its mean is 1."""
    character = site.character
    rng = site.chance(seed, level, 13)
    hours = (LEAD + MINUTES) // HOUR + 2
    lines = len(site.lines)
    days = math.ceil(hours / 24) + 1
    logs = _centred(rng, character.hour_volume, (lines, hours))
    for rows, sigma in ((1, character.day_volume), (lines, character.application_volume)):
        of_day = np.repeat(_centred(rng, sigma, (rows, days)), 24, axis=1)
        logs = logs + of_day[:, 24 - LEAD // HOUR :][:, :hours]
    return np.exp(logs)


def by_minute(hourly: Floats) -> Floats:
    """Between the hours linear, for all minutes of a run."""
    at = np.arange(LEAD + MINUTES) / HOUR
    before = at.astype(np.int64)
    part = at - before
    result: Floats = hourly[..., before] * (1 - part) + hourly[..., before + 1] * part
    return result


def _switched(rng: np.random.Generator, days: Calendar, line: Line) -> Floats:
    """Campaigns that somebody starts and ends, within the line's hours, as it happens."""
    hours = clock(days)
    shape = np.zeros(hours.minute.size)
    allowed = line.hours.shape(hours) > 0
    for day in range(int(hours.day[0]), int(hours.day[-1]) + 1):
        for _ in range(int(rng.integers(1, 3))):
            begin, length = int(rng.integers(DAY)), int(rng.integers(*_CAMPAIGN))
            strength = float(rng.uniform(0.5, 1.5))
            if rng.random() < _NO_CAMPAIGN:
                continue
            # Within the hours of the line wherever it fell.
            today = np.flatnonzero((hours.day == day) & allowed)
            if today.size:
                first = begin % today.size
                shape[today[first : first + length]] = strength
    return shape


def _centred(rng: np.random.Generator, sigma: float, shape: tuple[int, ...]) -> Floats:
    return sigma * rng.standard_normal(shape) - sigma**2 / 2


def _drift(rng: np.random.Generator, lasting: float, shape: tuple[int, ...]) -> Floats:
    keep = math.exp(-1 / lasting)
    shocks = rng.standard_normal(shape)
    shocks[..., 1:] *= math.sqrt(1 - keep**2)
    for hour in range(1, shape[-1]):
        shocks[..., hour] += keep * shocks[..., hour - 1]
    return shocks

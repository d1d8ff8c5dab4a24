"""Functions of instant vectors and of time."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lab.alert_quality.promql.vector import Floats, Labels, Scalar, Vector, labelled

_DAY = 86_400.0
_EPOCH_WEEKDAY = 4  # 1 January 1970 was a Thursday


def _clamped(values: Floats, low: Scalar, high: Scalar) -> Floats:
    return np.maximum(low, np.minimum(high, values))


def _rounded(values: Floats, to: Scalar = 1.0) -> Floats:
    result: Floats = np.floor(values / to + 0.5) * to
    return result


OF_VALUES: dict[str, Callable[..., Floats]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "sgn": np.sign,
    "round": _rounded,
    "clamp": _clamped,
    "clamp_min": lambda values, low: np.maximum(low, values),
    "clamp_max": lambda values, high: np.minimum(high, values),
}
OF_TIME: dict[str, Callable[[Floats], Floats]] = {
    "minute": lambda at: np.floor(at / 60) % 60,
    "hour": lambda at: np.floor(at / 3600) % 24,
    "day_of_week": lambda at: (np.floor(at / _DAY) + _EPOCH_WEEKDAY) % 7,
    "day_of_month": lambda at: _days(at, "M") + 1,
    "day_of_year": lambda at: _days(at, "Y") + 1,
    "month": lambda at: _seconds(at).astype("datetime64[M]").astype(np.float64) % 12 + 1,
    "year": lambda at: _seconds(at).astype("datetime64[Y]").astype(np.float64) + 1970,
}


def of_values(name: str, vector: Vector, more: Sequence[Scalar]) -> Vector:
    """Apply a function to every value."""
    with np.errstate(all="ignore"):
        return vector.replaced(OF_VALUES[name](vector.values, *more))


def relabelled(vector: Vector, target: str, to: str, source: str, pattern: str) -> Vector:
    """What `label_replace` does."""
    template = re.sub(r"\$(\d+|\w+)", r"\\g<\1>", to)
    labels: list[Labels] = []
    for one in vector.labels:
        found = re.fullmatch(pattern, dict(one).get(source, ""))
        labels.append(labelled({**dict(one), target: found.expand(template)}) if found else one)
    return vector.relabelled(labels)


def scalar(vector: Vector) -> Floats:
    """The value of the only series there is; not a number where there is none, or more."""
    total = np.where(vector.present, vector.values, 0.0).sum(axis=0)
    return np.where(vector.present.sum(axis=0) == 1, total, np.nan)


def absent(vector: Vector, equal: Sequence[tuple[str, str]]) -> Vector:
    """One where there is nothing, under the labels that the selector asks for."""
    moments = vector.values.shape[1]
    missing = np.logical_not(vector.present.any(axis=0, keepdims=True))
    return Vector((labelled(dict(equal)),), np.ones((1, moments)), missing)


def _seconds(at: Floats) -> npt.NDArray[np.datetime64]:
    return np.floor(at).astype(np.int64).astype("datetime64[s]")


def _days(at: Floats, since: str) -> Floats:
    days = _seconds(at).astype("datetime64[D]")
    first = days.astype(f"datetime64[{since}]").astype("datetime64[D]")
    result: Floats = (days - first).astype(np.float64)
    return result

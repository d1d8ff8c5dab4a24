"""An instant vector at every moment of a grid: series with values, present or not."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Labels = tuple[tuple[str, str], ...]  # sorted, without the metric's name
Scalar = float | Floats  # one for all moments, or one for each


class Vector(msgspec.Struct, frozen=True):
    """``values`` and ``present`` by series and moment; no two series have the same labels."""

    labels: Sequence[Labels]
    values: Floats
    present: Bools

    @classmethod
    def empty(cls, moments: int) -> "Vector":
        """No series at all."""
        return cls((), np.zeros((0, moments)), np.zeros((0, moments), np.bool_))

    def replaced(self, values: Floats) -> "Vector":
        """The same series with other values."""
        return Vector(self.labels, values, self.present)

    def where(self, kept: Bools) -> "Vector":
        """The same series, present only at the moments kept."""
        return Vector(self.labels, self.values, self.present & kept)

    def relabelled(self, labels: Sequence[Labels]) -> "Vector":
        """The same series under other labels, those that become the same made one."""
        return united([Vector(labels, self.values, self.present)], self.values.shape[1])


def labelled(labels: Mapping[str, str]) -> Labels:
    """The labels of a mapping, in their order."""
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def united(vectors: Iterable[Vector], moments: int) -> Vector:
    """All series of several vectors, those with the same labels made one.

    Raises ValueError where two of them are present at once.
    """
    place: dict[Labels, int] = {}
    values: list[Floats] = []
    present: list[Bools] = []
    for vector in vectors:
        for labels, value, there in zip(vector.labels, vector.values, vector.present, strict=True):
            at = place.setdefault(labels, len(values))
            if at == len(values):
                values.append(value)
                present.append(there)
                continue
            if (present[at] & there).any():
                raise ValueError(f"two series at a time have the labels {dict(labels)}")
            values[at] = np.where(there, value, values[at])
            present[at] = present[at] | there
    if not values:
        return Vector.empty(moments)
    return Vector(tuple(place), np.stack(values), np.stack(present))

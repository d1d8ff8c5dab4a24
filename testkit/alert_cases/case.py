"""A case: series under which an alert fires and ends, and those one step away that do not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from testkit.alert_cases import model, shipped
from testkit.alert_cases.model import Values


@dataclass(frozen=True)
class Scene:
    """Series that Prometheus is given, and at which steps the alert's condition should hold."""

    series: Mapping[str, Values]
    holds: Sequence[bool]
    labels: Mapping[str, str]  # of the alert, beside those that the rule sets
    says: Sequence[str] = ()  # what its description must contain when it begins to fire
    minutes: int = 1  # a step

    def firing(self, alert: str) -> list[bool]:
        """Return at which steps the alert should fire."""
        rule = shipped.alerts()[alert]
        return model.firing(
            self.holds, rule.hold_minutes / self.minutes, rule.keep_minutes / self.minutes
        )


@dataclass(frozen=True)
class Case:
    """An alert that fires at a number (of calls, of minutes), and not at the number beside it."""

    alert: str
    name: str
    scene: Callable[[int], Scene]
    least: int  # at which it fires
    beside: int = field(default=-1)  # from there to the number at which it does not

    @property
    def fires(self) -> Scene:
        """The scene in which it fires, and ends."""
        return self.scene(self.least)

    @property
    def spared(self) -> Scene:
        """The scene in which it does not."""
        return self.scene(self.least + self.beside)


def from_least(
    alert: str, name: str, scene: Callable[[int], Scene], *, low: int = 0, high: int = 10_000
) -> Case:
    """Return a case at the least number at which the alert should fire, found by trying."""

    def fires(number: int) -> bool:
        return any(scene(number).firing(alert))

    return Case(alert, name, scene, model.least(fires, low, high))


def from_most(
    alert: str, name: str, scene: Callable[[int], Scene], *, low: int = 0, high: int = 10_000
) -> Case:
    """Return a case at the greatest number at which the alert should fire, found by trying."""

    def spares(number: int) -> bool:
        return not any(scene(number).firing(alert))

    return Case(alert, name, scene, model.least(spares, low, high) - 1, beside=1)

"""Alertmanager's messages, told as they come: a page in full, a ticket in a line."""

from collections.abc import Iterator, Sequence

from testkit.notifications import Notification, Told

_PAGE = "-page"


def is_page(notification: Notification) -> bool:
    """Whether somebody is woken by it."""
    return notification.receiver.endswith(_PAGE)


def lines(notification: Notification) -> Iterator[str]:
    """Yield what a person reads of it."""
    firing = [one for one in notification.alerts if one.status == "firing"]
    if not firing:
        yield f"{notification.receiver}: RESOLVED {_names(notification.alerts)}"
        return
    if not is_page(notification):
        yield f"{notification.receiver}: {_names(firing)}"
        return
    worst = firing[0]
    yield f"{notification.receiver}: FIRING {_names(firing)}"
    yield f"  {worst.annotations.get('summary', '')}"
    yield f"  {worst.annotations['description']}"
    for name, text in worst.annotations.items():
        if name.endswith("_url"):
            yield f"  {name.removesuffix('_url')}: {text}"


def _names(alerts: Sequence[Told]) -> str:
    """Return the alerts' names, each once, with what they are about."""
    about = (
        ", ".join(
            one.labels[name]
            for name in ("severity", "fault_domain", "direction", "application", "cause")
            if name in one.labels
        )
        for one in alerts
    )
    named = [f"{one.name} ({text})" for one, text in zip(alerts, about, strict=True)]
    return "; ".join(dict.fromkeys(named))

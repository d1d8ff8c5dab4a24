"""The handlers that requests are passed on to, for the status page."""

from collections.abc import Iterator, Sequence

import msgspec

from bandwidth_voice_exporter.metrics import Instruments, catalog


class HandlerState(msgspec.Struct, frozen=True):
    """A path's handler and its requests since the start; ``failed`` ones had no answer.

    ``errors`` are answers of 500 and above; ``reasons`` say why there was no answer.
    """

    route: str
    is_up: bool
    answered: int
    errors: int
    failed: int
    reasons: Sequence[str]
    in_flight: int


def handlers_of(instruments: Instruments) -> list[HandlerState]:
    """Return the handlers in the order of their paths."""
    answers = instruments.values(catalog.FORWARD_REQUESTS).items()
    failures = instruments.values(catalog.FORWARD_FAILURES).items()
    waiting = instruments.values(catalog.FORWARD_IN_FLIGHT)
    return [
        HandlerState(
            route=route,
            is_up=is_up == 1,
            answered=int(sum(count for (of, _), count in answers if of == route)),
            errors=int(
                sum(count for (of, code), count in answers if of == route and code[0] == "5")
            ),
            failed=int(sum(count for (of, _), count in failures if of == route)),
            reasons=[reason for (of, reason), count in failures if of == route and count],
            in_flight=int(waiting[(route,)]),
        )
        for (route,), is_up in sorted(instruments.values(catalog.FORWARD_UP).items())
    ]


def warnings(handlers: Sequence[HandlerState]) -> Iterator[str]:
    """Yield conditions that somebody must act on."""
    for handler in handlers:
        if not handler.is_up:
            yield (
                f"The handler of {handler.route} gave no answer when it was last tried. Calls are "
                f"counted all the same, but those that wait for BXML may end. The log says why."
            )

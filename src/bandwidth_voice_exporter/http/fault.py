"""Why a request is not read on."""

from http import HTTPStatus
from typing import NamedTuple

from bandwidth_voice_exporter.metrics import RejectionReason


class Fault(NamedTuple):
    """Why a request is not read on: its answer, if it gets one, and the reason it counts under."""

    status: HTTPStatus | None
    reason: RejectionReason
    may_be_event: bool = False  # that is lost: somebody should know


MALFORMED = Fault(HTTPStatus.BAD_REQUEST, "http")
BENT = Fault(HTTPStatus.BAD_REQUEST, "http", may_be_event=True)
LATE_HEAD = Fault(HTTPStatus.REQUEST_TIMEOUT, "timeout")
LATE = Fault(None, "timeout")
BROKEN_OFF = Fault(None, "aborted")
LONG_HEAD = Fault(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers")
LONG_REQUEST = Fault(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")


class FaultError(Exception):
    """A request that is not read on."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault

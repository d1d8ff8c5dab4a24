"""Why a request gives no event."""

from http import HTTPStatus

from bandwidth_voice_exporter.metrics import RejectionReason

Header = tuple[bytes, bytes]


class RefusedError(Exception):
    """A request that no event is taken from: its answer, and the reason to count it under."""

    def __init__(
        self,
        status: HTTPStatus,
        reason: RejectionReason,
        message: str,
        headers: tuple[Header, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.headers = headers


class AbortedError(Exception):
    """The client went away before the request was whole."""

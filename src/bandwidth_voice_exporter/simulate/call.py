"""A call, or the second leg of a transfer, that has ended."""

import msgspec


class Transfer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The fields that only the second leg of a transfer has."""

    parent_call_id: str
    caller_id: str
    to: str


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One ended call: ``end`` in simulated seconds, its lengths in whole milliseconds."""

    event_type: str
    call_id: str
    account_id: str
    application: str | None
    direction: str
    cause: str
    caller: str
    callee: str
    end: float
    ring_ms: int
    talk_ms: int | None = None  # None: never answered
    queue_ms: int | None = None  # None: was not queued
    error_id: str | None = None
    error_message: str | None = None
    tag: str | None = None
    sip_call_id: str | None = None
    sip_response_code: int | None = None
    transfer: Transfer | None = None
    # Bandwidth writes an optional field without a value either way.
    nulls: bool = False

    @property
    def answered(self) -> bool:
        """Whether the call was ever answered."""
        return self.talk_ms is not None

    @property
    def start(self) -> float:
        """When the call started, in simulated seconds."""
        return self.end - (self.ring_ms + (self.talk_ms or 0)) / 1000

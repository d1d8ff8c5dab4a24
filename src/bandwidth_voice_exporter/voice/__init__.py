"""Bandwidth's words: its webhooks, read leniently, and nothing personal."""

from bandwidth_voice_exporter.voice import labels
from bandwidth_voice_exporter.voice.call import (
    DIRECTIONS,
    CallEnded,
    Event,
    read_event,
)
from bandwidth_voice_exporter.voice.causes import (
    CAUSES,
    DOMAIN_OF_CAUSE,
    FAULT_DOMAINS,
    HANGUP,
    UNCLASSIFIED,
    fault_domain,
)
from bandwidth_voice_exporter.voice.clock import SECOND, Clock, now
from bandwidth_voice_exporter.voice.event_types import (
    COUNTED_TYPES,
    DISCONNECT,
    IGNORED_TYPES,
    TRANSFER_DISCONNECT,
    WANTS_BXML,
    may_want_bxml,
)
from bandwidth_voice_exporter.voice.field_errors import FIELD_REASONS, FieldErrors
from bandwidth_voice_exporter.voice.payload import MalformedError, Payload, from_json, from_query
from bandwidth_voice_exporter.voice.pseudonym import Pseudonyms, is_pseudonym

__all__ = [
    "CAUSES",
    "COUNTED_TYPES",
    "DIRECTIONS",
    "DISCONNECT",
    "DOMAIN_OF_CAUSE",
    "FAULT_DOMAINS",
    "FIELD_REASONS",
    "HANGUP",
    "IGNORED_TYPES",
    "SECOND",
    "TRANSFER_DISCONNECT",
    "UNCLASSIFIED",
    "WANTS_BXML",
    "CallEnded",
    "Clock",
    "Event",
    "FieldErrors",
    "MalformedError",
    "Payload",
    "Pseudonyms",
    "fault_domain",
    "from_json",
    "from_query",
    "is_pseudonym",
    "labels",
    "may_want_bxml",
    "now",
    "read_event",
]

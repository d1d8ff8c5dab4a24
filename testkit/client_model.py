"""Prometheus's exposition messages, read by Google's own parser into structs.

The fields are those of https://github.com/prometheus/client_model, metrics.proto.
"""

import io
from collections.abc import Iterator

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, proto
from google.protobuf.message import Message

_PACKAGE = "io.prometheus.client"
# By message: each field's number, name and type; a message's type has a capital, * repeats.
_FIELDS = {
    "LabelPair": "1 name string, 2 value string",
    "Timestamp": "1 seconds int64, 2 nanos int32",
    "Exemplar": "1 label LabelPair*, 2 value double, 3 timestamp Timestamp",
    "Gauge": "1 value double",
    "Counter": "1 value double, 2 exemplar Exemplar, 3 created_timestamp Timestamp",
    "Bucket": "1 cumulative_count uint64, 2 upper_bound double, 3 exemplar Exemplar",
    "BucketSpan": "1 offset sint32, 2 length uint32",
    "Histogram": "1 sample_count uint64, 2 sample_sum double, 3 bucket Bucket*, 5 schema sint32, "
    "6 zero_threshold double, 7 zero_count uint64, 12 positive_span BucketSpan*, "
    "13 positive_delta sint64*, 15 created_timestamp Timestamp, 16 exemplars Exemplar*",
    "Metric": "1 label LabelPair*, 2 gauge Gauge, 3 counter Counter, 7 histogram Histogram",
    "MetricFamily": "1 name string, 2 help string, 3 type int32, 4 metric Metric*, 5 unit string",
}


class Timestamp(msgspec.Struct):
    """A time since 1970."""

    seconds: int = 0
    nanos: int = 0


class LabelPair(msgspec.Struct):
    """A label."""

    name: str = ""
    value: str = ""


class Exemplar(msgspec.Struct):
    """A call that stands for a value."""

    label: list[LabelPair] = []
    value: float = 0
    timestamp: Timestamp | None = None


class Value(msgspec.Struct):
    """A counter's or gauge's value."""

    value: float = 0
    exemplar: Exemplar | None = None


class Bucket(msgspec.Struct):
    """A bucket of a classic histogram."""

    cumulative_count: int = 0
    upper_bound: float = 0
    exemplar: Exemplar | None = None


class Span(msgspec.Struct):
    """A run of a native histogram's buckets, and the gap before it."""

    offset: int = 0
    length: int = 0


class Histogram(msgspec.Struct):
    """A histogram; a native one has spans."""

    sample_count: int = 0
    sample_sum: float = 0
    bucket: list[Bucket] = []
    schema: int = 0
    zero_threshold: float = 0
    zero_count: int = 0
    positive_span: list[Span] = []
    positive_delta: list[int] = []
    created_timestamp: Timestamp | None = None
    exemplars: list[Exemplar] = []

    def buckets(self) -> dict[int, int]:
        """Return a native histogram's counts by bucket."""
        counts: dict[int, int] = {}
        deltas = iter(self.positive_delta)
        bucket = count = 0
        for span in self.positive_span:
            bucket += span.offset
            for _ in range(span.length):
                count += next(deltas)
                counts[bucket] = count
                bucket += 1
        assert list(deltas) == []
        return counts


class Metric(msgspec.Struct):
    """One series."""

    label: list[LabelPair] = []
    gauge: Value | None = None
    counter: Value | None = None
    histogram: Histogram | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Its labels by name."""
        return {pair.name: pair.value for pair in self.label}


class MetricFamily(msgspec.Struct):
    """All series of one name; type 0 is a counter, 1 a gauge, 4 a histogram."""

    name: str = ""
    help: str = ""
    type: int = 0
    metric: list[Metric] = []


def parsed(body: bytes) -> dict[str, MetricFamily]:
    """Return an exposition's families by name. A field that the schema does not have fails."""
    stream = io.BytesIO(body)
    families = list(_families(stream))
    assert len({family.name for family in families}) == len(families)
    return {family.name: family for family in families}


def _families(stream: io.BytesIO) -> Iterator[MetricFamily]:
    while message := proto.parse_length_prefixed(_MESSAGE, stream):
        size = message.ByteSize()
        message.DiscardUnknownFields()
        assert message.ByteSize() == size
        fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
        yield msgspec.convert(fields, MetricFamily, strict=False)


def _message() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package=_PACKAGE)
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field in fields.split(", "):
            number, field_name, kind = field.split()
            added = message.field.add(name=field_name, number=int(number))
            added.label = added.LABEL_REPEATED if kind.endswith("*") else added.LABEL_OPTIONAL
            kind = kind.removesuffix("*")
            if kind in _FIELDS:
                added.type, added.type_name = added.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                added.type = getattr(added, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.MetricFamily"))


_MESSAGE = _message()

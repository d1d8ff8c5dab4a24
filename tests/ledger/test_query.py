"""The query string of the failures page is read as a query, or refused."""

from datetime import UTC, datetime

import pytest

from bandwidth_voice_exporter.ledger import query
from bandwidth_voice_exporter.ledger.query import MOST, OLDEST, Place, Query, QueryError
from bandwidth_voice_exporter.voice.clock import SECOND

SUPPORT = "04e88489-df02-4e34-a0ee-27a91849555f"
NAMES = {SUPPORT: "support"}
NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * SECOND
NOW = NOON + 3600 * SECOND


def parse(*given: tuple[str, str]) -> Query:
    """The query of these parameters, an hour after noon."""
    return query.parse(given, NAMES, NOW)


def test_nothing_asks_for_everything() -> None:
    """Without parameters, and with empty ones as a form sends them, nothing is limited."""
    assert parse() == Query()
    assert parse(("cause", ""), ("q", "  "), ("from", ""), ("to", "")) == Query()


def test_several_values_of_a_filter_are_alternatives() -> None:
    """A filter that is given twice matches either value, and filters together match both."""
    query = parse(("cause", "busy"), ("cause", "timeout"), ("direction", "inbound"))
    assert query.wants_kind("busy", SUPPORT, "inbound")
    assert query.wants_kind("timeout", SUPPORT, "inbound")
    assert not query.wants_kind("cancel", SUPPORT, "inbound")
    assert not query.wants_kind("busy", SUPPORT, "outbound")


@pytest.mark.parametrize("text", ["support", SUPPORT, SUPPORT.upper()])
def test_an_application_goes_by_name_or_id(text: str) -> None:
    """A configured name and the id in any case are the same application."""
    assert parse(("application", text)).applications == (SUPPORT,)


def test_a_fault_domain_is_its_causes() -> None:
    """A fault domain matches the causes that it follows from, unclassified all unknown ones."""
    account = parse(("fault_domain", "account"))
    assert account.known_causes == ("account-limit",)
    unclassified = parse(("fault_domain", "unclassified"))
    assert unclassified.known_causes is None
    assert unclassified.wants_kind("brand-new", SUPPORT, "inbound")
    assert not unclassified.wants_kind("busy", SUPPORT, "inbound")


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T12:00", "2026-03-01T12:00:00Z", "2026-03-01T13:00+01:00", "1772366400000", "1h"],
)
def test_a_time_is_iso_or_milliseconds_or_so_long_ago(text: str) -> None:
    """Noon is understood as a form, Grafana, and a person would write it."""
    assert parse(("from", text)).since == NOON
    assert parse(("to", text)).until == NOON


def test_both_ends_of_a_time_are_in_it() -> None:
    """A call received exactly at from or at to is within the bounds."""
    low, high = parse(("from", "2026-03-01T12:00"), ("to", "2026-03-01T12:00")).bounds
    assert low < Place(NOON, 1) < high
    assert not low < Place(NOON - 1, 1)
    assert not Place(NOON + 1, 1) < high


def test_a_place_comes_back_from_its_text() -> None:
    """A place that is written into a link is read from it as the same place."""
    place = Place(NOON, 17)
    assert parse(("older", str(place))).older == place
    assert parse(("newer", str(OLDEST))).newer == OLDEST


def test_one_box_searches_all_ids() -> None:
    """The parameter q looks for its text in every id column, the others in their own."""
    assert parse(("q", " x ")).ids == dict.fromkeys(query.ID_COLUMNS, "x")
    assert parse(("error_id", "x"), ("call_id", "y")).ids == {"error_id": "x", "call_id": "y"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("error_id", "other"), ("error_id", "none"), ("cause", "other"), ("application", "other")],
)
def test_what_stands_for_many_does_not_limit(name: str, value: str) -> None:
    """A metric's word for many values limits nothing, and the answer says so."""
    query = parse((name, value), ("direction", "inbound"))
    assert query.ids == {}
    assert (query.causes, query.applications, query.directions) == ((), (), ("inbound",))
    assert [note for note in query.notes if value in note]


def test_the_normal_end_is_no_failure() -> None:
    """A query for calls that ended normally gets a note that the list has none of them."""
    assert parse(("cause", "hangup")).notes
    assert parse(("fault_domain", "none")).notes


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([("fault_domian", "user")], "fault_domain"),
        ([("fault_domain", "users")], "fault_domain: not one of"),
        ([("from", "yesterday")], "from: not a time"),
        ([("from", "99999999999999999999")], "from: not a time"),
        ([("from", "9" * 14)], None),
        ([("to", "2026-13-01T00:00")], "to: not a time"),
        ([("to", "99999d")], "to: not a time"),
        ([("older", "1")], "older: not a place"),
        ([("older", "-1-1")], "older: not a place"),
        ([("older", "1-1"), ("newer", "0-0")], "older: not together with newer"),
        ([("q", "x"), ("call_id", "x")], "q: not together with call_id"),
        ([("call_id", "x"), ("call_id", "y")], "call_id: given twice"),
        ([("limit", "0")], "limit"),
        ([("limit", str(MOST + 1))], "limit"),
        ([("limit", "٣")], "limit"),
        ([("cause", "x" * 257)], "cause: longer"),
        ([("cause", "x")] * 101, "more than 100"),
    ],
)
def test_nonsense_is_named(given: list[tuple[str, str]], said: str | None) -> None:
    """A query that makes no sense is refused, and the error names the parameter."""
    if said is None:
        parse(*given)
        return
    with pytest.raises(QueryError, match=said):
        parse(*given)

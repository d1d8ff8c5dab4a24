"""Asking for the list: its pages, its faults, and to whom the token goes."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bandwidth_voice_exporter.reconcile import client as asking
from bandwidth_voice_exporter.reconcile.ask_error import AskError
from bandwidth_voice_exporter.reconcile.client import Account, CallsClient, connected
from bandwidth_voice_exporter.voice import SECOND, now
from testkit import call_list
from testkit.call_list import ACCOUNT, API, SECRET, TOKEN, CallList
from testkit.calls import ended_call, iso
from testkit.certificates import Authority

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPAN = (round(BEGIN.timestamp() * SECOND), round((BEGIN + timedelta(days=2)).timestamp() * SECOND))


@pytest.fixture(autouse=True)
def _haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_FIRST_PAUSE", 0.001)


def place(listed: CallList, directory: Path, **fields: Any) -> Account:
    """Whom to ask."""
    flag = call_list.credentials(directory, fields.pop("secret", SECRET))
    chosen: dict[str, Any] = {
        "account": ACCOUNT,
        "api": f"{listed.handler.url}{API}",
        "token": f"{listed.handler.url}{TOKEN}",
        "credentials": Path(flag.partition("=")[2]),
    }
    return Account(**(chosen | fields))


def three_days_later() -> int:
    """The time of most lists, in microseconds."""
    return round((BEGIN + timedelta(days=3)).timestamp() * SECOND)


def ask(
    whom: Account,
    what: Callable[[CallsClient], Coroutine[Any, Any, Any]],
    clock: Callable[[], int] = three_days_later,
) -> Any:
    """Ask something."""

    async def asked() -> Any:
        async with connected(whom, "test", clock) as client:
            return await what(client)

    return asyncio.run(asked())


async def ids(client: CallsClient) -> list[str]:
    """The ids of all calls of two days."""
    return [str(entry.call_id) async for page in client.pages(*SPAN) for entry in page]


def listing(number: int, *faults: str, **fields: Any) -> CallList:
    """A list of some calls, older than nothing, that may fail."""
    listed = CallList(clock=lambda: BEGIN + timedelta(days=3), faults=deque(faults), **fields)
    dice = random.Random(number)
    for _ in range(number):
        listed.add(ended_call(dice))
    return listed


def test_pages_are_followed(tmp_path: Path) -> None:
    """All calls come, oldest first, in pages of a thousand, with one token."""
    with listing(2500) as listed:
        found = ask(place(listed, tmp_path), ids)
        assert found == [one.call_id for one in sorted(listed.calls, key=lambda one: one.created)]
        assert len(listed.asked()) == 3
        assert all("pageSize=1000" in one.target for one in listed.asked())
        assert len(listed.handler.of(TOKEN)) == 1


@pytest.mark.parametrize("fault", ["429", "500", "503", "half", "reset"])
def test_what_passes_is_tried_again(tmp_path: Path, fault: str) -> None:
    """After too many questions, an error, half a page or a cut the page is asked for again."""
    with listing(10, fault, fault) as listed:
        assert len(ask(place(listed, tmp_path), ids)) == 10
        assert len(listed.asked()) == 3


def test_what_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that does not come in time is asked for again, and given up in the end."""

    async def asked(client: CallsClient) -> None:
        await client.arrive()
        monkeypatch.setattr(asking, "_REQUEST_SECONDS", 0.05)
        await ids(client)

    with listing(10, *["silent"] * 20) as listed:
        with pytest.raises(AskError) as error:
            ask(place(listed, tmp_path), asked)
        assert error.value.reason == "timeout"


def test_what_stays_is_given_up(tmp_path: Path) -> None:
    """An error that does not pass ends the question after some tries."""
    with listing(10, *["500"] * 20) as listed:
        with pytest.raises(AskError) as error:
            ask(place(listed, tmp_path), ids)
        assert error.value.reason == "server"
        assert len(listed.asked()) == 6


def test_a_wait_that_is_asked_for(tmp_path: Path) -> None:
    """Retry-After is waited for; one that is too long ends the question at once."""
    with listing(1, "429", retry_after="7200") as listed:
        with pytest.raises(AskError) as error:
            ask(place(listed, tmp_path), ids)
        assert error.value.reason == "rate_limited"
        assert len(listed.asked()) == 1


def test_a_token_that_is_withdrawn(tmp_path: Path) -> None:
    """A token that is not taken any more is renewed once, in the middle of the list."""

    async def asked(client: CallsClient) -> int:
        await client.arrive()
        listed.revoke()
        return len(await ids(client))

    with listing(10) as listed:
        assert ask(place(listed, tmp_path), asked) == 10
        assert len(listed.handler.of(TOKEN)) == 2


def test_a_token_that_is_never_taken(tmp_path: Path) -> None:
    """Where a new token is not taken either, that is said, and not asked for for ever."""
    with listing(10, "401", "401", "401") as listed:
        with pytest.raises(AskError) as error:
            ask(place(listed, tmp_path), ids)
        assert error.value.reason == "unauthorized"
        assert len(listed.asked()) == 2


def test_a_token_ends(tmp_path: Path) -> None:
    """A token is renewed before its time is over."""
    with listing(2500, lasts=60) as listed:
        monotonic = iter(range(0, 1000, 10))

        async def asked(client: CallsClient) -> int:
            client._monotonic = lambda: float(next(monotonic))  # noqa: SLF001  # no time to wait
            return len(await ids(client))

        assert ask(place(listed, tmp_path), asked) == 2500
        assert len(listed.handler.of(TOKEN)) == 3


@pytest.mark.parametrize(
    ("fields", "listed_fields", "reason"),
    [
        ({"secret": "wrong"}, {}, "token"),
        ({"account": "1"}, {}, "forbidden"),
        ({}, {"may_see": False}, "forbidden"),
        ({"api": "http://127.0.0.1:9/api"}, {}, "connect"),
        ({"token": "http://127.0.0.1:9/token"}, {}, "connect"),
        ({"credentials": Path("/nowhere")}, {}, "credentials"),
    ],
    ids=["secret", "account", "role", "api-url", "token-url", "file"],
)
def test_each_mistake_is_told_as_what_it_is(
    tmp_path: Path, fields: dict[str, Any], listed_fields: dict[str, Any], reason: str
) -> None:
    """Each mistake in the configuration gives its reason, and no message quotes the secret."""
    with listing(1, **listed_fields) as listed, pytest.raises(AskError) as error:
        ask(place(listed, tmp_path, **fields), ids)
    assert error.value.reason == reason
    assert "--reconcile." in str(error.value) or "credentials file" in str(error.value)
    assert SECRET not in str(error.value)


def test_a_token_url_that_is_wrong(tmp_path: Path) -> None:
    """A wrong path of the tokens is not told as a wrong secret."""
    with listing(1) as listed:
        wrong = f"{listed.handler.url}{API}/accounts/{ACCOUNT}/calls"
        with pytest.raises(AskError, match=r"--reconcile\.token-url"):
            ask(place(listed, tmp_path, token=wrong), ids)


@pytest.mark.parametrize("fault", ["elsewhere", "again", "password", "unreadable"])
def test_the_token_goes_nowhere_else(tmp_path: Path, fault: str) -> None:
    """A next page on another host, one that was asked for already, or none at all, is not asked."""
    with listing(1, *[fault] * 6) as listed, pytest.raises(AskError) as error:
        ask(place(listed, tmp_path), ids)
    assert error.value.reason == "malformed"


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """A redirect is an error, and is not followed."""
    with listing(1, *["302"] * 6) as listed, pytest.raises(AskError) as error:
        ask(place(listed, tmp_path), ids)
    assert error.value.reason == "malformed"


def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    """The secret is told to nobody whose certificate is not trusted."""
    with listing(1, tls=Authority().serving(tmp_path)) as listed:
        with pytest.raises(AskError) as error:
            ask(place(listed, tmp_path), ids)
        assert error.value.reason == "tls"
        assert not listed.handler.requests


def test_a_clock_that_differs(tmp_path: Path) -> None:
    """How far Bandwidth's clock is ahead is told by its answers."""

    async def asked(client: CallsClient) -> int:
        await client.arrive()
        return client.ahead

    clock = lambda: datetime.now(UTC) + timedelta(minutes=9)  # noqa: E731
    with CallList(clock=clock) as listed:
        ahead = ask(place(listed, tmp_path), asked, now)
    assert 8 * 60 * SECOND < ahead <= 9 * 60 * SECOND


@pytest.mark.parametrize("days", [-2, 2])
def test_a_clock_that_is_wrong(tmp_path: Path, days: int) -> None:
    """Where the clocks are days apart nothing is compared: it would be of another time."""
    with listing(1) as listed, pytest.raises(AskError) as error:
        ask(place(listed, tmp_path), ids, lambda: three_days_later() + days * 24 * 3600 * SECOND)
    assert error.value.reason == "clock"
    assert not listed.asked()


def test_one_call(tmp_path: Path) -> None:
    """One call is asked for by its id; after seven days there is none."""
    dice = random.Random(1)
    old, recent = ended_call(dice), ended_call(dice)
    recent["endTime"] = iso(BEGIN + timedelta(days=6))
    with CallList(clock=lambda: BEGIN + timedelta(days=10)) as listed:
        listed.add(old)
        listed.add(recent)

        async def asked(client: CallsClient) -> list[Any]:
            found = [await client.call(event["callId"]) for event in (old, recent)]
            return [entry and entry.call_id for entry in found]

        clock = lambda: three_days_later() + 7 * 24 * 3600 * SECOND  # noqa: E731
        assert ask(place(listed, tmp_path), asked, clock) == [None, recent["callId"]]

"""A comparison: windows of the list from a mark to now, each judged as a whole, then recorded."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from bandwidth_voice_exporter.ledger import Ledger, Reader, StoreError
from bandwidth_voice_exporter.metrics import Kind
from bandwidth_voice_exporter.reconcile.catch import Catch, decoded, key_of
from bandwidth_voice_exporter.reconcile.client import CallsClient
from bandwidth_voice_exporter.reconcile.judge import Judge, Step, Verdicts
from bandwidth_voice_exporter.reconcile.listing import ListEntry
from bandwidth_voice_exporter.reconcile.notes import Notes
from bandwidth_voice_exporter.voice import SECOND, CallEnded, Pseudonyms

LISTED = 7 * 24 * 3600 * SECOND  # for which a call is in the list
_CLOCKS = 600 * SECOND  # by which two clocks, or a delivery, may be off
_EDGE = SECOND  # asked for beyond both ends of a window, whichever of them the list takes for in it
_LONGEST_SPAN = 6 * 3600 * SECOND
_SHORTEST_SPAN = 60 * SECOND
_MOST_LISTED = 20_000  # calls of a window, which memory holds
_MOST_OPEN = 10_000
_ASKED_AGAIN = 1_000  # open calls in one comparison
_RECORDED_AT_ONCE = 100


class _TooManyError(Exception):
    """A window has more calls than memory is to hold."""


class SweepTerms(msgspec.Struct, frozen=True):
    """How late a call may appear (µs), how long rows are kept, and whether to record.

    ``without_id`` gives how many events without a call id there were in this process, and
    ``pruned_before`` when the newest of the rows that it took away were received.
    """

    settle: int
    kept: dict[Kind, int]
    records: bool
    without_id: Callable[[], int] = lambda: 0
    pruned_before: Callable[[], dict[Kind, int]] = dict


class Book(Protocol):
    """Writes down a step that is done."""

    async def __call__(self, notes: Notes, outcome: Verdicts) -> None:
        """Write it down. Raises StoreError."""
        ...


class Sweep:
    """Compares an account's calls with a ledger; records missed calls if the terms say so."""

    def __init__(  # noqa: PLR0913  # its parts, each by name
        self,
        *,
        client: CallsClient,
        reader: Reader,
        ledger: Ledger | None,
        pseudonyms: Pseudonyms,
        terms: SweepTerms,
        clock: Callable[[], int],
    ) -> None:
        self._client = client
        self._reader = self._kept = reader
        self._ledger = ledger
        self._pseudonyms = pseudonyms
        self._terms = terms
        self._clock = clock
        self._without_id = 0

    def _now(self) -> int:
        """Return the time on Bandwidth's clock."""
        return self._clock() + self._client.ahead

    async def run(self, notes: Notes, book: Book) -> None:
        """Go from the mark to now, as it is at first, in steps that are written down one by one.

        A step is as many windows as are not too many calls: the calls that webhooks reported at a
        time are known once all that ended then are listed. Raises AskError, ReadError and
        StoreError; the steps written down by then are done.
        """
        async with self._reader.kept() as self._kept:
            await self._steps(notes, book)

    async def _steps(self, notes: Notes, book: Book) -> None:
        self._doubt(notes)
        await self._go_back(notes, book)
        end = self._now() - self._terms.settle
        step = Step()
        await self._ask_again(notes, step)
        await self._go(notes, step, end, book)

    async def _go_back(self, notes: Notes, book: Book) -> None:
        """Compare again since the first call that was only reported, if it is to be recorded now.

        A verdict that was told of these calls is not told again.
        """
        if self._terms.records and notes.unrecorded is not None:
            notes.again = max(notes.again, notes.mark)
            notes.mark, notes.unrecorded = notes.unrecorded, None
        if notes.mark < notes.again:
            await self._go(notes, Step(is_again=True), notes.again, book)

    async def _go(self, notes: Notes, step: Step, end: int, book: Book) -> None:
        """Go from the mark to an end."""
        is_done = False
        while not is_done:
            is_done = await self._next_window(notes, step, end)
            if is_done or step.listed >= _MOST_LISTED:
                await self._judge(notes, step)
                notes.alive = self._clock()
                await book(notes, step.outcome)
                step = Step(is_again=step.is_again)

    async def _next_window(self, notes: Notes, step: Step, end: int) -> bool:
        """Take in the calls of a window from the mark on; say whether there was none left."""
        notes.mark = max(notes.mark, self._now() - LISTED)
        until = min(notes.mark + notes.span, end)
        if until <= notes.mark:
            return True
        try:
            catch = await self._caught(notes.mark, until)
        except _TooManyError:
            notes.span //= 2
            return False
        if len(catch.listed) < _MOST_LISTED // 2 and until == notes.mark + notes.span:
            notes.span = min(2 * notes.span, _LONGEST_SPAN)
        await asyncio.to_thread(step.take, catch, notes.coverage)
        if not step.is_again:
            notes.open = [*notes.open, *catch.open][-_MOST_OPEN:]
        notes.mark = until
        return False

    def _doubt(self, notes: Notes) -> None:
        """Take in what happened since the notes were written."""
        now = self._clock()
        without_id = self._terms.without_id()
        if without_id > self._without_id:  # any of them may be a call that seems to be missed
            notes.doubts.append((notes.alive - self._terms.settle - _CLOCKS, now))
        self._without_id = without_id
        for kind, before in self._terms.pruned_before().items():
            notes.pruned[kind] = max(before, notes.pruned.get(kind, 0))
        notes.doubts = [one for one in notes.doubts if one[1] > now - LISTED]
        notes.coverage.forget(now)

    async def _ask_again(self, notes: Notes, step: Step) -> None:
        """Ask for the calls that were open, one by one."""
        asked, rest = notes.open[:_ASKED_AGAIN], notes.open[_ASKED_AGAIN:]
        if not asked:
            return
        catch = self._catch((0, self._clock() + LISTED))
        entries = [entry for call_id in asked if (entry := await self._client.call(call_id))]
        await self._taken(catch, entries)
        await asyncio.to_thread(step.take, catch, notes.coverage)
        notes.open = [*rest, *catch.open]

    async def _caught(self, since: int, until: int) -> Catch:
        catch = self._catch((since, until))
        async for entries in self._client.pages(since - _EDGE, until + _EDGE):
            await self._taken(catch, entries)
            if len(catch.listed) > _MOST_LISTED and until - since > _SHORTEST_SPAN:
                raise _TooManyError
        return catch

    def _catch(self, span: tuple[int, int]) -> Catch:
        settled = self._now() - self._terms.settle
        return Catch(self._kept, self._pseudonyms, span, settled)

    async def _taken(self, catch: Catch, entries: Sequence[ListEntry]) -> None:
        await asyncio.to_thread(catch.take, entries, self._clock())

    async def _judge(self, notes: Notes, step: Step) -> None:
        """Give each missed call its verdict, and record the calls that are to be recorded."""
        if not step.missed:
            return
        since = notes.alive - self._terms.settle - _CLOCKS
        bounds = await asyncio.to_thread(self._kept.bounds, since)
        if bounds.is_nameless:
            notes.doubts.append((since, self._clock()))
        for kind, before in bounds.pruned.items():
            notes.pruned[kind] = max(before, notes.pruned.get(kind, 0))
        self._doubt(notes)  # after the look-ups: rows pruned before them are known
        kept_since: dict[Kind, int] = {
            kind: max(self._clock() - kept, notes.pruned.get(kind, 0)) + _CLOCKS
            for kind, kept in self._terms.kept.items()
        }
        doubts = [*notes.doubts, (0, bounds.doubted + _CLOCKS)] if bounds.doubted else notes.doubts
        ahead = self._client.ahead
        judge = await asyncio.to_thread(Judge, notes.coverage, kept_since, doubts, ahead)
        outcome = Verdicts() if step.is_again else step.outcome
        lost = await asyncio.to_thread(judge.lost, step.missed, outcome)
        for start in range(0, len(lost), _RECORDED_AT_ONCE):
            calls = [decoded(call) for call in lost[start : start + _RECORDED_AT_ONCE]]
            if self._terms.records:
                await self._record(calls, outcome)
            else:
                for call in calls:
                    outcome.add(key_of(call), "missed")
                notes.report(calls)
        if step.is_again:
            step.outcome = outcome.only("recorded")

    async def _record(self, calls: Sequence[CallEnded], outcome: Verdicts) -> None:
        """Record calls as a webhook's, received now; one that came meanwhile is there already."""
        if self._ledger is None or not self._ledger.is_up():
            raise StoreError("the ledger does not work")
        loop = asyncio.get_running_loop()
        received = self._clock()
        waiting = []
        for call in calls:
            recorded: asyncio.Future[bool] = loop.create_future()
            self._ledger.record(msgspec.structs.replace(call, received=received), recorded)
            waiting.append(recorded)
        for call, is_new in zip(calls, await asyncio.gather(*waiting), strict=True):
            outcome.add(key_of(call), "recorded" if is_new else "counted")

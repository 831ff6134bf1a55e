# SPDX-License-Identifier: MIT
"""
Ending claims: in batches, and through a moment's failure of the store.

Group commit: whoever ends a claim while another batch is being written joins the next
one, and the first of those writes it. No lock is held over a call: one that is
alone waits for nobody. Whoever asks gets the answer to its own end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import attrs

from ...errors import StorageUnavailableError
from ...models.jobs import EVENT_KIND


if TYPE_CHECKING:
    from ...interfaces import JobStore
    from ...models import Job, JobEnd, JobState


T = TypeVar("T")

#: Seconds between tries to write an end: if it can't be written, the whole try is
#: repeated once the lease has lapsed.
_WAITS_S = (0.05, 0.2, 0.5, 1.0)


@attrs.define(eq=False)
class _Ticket:
    """One end waiting to be written."""

    end: JobEnd
    written: bool = False
    state: JobState | None = None
    error: Exception | None = None


class _Lane:
    """The ends of one store."""

    def __init__(self) -> None:
        self._waiting: list[_Ticket] = []
        self._writing = False
        self._changed = threading.Condition()

    def complete(self, store: JobStore, end: JobEnd, now: datetime) -> JobState | None:
        """Write the end, together with others that wait; return the job's new state."""
        ticket = _Ticket(end=end)
        if batch := self._join(ticket):
            try:
                _write(store, batch, now)
            finally:
                self._hand_on(batch)
        if ticket.error is not None:
            raise ticket.error
        return ticket.state

    def _join(self, ticket: _Ticket) -> list[_Ticket]:
        """Wait until the ticket is written, or return the batch to write here."""
        with self._changed:
            self._waiting.append(ticket)
            while self._writing and not ticket.written:
                self._changed.wait()
            if ticket.written:
                return []
            batch, self._waiting = self._waiting, []
            self._writing = True
            return batch

    def _hand_on(self, batch: list[_Ticket]) -> None:
        with self._changed:
            for ticket in batch:
                ticket.written = True
            self._writing = False
            self._changed.notify_all()


def _write(store: JobStore, batch: list[_Ticket], now: datetime) -> None:
    # The result for all of them if this thread is ended during the call.
    for ticket in batch:
        ticket.error = StorageUnavailableError("the writing thread ended", unclear=True)
    try:
        states = store.complete_many([ticket.end for ticket in batch], now)
    except Exception as error:  # noqa: BLE001  each waiting thread raises it
        for ticket in batch:
            ticket.error = error
        return
    for ticket, state in zip(batch, states, strict=True):
        ticket.state, ticket.error = state, None


class Completer:
    """Writes the ends of claims; owned by the runner, shared by its threads."""

    def __init__(self) -> None:
        self._jobs, self._events = _Lane(), _Lane()

    def complete(
        self, store: JobStore, job: Job, end: JobEnd, now: datetime
    ) -> JobState | None:
        """See `JobStore.complete`."""
        lane = self._events if job.kind == EVENT_KIND else self._jobs
        return lane.complete(store, end, now)


def through_flicker(write: Callable[[], T], sleep: Callable[[float], None]) -> T:
    """
    Write an end, retrying if the store fails for a moment.

    Repeating is safe: the claim's token fences the write, so if only the first one's
    answer was lost, the second one reports "the claim is lost".
    """
    for wait_s in _WAITS_S:
        try:
            return write()
        except StorageUnavailableError:
            sleep(wait_s)
    return write()

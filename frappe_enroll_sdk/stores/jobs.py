# SPDX-License-Identifier: MIT
"""
The queue: rules of ``queue.py``, applied to rows.

The token of a claim names its batch and its job; only the batch is stored, so that a
batch is claimed by equal writes, and a fence is found by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from ..codec import require_text
from ..errors import ConflictError, DamagedRowError, ValidationError
from ..ids import new_claim_token
from ..interfaces.tables import Cell, Query, Row, Table
from ..models import Job, JobEnd, JobState, JobStats, NewJob, Page, TryError
from . import queue
from .layout import JOBS
from .records import Changes, Codec, moment_of, ms_of
from .rows import MAX_RACES, Change, Port, Records, query_of


_CLAIMABLE = frozenset({JobState.DUE, JobState.RUNNING})
_SEPARATOR = "."
_HOUR = timedelta(hours=1)
#: `data` of a job that knows nothing.
_NO_DATA = "{}"
#: Claimed rows that a process remembers, to end them without reading them.
_MAX_CLAIMED = 2048

_CLAIMABLE_ONES = Query("claimable")
_OF_STATE = [Query("by_state", {"state": state.value}) for state in JobState]

#: What becomes of a due row that can't be read.
_BURY: Mapping[str, Cell] = {
    "state": JobState.DEAD.value,
    "claim_at": None,
    "token": None,
}

Rule = Callable[[Job], Job | None]


def _token_of(row: Row) -> str | None:
    batch = row.cells.get("token")
    return None if batch is None else f"{batch}{_SEPARATOR}{row.key}"


def _parts_of(token: str) -> tuple[str, str]:
    """Return batch and key of a token ("" for what is no token of ours)."""
    batch, _, key = token.partition(_SEPARATOR)
    return batch, key


@cache
def _codec(table: Table, ends: frozenset[JobState]) -> Codec[Job]:
    def derived(job: Job) -> Mapping[str, Cell]:
        old = job.state in ends and not queue.is_pruned(job)
        return {
            "token": None if job.token is None else _parts_of(job.token)[0],
            "claim_at": ms_of(job.due_at) if job.state in _CLAIMABLE else None,
            "prune_at": ms_of(job.updated_at) if old else None,
        }

    return Codec(
        Job,
        table,
        lambda job: job.key,
        computed={"key": lambda row: row.key, "token": _token_of},
        derived=derived,
        omitted=("was_due_at",),
    )


class _Claimed:
    """
    Rows that this process has claimed, as it has written them.

    Thread-safe without a lock, which a fork might leave locked: each step is one of the
    dictionary's own.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    def note(self, rows: Collection[Row]) -> None:
        """Remember rows; of too many, the first ones are forgotten."""
        self._rows.update({row.key: row for row in rows})
        while len(self._rows) > _MAX_CLAIMED:
            with suppress(StopIteration, RuntimeError):  # another thread is as busy
                self._rows.pop(next(iter(self._rows)), None)

    def pop(self, key: str, batch: str) -> Row | None:
        """Return the row of a claim, once."""
        row = self._rows.pop(key, None)
        return row if row is not None and row.cells.get("token") == batch else None


def _rest_of(row: Row) -> Job:
    """Return what the columns of a damaged row say; a moment may be any."""
    cells: Mapping[str, Any] = row.cells
    state = str(cells.get("state"))
    at, due_at, created_at = (
        _moment(cells.get(name)) for name in ("updated_at", "due_at", "created_at")
    )
    error = TryError(
        at=at,
        try_number=0,
        code="undecodable",
        cause="the stored row is damaged",
    )
    return Job(
        key=row.key,
        kind=str(cells.get("kind")),
        state=JobState(str(state)) if state in {*JobState} else JobState.DEAD,
        due_at=due_at,
        created_at=created_at,
        updated_at=at,
        outcome="undecodable",
        errors=(error,),
    )


def _moment(cell: Any) -> datetime:
    try:
        return moment_of(cell)
    except (TypeError, OverflowError):
        return moment_of(0)


class Jobs:
    """`JobStore` over tables."""

    #: States whose old rows `prune` takes.
    _ends: frozenset[JobState] = frozenset({JobState.DONE, JobState.CANCELLED})

    def __init__(self, port: Port, table: Table = JOBS) -> None:
        self._port = port
        self._records = Records(port, _codec(table, self._ends))
        self._rows, self._claimed = self._records.rows, _Claimed()

    def enqueue(
        self,
        key: str,
        kind: str,
        payload: Mapping[str, Any],
        due_at: datetime,
        *,
        now: datetime,
        once: bool = False,
        data: Mapping[str, Collection[str]] | None = None,
    ) -> Job:
        """See `JobStore.enqueue`."""
        one = NewJob(
            key=key, kind=kind, payload=payload, due_at=due_at, data=data or {}
        )
        return self._enqueue([one], now, once=once)[0][key]

    def enqueue_many(
        self, orders: Sequence[NewJob], *, now: datetime, once: bool = False
    ) -> int:
        """See `JobStore.enqueue_many`."""
        return len(self._enqueue(orders, now, once=once)[1])

    def _enqueue(
        self, orders: Sequence[NewJob], now: datetime, *, once: bool
    ) -> tuple[dict[str, Job], set[str]]:
        by_key: dict[str, list[NewJob]] = {}
        for one in orders:
            require_text(key=one.key, kind=one.kind)
            by_key.setdefault(one.key, []).append(one)

        def again(more: Sequence[NewJob], job: Job) -> Job:
            for one in () if once else more:
                job = queue.enqueued(job, one.payload, one.due_at, now, one.data)
            return job

        new = {}
        for key, (first, *more) in by_key.items():
            job = queue.new_job(
                key, first.kind, first.payload, first.due_at, now, first.data
            )
            new[key] = again(more, job)
        known = {key: partial(again, more) for key, more in by_key.items()}
        return self._put(new, known, now)

    def _put(
        self, new: Mapping[str, Job], again: Mapping[str, Rule], now: datetime
    ) -> tuple[dict[str, Job], set[str]]:
        """
        Write new jobs, or what `again` makes of known ones.

        Returns:
            The jobs that now stand, and the keys that were new.
        """
        stand, left, fresh = dict[str, Job](), [*new], set[str]()
        for _ in range(MAX_RACES):
            written = self._records.insert([new[key] for key in left])
            fresh |= {key for key, yes in zip(left, written, strict=True) if yes}
            known = [key for key, yes in zip(left, written, strict=True) if not yes]
            stand |= {key: new[key] for key in left if key in fresh}
            if known:
                rules = {key: self._records.changing(again[key]) for key in known}
                rows = self._rows.change_many(rules, confirm=True)
                # A damaged one is kept as it is for whoever repairs it. (One that has
                # come back since it was looked for is not: it has to be written.)
                unwritten = [key for key in known if key not in rows]
                for key, row in self._rows.get(unwritten).items():
                    if self._is_damaged(row):
                        rows[key] = row
                stand |= {key: self._show(row) for key, row in rows.items()}
            # Pruned just now, or rolled back with the primary that knew it.
            left = [key for key in known if key not in stand]
            if not left:
                self._announce(stand.values(), now)
                return stand, fresh
        raise ConflictError(f"jobs keep coming and going: {', '.join(left)}")

    def _announce(self, jobs: Collection[Job], now: datetime) -> None:
        if any(job.state is JobState.DUE and job.due_at <= now for job in jobs):
            self._port.use().announce()

    def claim(
        self,
        owner: str,
        now: datetime,
        lease_s: float,
        limit: int,
        *,
        kinds: Collection[str] | None = None,
        not_kinds: Collection[str] = (),
    ) -> tuple[Job, ...]:
        """See `JobStore.claim`."""
        if limit <= 0 or (kinds is not None and not kinds):
            return ()
        due = Query(
            "claimable",
            among={} if kinds is None else {"kind": frozenset(kinds)},
            not_among={"kind": frozenset(not_kinds)} if not_kinds else {},
            high=ms_of(now) + 1,
        )
        batch = ""

        def claim(job: Job) -> Job:
            nonlocal batch
            # (Most who ask find nothing to claim.)
            batch = batch or new_claim_token(self._port.ambient)
            token = f"{batch}{_SEPARATOR}{job.key}"
            return queue.claimed(job, owner, token, now, lease_s)

        taken = self._records.take(
            due,
            limit,
            claim,
            damaged=_BURY,
            # By the token: an `enqueue` in between leaves it, and its own stamp.
            is_mine=lambda row: row.cells.get("token") == batch,
        )
        if taken:
            self._claimed.note(taken)
        return tuple(map(self._records.read, taken))

    def claim_key(
        self, key: str, owner: str, now: datetime, lease_s: float
    ) -> Job | None:
        """See `JobStore.claim_key`."""
        require_text(key=key)
        batch = new_claim_token(self._port.ambient)
        token = f"{batch}{_SEPARATOR}{key}"

        def take(job: Job) -> Job | None:
            if not queue.may_claim(job, now):
                return None
            return queue.claimed(job, owner, token, now, lease_s)

        row = self._rows.change_many(
            {key: self._records.changing(take)},
            is_mine=lambda row: row.cells.get("token") == batch,
        ).get(key)
        if row is None:
            return None
        self._claimed.note([row])
        return self._records.read(row)

    def heartbeat(
        self,
        token: str,
        now: datetime,
        lease_s: float,
        *,
        data: Mapping[str, Collection[str]] | None = None,
    ) -> bool:
        """See `JobStore.heartbeat`."""
        beat = {token: lambda job: queue.beaten(job, now, lease_s, data)}
        return token in self._fenced(beat, goes_on=True)

    def heartbeat_many(
        self, tokens: Collection[str], now: datetime, lease_s: float
    ) -> frozenset[str]:
        """See `JobStore.heartbeat_many`."""
        beats: dict[str, Rule] = {
            token: lambda job: queue.beaten(job, now, lease_s, None) for token in tokens
        }
        return frozenset(self._fenced(beats, goes_on=True))

    def complete(
        self,
        token: str,
        seq: int,
        now: datetime,
        *,
        state: JobState = JobState.DONE,
        outcome: str | None = None,
        data: Mapping[str, Collection[str]] | None = None,
    ) -> JobState | None:
        """See `JobStore.complete`."""
        end = JobEnd(
            token=token, seq=seq, state=state, outcome=outcome, data=data or {}
        )
        return self.complete_many([end], now)[0]

    def complete_many(
        self, ends: Sequence[JobEnd], now: datetime
    ) -> tuple[JobState | None, ...]:
        """See `JobStore.complete_many`."""

        def complete(end: JobEnd, job: Job) -> Job:
            return queue.completed(job, end, now)

        # Of two ends for one token the first one counts.
        changes = {end.token: partial(complete, end) for end in reversed(ends)}
        ended = self._fenced(changes)
        self._announce(ended.values(), now)
        states = {token: job.state for token, job in ended.items()}
        # A token that comes twice has ended its claim once.
        return tuple(states.pop(end.token, None) for end in ends)

    def reschedule(
        self,
        token: str,
        due_at: datetime,
        now: datetime,
        *,
        error: TryError | None = None,
        counts: bool = True,
    ) -> bool:
        """See `JobStore.reschedule`."""
        return self._end(
            token,
            lambda j: queue.rescheduled(j, due_at, now, error, counts=counts),
            now,
        )

    def bury(self, token: str, seq: int, now: datetime, error: TryError) -> bool:
        """See `JobStore.bury`."""
        return self._end(token, lambda j: queue.buried(j, seq, now, error), now)

    def release(self, token: str, now: datetime) -> bool:
        """See `JobStore.release`."""
        return self.reschedule(token, now, now, counts=False)

    def _end(self, token: str, rule: Rule, now: datetime) -> bool:
        ended = self._fenced({token: rule})
        self._announce(ended.values(), now)
        return bool(ended)

    def _fenced(
        self, rules: Mapping[str, Rule], *, goes_on: bool = False
    ) -> dict[str, Job]:
        """Change each job whose claim still stands; return them by their tokens."""
        by_key: dict[str, dict[str, tuple[str, Change]]] = {}
        guesses: dict[str, Row] = {}
        for token, rule in rules.items():
            require_text(token=token)
            batch, key = _parts_of(token)
            by_key.setdefault(key, {})[batch] = token, self._records.changing(rule)
            guess = self._claimed.pop(key, batch)
            if guess is not None:
                guesses[key] = guess
        passed: dict[str, str] = {}

        def fence(claims: Mapping[str, tuple[str, Change]], row: Row) -> Changes | None:
            claim = claims.get(str(row.cells.get("token")))
            if claim is None:
                return None
            passed[row.key] = claim[0]
            return claim[1](row)

        changes = {key: partial(fence, claims) for key, claims in by_key.items()}
        done = self._rows.change_many(changes, guesses=guesses)
        if goes_on:
            self._claimed.note(done.values())
        return {passed[key]: self._records.read(row) for key, row in done.items()}

    def retry(self, key: str, now: datetime, *, due_at: datetime | None = None) -> bool:
        """See `JobStore.retry`."""
        return self._of_key(key, lambda job: queue.retried(job, now, due_at), now)

    def bury_due(self, key: str, now: datetime, error: TryError) -> bool:
        """See `JobStore.bury_due`."""
        return self._of_key(key, lambda job: queue.given_up(job, now, error), now)

    def bound_ahead(
        self, now: datetime, limit: int, cursor: str | None = None
    ) -> tuple[int, str | None]:
        """See `JobStore.bound_ahead`."""
        page = self._records.list(_CLAIMABLE_ONES, limit, cursor, self._show)
        bound = self._records.changing(lambda job: queue.bounded(job, now))
        ahead = [job.key for job in page.items if queue.bounded(job, now) is not None]
        # By one write, however many they are.
        rows = self._rows.change_many(dict.fromkeys(ahead, bound))
        self._announce([self._records.read(row) for row in rows.values()], now)
        return len(rows), page.next_cursor

    def empty(self, key: str) -> bool:
        """See `JobStore.empty`."""
        require_text(key=key)
        return self._records.change(key, queue.emptied) is not None

    def _of_key(self, key: str, rule: Rule, now: datetime) -> bool:
        require_text(key=key)
        job = self._records.change(key, rule)
        if job is not None:
            self._announce([job], now)
        return job is not None

    def find(self, key: str) -> Job | None:
        """See `JobStore.find`."""
        require_text(key=key)
        row = self._rows.one(key)
        return None if row is None else self._show(row)

    def list(
        self,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """See `JobStore.list`."""
        require_text(kind=kind)
        query = query_of(
            {
                "state": (state and state.value, "by_state"),
                "kind": (kind, "by_kind"),
            },
            newest=state is None,
        )
        return self._records.list(query, limit, cursor, self._show)

    def _is_damaged(self, row: Row) -> bool:
        try:
            self._records.read(row)
        except ValidationError:
            return True
        return False

    def _show(self, row: Row) -> Job:
        """Return the job of a row; of a damaged one what still can be read."""
        try:
            return self._records.read(row)
        except DamagedRowError:
            return _rest_of(row)

    def stats(
        self, now: datetime, *, cap: int = 10_000, counted: bool = True
    ) -> JobStats:
        """See `JobStore.stats`."""
        due = Query("claimable", high=ms_of(now) + 1)
        if not counted:
            (due_now,) = self._rows.count([due], cap)
            oldest_at = self._oldest(due) if due_now else None
            return JobStats(
                counts={}, due_now=due_now, oldest_due_at=oldest_at, cap=cap
            )
        done = Query(
            "prunable",
            # (The index knows when; few have ended otherwise.)
            {"state": JobState.DONE.value},
            low=ms_of(now - _HOUR) + 1,
        )
        *counts, due_now, done_now = self._rows.count([*_OF_STATE, due, done], cap)
        return JobStats(
            counts=dict(zip(JobState, counts, strict=True)),
            due_now=due_now,
            oldest_due_at=self._oldest(due) if due_now else None,
            done_last_hour=done_now,
            cap=cap,
        )

    def _oldest(self, due: Query) -> datetime | None:
        row = self._rows.first(due)
        at: Any = None if row is None else row.cells["claim_at"]
        return None if at is None else moment_of(at)

    def prune(self, before: datetime, limit: int) -> int:
        """See `JobStore.prune`."""
        old = self._rows.page(Query("prunable", high=ms_of(before)), limit)
        gone = [row for row in old if self._may_go(row)]
        # Asked again with each write: one that has been revived stays as it is.
        prune = self._records.changing(partial(self._pruned, before))
        stay = {row.key: prune for row in old if not self._may_go(row)}
        pruned = self._rows.change_many(stay) if stay else {}
        return self._rows.delete(gone) + len(pruned)

    def _may_go(self, row: Row) -> bool:
        return row.cells.get("data") == _NO_DATA

    def _pruned(self, before: datetime, job: Job) -> Job | None:
        old = job.state in self._ends and job.updated_at < before
        return queue.pruned(job) if old else None

# SPDX-License-Identifier: MIT
"""
Three-way reconciliation: provider ↔ enrollments ↔ LMS, in bounded pages.

First all enrollments (each with its session, its money and its LMS rows), then the
provider's sessions that carry our mark and that no enrollment stores, then the LMS's
rows that have none. Dry unless asked to repair; a repair only names an enrollment and
calls settle, owes the sync, or expires a session that no row can store; an enrollment
that the store has forgotten is opened anew. An LMS row
without an enrollment of ours is never removed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import attrs

from ...errors import (
    BackendGoneError,
    BackendRefusedError,
    BackendRejectedError,
    DamagedRowError,
    TransitionError,
    UnreadableAnswerError,
    ValidationError,
)
from ...models import CheckoutSession, Enrollment, LMSEnrollment, Status, Trail
from ...pair import Pair, must_know_user
from ...states import ENTITLED, EXITS, UNPAID
from .. import validate
from ..alerts import raise_alert
from ..lms.sync import judge_pair, user_of
from ..settle.decision import Wish
from ..settle.effects import sync_key
from .differences import (
    Difference,
    Finding,
    Repair,
    Report,
    Seen,
    compare,
    orphan,
    unreadable,
)
from .rebuild import Rebuild


if TYPE_CHECKING:
    from ..context import Context
    from ..settle.settle import Settle

T = TypeVar("T")

logger = logging.getLogger(__name__)

_MAX_ROWS = 1000
#: Rows on one page of a scheduled run: each costs up to four backend calls.
_PAGE = 50
#: How many intervals it looks back, to make up for a missed run.
_LOOK_BACK = 2
#: How far back sessions are listed by default.
_SESSIONS_SINCE = timedelta(days=30)
_ROWS, _SESSIONS, _LMS_ROWS = "enrollments", "sessions", "lms"
#: Name of the count of LMS rows that we did not create.
_OTHERS = "lms_not_ours"


class Reconcile:
    """`Admin.reconcile` of one SDK. Thread-safe."""

    def __init__(self, context: Context, settle: Settle) -> None:
        self._context, self._settle = context, settle
        self._rebuild = Rebuild(context, settle)

    def page(
        self,
        *,
        repair: bool = False,
        rebuild: bool = True,
        since: datetime | None = None,
        limit: int = 200,
        cursor: str | None = None,
    ) -> Report:
        """
        Compare one page of one of the three sides with the others.

        Args:
            repair: Whether to settle what can be settled.
            rebuild: Whether a repair reopens lost enrollments. An operator must decide
                this, since another store may have its sessions at the same provider.
            since: Only what was created since then; None = all enrollments and LMS
                rows, and the sessions of the last 30 days.
            limit: Rows on the page (each costs up to four backend calls).
            cursor: Where the last page ended.

        Raises:
            ValidationError: `limit` or `cursor` is not valid.
            TransientError: A backend is down; continue later from the same cursor.
        """
        validate.whole(limit, "limit", most=_MAX_ROWS)
        if since is not None:
            since = validate.moment(since, "since")
        part, _, rest = (cursor or f"{_ROWS}:").partition(":")
        pages = {
            _ROWS: self._rows,
            _SESSIONS: self._sessions,
            _LMS_ROWS: self._lms_rows,
        }
        if part not in pages:
            raise ValidationError("cursor: is not one of ours", field="cursor")
        report = pages[part](since, limit, rest or None)
        if not repair:
            return report
        return self._repaired(report, rebuild=rebuild)

    def pages(
        self,
        *,
        repair: bool = False,
        rebuild: bool = True,
        since: datetime | None = None,
        limit: int = 200,
    ) -> Iterator[Report]:
        """Yield the pages of all three sides; see `page`."""
        trail, cursor = Trail(), None
        while True:
            report = self.page(
                repair=repair, rebuild=rebuild, since=since, limit=limit, cursor=cursor
            )
            yield report
            cursor = trail.follow(report.next_cursor)
            if cursor is None:
                return

    def run_scheduled(self, _limit: int, has_time: Callable[[], bool]) -> int:
        """
        Compare recent records while there is time, and alert on differences.

        A task of `Maintenance`; its count is always 0.
        """
        settings = self._context.settings
        span = timedelta(seconds=settings.reconcile_every_s * _LOOK_BACK)
        pages = self.pages(
            repair=settings.reconcile_repair,
            rebuild=False,
            since=self._context.now() - span,
            limit=_PAGE,
        )
        found: Counter[str] = Counter()
        while has_time() and (report := next(pages, None)) is not None:
            found.update(str(finding.difference) for finding in report.findings)
        if found:
            logger.warning("reconcile found differences", extra={"found": dict(found)})
            raise_alert(self._context, "reconcile_differences", "reconcile")
        return 0

    def _rows(self, since: datetime | None, limit: int, cursor: str | None) -> Report:
        page = self._context.storage.enrollments.list(limit=limit, cursor=cursor)
        rows = [r for r in page.items if since is None or r.created_at >= since]
        damaged = [_named(text) for text in page.unreadable]
        # Newest first: stop at the first one that is too old.
        more = page.next_cursor if len(rows) == len(page.items) else None
        return Report(
            findings=(*(one for row in rows for one in self._look_at(row)), *damaged),
            checked={_ROWS: len(rows)},
            next_cursor=f"{_ROWS}:{more}" if more else f"{_SESSIONS}:",
        )

    def _look_at(self, row: Enrollment) -> list[Finding]:
        try:
            seen = self._see(row)
        except (BackendRejectedError, DamagedRowError) as error:
            return [unreadable(row.id, str(error), row.id)]
        return compare(row, seen, self._context.settle_policy)

    def _see(self, row: Enrollment) -> Seen:
        payments, store = self._context.payments, self._context.storage.enrollments
        session = refunds = disputes = lms_rows = None
        gone, causes = False, list[str]()
        try:
            if row.session_id is not None:
                session = payments.retrieve_session(row.session_id)
        except UnreadableAnswerError as error:
            causes.append(str(error))
        except BackendGoneError:
            gone = True
        if row.payment_id is not None and row.moved_to is None and not gone:
            with suppress(BackendGoneError):
                refunds = _list(causes, payments.list_refunds, row.payment_id)
                disputes = _list(causes, payments.list_disputes, row.payment_id)
        others = store.list_for_sync(row.email, row.course_id)
        entitled = any(one.status in ENTITLED for one in others)
        pair, ours = self._pair_of(row), frozenset[str]()
        known = row.status in ENTITLED or row.lms_enrollment_id is not None
        if known or (pair.left and row.status not in UNPAID | EXITS):
            lms_rows = self._context.lms.find_enrollments(row.learner, row.course_id)
            ours = self._ours(pair, lms_rows, others, wanted=entitled)
        return Seen(
            now=self._context.now(),
            session=session,
            gone=gone,
            refunds=refunds,
            disputes=disputes,
            lms_rows=None if self._is_fresh(row) else lms_rows,
            other_entitled=tuple(
                one.id for one in others if one.status in ENTITLED and one.id != row.id
            ),
            ours=ours,
            unreadable=tuple(causes),
        )

    def _pair_of(self, row: Enrollment) -> Pair:
        job = self._context.storage.jobs.find(sync_key(row.email, row.course_id))
        return Pair(job.data if job else {})

    def _ours(
        self,
        pair: Pair,
        found: tuple[LMSEnrollment, ...],
        rows: tuple[Enrollment, ...],
        *,
        wanted: bool,
    ) -> frozenset[str]:
        """Return the LMS rows that the sync would call ours, by the same evidence."""
        lms = self._context.lms
        user = user_of(lms) if must_know_user(pair, found) else ""
        judged = judge_pair(pair, found, rows, wanted=wanted, user=user)
        return judged.ours & {one.name for one in found}

    def _is_fresh(self, row: Enrollment) -> bool:
        """Tell whether its sync may still be in progress: no difference yet."""
        return self._context.now() - row.updated_at < self._context.grace

    def _sessions(
        self, since: datetime | None, limit: int, cursor: str | None
    ) -> Report:
        start = since or self._context.now() - _SESSIONS_SINCE
        page = self._context.payments.list_sessions(
            since=start, limit=min(limit, 100), cursor=cursor
        )
        found = [self._orphan(session) for session in page.items if session.ours]
        more = page.next_cursor
        strange = [_named(text) for text in page.unreadable]
        return Report(
            findings=tuple(one for one in (*found, *strange) if one is not None),
            checked={_SESSIONS: len(page.items)},
            next_cursor=f"{_SESSIONS}:{more}" if more else f"{_LMS_ROWS}:",
        )

    def _orphan(self, session: CheckoutSession) -> Finding | None:
        """Return what is wrong with a session of ours that no row stores."""
        store, name = self._context.storage.enrollments, session.enrollment_id
        try:
            if store.find_by_session(session.id) is not None:
                return None
            return orphan(session, store.find(name) if name else None)
        except DamagedRowError:
            return None  # named where our own rows are looked at

    def _lms_rows(
        self, since: datetime | None, limit: int, cursor: str | None
    ) -> Report:
        bound = {} if since is None else {"since": since}
        lms = self._context.lms
        page = lms.list_enrollments(**bound, limit=limit, cursor=cursor)
        unknown = [row for row in page.items if self._is_unknown(row)]
        user = user_of(lms) if any(row.untouched for row in unknown) else ""
        # The LMS also enrolls people by itself: only count these.
        made = [row for row in unknown if _is_by(row, user)]
        more = page.next_cursor
        checked = {_LMS_ROWS: len(page.items)}
        if unknown:
            checked[_OTHERS] = len(unknown) - len(made)
        return Report(
            findings=(
                *(
                    Finding(
                        difference=Difference.LMS_WITHOUT_ENROLLMENT,
                        subject=row.name,
                        cause=f"in course {row.course_id}: made by our key, and no "
                        "enrollment of ours; it stays",
                    )
                    for row in made
                ),
                *map(_named, page.unreadable),
            ),
            checked=checked,
            next_cursor=f"{_LMS_ROWS}:{more}" if more else None,
        )

    def _is_unknown(self, row: LMSEnrollment) -> bool:
        # Frappe names a learner by the lower-cased address.
        store = self._context.storage.enrollments
        address = row.learner.lower()
        try:
            return not store.list_for_sync(address, row.course_id)
        except DamagedRowError:
            return False  # named where our own rows are looked at

    def _repaired(self, report: Report, *, rebuild: bool) -> Report:
        found = []
        for one in report.findings:
            if one.repair is not Repair.REBUILD:
                found.append(self._repair(one))
            elif rebuild:
                found.append(self._rebuild_one(one))
            else:
                found.append(one)
        rebuilt = {
            one.subject for one in found if one.repair is Repair.REBUILD and one.after
        }
        if rebuilt:
            self._rebuild.wake_events(rebuilt)
        return attrs.evolve(report, findings=tuple(found))

    def _rebuild_one(self, finding: Finding) -> Finding:
        # Read it again: the page may have taken long, and a refund takes only a moment.
        session = self._context.payments.retrieve_session(finding.subject)
        try:
            row, notes = self._rebuild.run(session)
        except TransitionError as error:
            return attrs.evolve(finding, cause=f"{finding.cause}; {error}")
        return attrs.evolve(finding, after="; ".join([str(row.status), *notes]))

    def _repair(self, finding: Finding) -> Finding:
        name = finding.enrollment_id
        if name is None or finding.repair is Repair.NONE:
            return finding
        if finding.repair is Repair.DISCARD:
            outcome = self._context.payments.expire_session(finding.subject)
            return attrs.evolve(finding, after=str(outcome))
        wish = Wish.EXPIRE if finding.repair is Repair.EXPIRE else Wish.LOOK
        row = self._settle.run(name, wish=wish, check_money=_needs_money(finding))
        if finding.repair is Repair.SYNC:
            self._settle.owe_sync(row)
        return attrs.evolve(finding, after=_after(finding, row.status))


def _list(causes: list[str], verb: Callable[[str], T], payment_id: str) -> T | None:
    """Return refunds or disputes; note why if they can't be read."""
    try:
        return verb(payment_id)
    except (UnreadableAnswerError, BackendRefusedError) as error:
        causes.append(str(error))
        return None


def _is_by(row: LMSEnrollment, user: str) -> bool:
    """Tell whether a row is unchanged since our key's user created it."""
    return bool(user) and row.untouched and row.modified_by == user


def _named(text: str) -> Finding:
    """Return the finding for a listed record that can't be read ("name: why")."""
    name, _, why = text.partition(": ")
    return unreadable(name, why or text)


def _needs_money(finding: Finding) -> bool:
    return finding.repair in {Repair.MONEY, Repair.SETTLE}


def _after(finding: Finding, status: Status) -> str:
    owed = ", the LMS is due to be synced" if finding.repair is Repair.SYNC else ""
    return f"{status}{owed}"

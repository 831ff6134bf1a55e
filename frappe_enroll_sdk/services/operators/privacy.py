# SPDX-License-Identifier: MIT
"""
A learner's personal data: told on request, or taken out for good.

What is erased keeps its ids, its money and its history: nothing that is counted or
deduplicated by them changes. The enrollments go last, so that an erasure that died in
between finds the rest again and goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from ...codec import dump
from ...errors import DamagedRowError, TransitionError, VersionConflictError
from ...models import (
    Actor,
    Affiliate,
    Coupon,
    Enrollment,
    Grant,
    GrantStatus,
    HistoryEntry,
    Job,
    Override,
    Page,
    Status,
    walk,
)
from ...models.jobs import EVENT_KIND
from ...models.learners import erased_email
from ...states import ENTITLED, UNPAID
from ...stores.queue import SPENT
from .. import audit, validate
from ..settle.decision import OperatorAction, Wish
from ..settle.lost import PROCESSING
from .search import Search


if TYPE_CHECKING:
    from ..context import Context
    from ..settle.settle import Settle

T = TypeVar("T")

_PAGE = 200
#: Fields that are secrets of the learner or the shop, not personal data.
_SECRETS = ("token_hash",)


@attrs.frozen(kw_only=True)
class Erasure:
    """
    What an erasure removed.

    Attributes:
        enrollments: Enrollments that lost their learner.
        jobs: Jobs that lost their payload.
        events: Payment events that lost theirs.
        coupons: Codes that lost the learner they were created for, and are disabled.
        grants: Applications that lost their applicant and their answers.
        affiliates: 1 if the learner was an affiliate, else 0.
        unreadable: Rows that can't be read and are as they were: "name: why", each.
    """

    enrollments: int = 0
    jobs: int = 0
    events: int = 0
    coupons: int = 0
    grants: int = 0
    affiliates: int = 0
    unreadable: tuple[str, ...] = ()


@attrs.frozen(kw_only=True, eq=False)
class _Held:
    """Everything that names a learner."""

    enrollments: tuple[Enrollment, ...]
    jobs: tuple[Job, ...]
    events: tuple[Job, ...]
    coupons: tuple[Coupon, ...]
    grants: tuple[Grant, ...]
    affiliate: Affiliate | None
    unreadable: tuple[str, ...]


class Privacy:
    """The export and erasure of personal data. Thread-safe."""

    def __init__(self, context: Context, settle: Settle) -> None:
        self._context, self._settle = context, settle
        self._search = Search(context)

    def export(self, email: str) -> dict[str, Any]:
        """
        Return everything stored about a learner, as plain JSON data.

        By type: enrollments, jobs, events, coupons, grants, affiliate (with the whole
        ledger), audit, and the names of rows that can't be read. Empty lists where
        nothing is known. Secrets are left out.
        """
        address = validate.stored_email(email)
        held = self._held(address)
        data: dict[str, Any] = {"email": address}
        for name in ("enrollments", "jobs", "events", "coupons", "grants"):
            data[name] = [_plain(record) for record in getattr(held, name)]
        lost = list(held.unreadable)
        data["affiliate"] = self._affiliate(held.affiliate, lost)
        pages = [
            self._context.storage.audit.list(subject=r.id) for r in held.enrollments
        ]
        data["audit"] = [_plain(entry) for page in pages for entry in page.items]
        lost += [words for page in pages for words in page.unreadable]
        data["unreadable"] = lost
        return data

    def _affiliate(
        self, affiliate: Affiliate | None, lost: list[str]
    ) -> dict[str, Any] | None:
        if affiliate is None:
            return None
        find, code = self._context.storage.affiliates.list_rows, affiliate.code
        rows = walk(lambda c: find(code, limit=_PAGE, cursor=c), lost.append)
        return {**_plain(affiliate), "ledger": [_plain(row) for row in rows]}

    def erase(self, email: str, *, actor: str, reason: str) -> Erasure:
        """
        Remove a learner's personal data from the store; safe to repeat.

        Addresses and names become meaningless, payloads and answers empty; ids,
        amounts, statuses and times stay. A learner who returns later is a new one.

        Unpaid attempts are ended. First revoke whatever still entitles the learner, and
        let the LMS follow: an erased learner's row could no longer be found there after
        a refund.

        Raises:
            TransitionError: Something is unfinished: an enrollment is live, the LMS is
                not up to date, or an event waits for a decision. Nothing was erased.
            VersionConflictError: Something changed meanwhile: call again.
        """
        address = validate.stored_email(email)
        by = audit.require_actor(actor, reason)
        self._end_attempts(address, by)
        held = self._held(address)
        _require_rest(held)
        store = self._context.storage
        with audit.acting(self._context, by, "erased", "privacy") as result:
            for row in held.enrollments:
                audit.write(self._context, by, "erased", row.id)
            done = Erasure(
                events=sum(store.events.empty(one.key) for one in held.events),
                jobs=sum(store.jobs.empty(one.key) for one in held.jobs),
                coupons=sum(map(self._erase_coupon, held.coupons)),
                grants=sum(map(self._erase_grant, held.grants)),
                affiliates=int(self._erase_affiliate(held.affiliate)),
                enrollments=sum(self._erase_row(row, by) for row in held.enrollments),
                unreadable=held.unreadable,
            )
            result.update(attrs.asdict(done) | {"unreadable": len(done.unreadable)})
        return done

    def _end_attempts(self, email: str, by: Actor) -> None:
        """End unpaid attempts, so that a stranger's attempt can't block an erasure."""
        end = OperatorAction(override=Override.REVOKED, actor=by.name, reason=by.reason)
        find = self._context.storage.enrollments.list
        rows = tuple(walk(lambda c: find(email=email, limit=_PAGE, cursor=c)))
        for row in rows:
            if row.status in UNPAID and row.reason != PROCESSING:
                self._settle.run(row.id, wish=Wish.END, action=end, quiet=True)

    # What there is.

    def _held(self, email: str) -> _Held:
        store, lost = self._context.storage, list[str]()

        def every(find: Callable[..., Page[T]]) -> tuple[T, ...]:
            pages = walk(
                lambda c: find(email=email, limit=_PAGE, cursor=c), lost.append
            )
            return tuple(pages)

        rows = every(store.enrollments.list)
        jobs = {job.key: job for row in rows for job in self._search.jobs_of(row)}
        affiliate = None
        try:
            affiliate = store.affiliates.find_by_email(email)
        except DamagedRowError as error:
            lost.append(str(error))
        return _Held(
            enrollments=rows,
            jobs=tuple(jobs.values()),
            events=tuple(self._events(email, rows)),
            coupons=every(store.coupons.list),
            grants=every(store.grants.list),
            affiliate=affiliate,
            unreadable=tuple(lost),
        )

    def _events(self, email: str, rows: Iterable[Enrollment]) -> Iterator[Job]:
        """Yield the events that name a row or contain the address; none is older."""
        names = {
            name for row in rows for name in (row.id, row.session_id, row.payment_id)
        } - {None}
        since = min((row.created_at for row in rows), default=None)
        if since is None:
            return
        find = self._context.storage.events.list
        for event in walk(lambda c: find(kind=EVENT_KIND, limit=_PAGE, cursor=c)):
            if event.created_at < since:
                return
            text = json.dumps(dump(event.payload or {})).lower()
            if any(str(name).lower() in text for name in (email, *names)):
                yield event

    # What is erased.

    def _erase_coupon(self, coupon: Coupon) -> bool:
        store, nobody = self._context.storage.coupons, erased_email(coupon.code)
        store.disable(coupon.code)
        return store.readdress(coupon.code, nobody)

    def _erase_grant(self, grant: Grant) -> bool:
        ends = grant.status is not GrantStatus.PENDING
        erased = attrs.evolve(
            grant,
            email=erased_email(grant.id),
            full_name=None,
            answers={},
            reason="",
            status=grant.status if ends else GrantStatus.REJECTED,
            **self._written(grant.version),
        )
        return _stands(self._context.storage.grants.replace(erased))

    def _erase_affiliate(self, affiliate: Affiliate | None) -> bool:
        if affiliate is None:
            return False
        erased = attrs.evolve(
            affiliate,
            email=erased_email(affiliate.code),
            full_name=None,
            suspended=True,
            version=affiliate.version + 1,
            op_id=self._context.new_op_id(),
        )
        return _stands(self._context.storage.affiliates.replace(erased))

    def _written(self, version: int) -> dict[str, Any]:
        return {
            "version": version + 1,
            "op_id": self._context.new_op_id(),
            "updated_at": self._context.now(),
        }

    def _erase_row(self, row: Enrollment, by: Actor) -> bool:
        store, now = self._context.storage.enrollments, self._context.now()
        nobody = erased_email(row.id)
        entry = HistoryEntry(
            at=now,
            version=row.version + 1,
            status=row.status,
            fact="erased",
            op_id=self._context.new_op_id(),
            detail={"actor": by.name},
        )
        changes: dict[str, Any] = {
            "email": nobody,
            "learner": nobody,
            "full_name": None,
            "token_hash": "",
            "idempotency_key": None,
            "session_request": None,
            "payment_url": None,
            "success_url": None,
            "cancel_url": None,
        }
        if row.status is Status.REVOKED:
            # A dispute won later would enroll an unknown learner.
            changes["override"] = Override.REVOKED
        written = store.transition(
            row.id, row.version, row.status, entry, None, changes
        )
        _stands(written is not None)
        # The write has no effects.
        return store.clear_due(row.id, row.version + 1)


def _plain(record: Any) -> dict[str, Any]:
    data: dict[str, Any] = dump(record)
    return {name: value for name, value in data.items() if name not in _SECRETS}


def _stands(written: bool) -> bool:  # noqa: FBT001  the answer of a store
    if not written:
        raise VersionConflictError("the learner's data changed meanwhile: erase again")
    return True


def _require_rest(held: _Held) -> None:
    """
    Refuse while anything that needs the learner is unfinished or undecided.

    Raises:
        TransitionError: Says what, and what to do about it.
    """
    for row in held.enrollments:
        if row.status in UNPAID:
            raise TransitionError(
                f"{row.id}: a payment is under way, wait until it is known, then erase"
            )
        if row.status in ENTITLED | {Status.ON_HOLD}:
            raise TransitionError(
                f"{row.id} is {row.status}: revoke, cancel or decide it, then erase"
            )
        if row.due_at is not None or row.effects_owed:
            raise TransitionError(
                f"{row.id} is still due to be settled: run the jobs first"
            )
    for what, jobs in (("job", held.jobs), ("event", held.events)):
        for job in jobs:
            if job.state not in SPENT:
                raise TransitionError(
                    f"the {what} {job.key} is {job.state}: let it end, then erase"
                )

# SPDX-License-Identifier: MIT
"""
Sync: one job per learner and course makes the LMS hold exactly one row, or none.

Frappe has no unique index on (member, course): whoever inserts must serialise (the
job's key does), look first, read back, and heal to the oldest row. An insert whose
answer is unclear may appear later, so such a job stays owed until a look-up
`verify_after_s` later finds exactly one. What is kept in the job's data:

* ``known_before``: rows that existed before our first insert (never removed),
* ``inserted``: rows that the LMS said we made,
* ``unclear_at``: when the last insert began whose answer is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from ..bounds import is_ahead
from ..codec import moment_of, text_of
from ..errors import BackendRejectedError, BlindKeyError
from ..models import Enrollment, Learner, LMSEnrollment, LMSStatus, Sale, Status
from ..outcomes import Dead, Done, Outcome, Snooze
from ..states import ENTITLED
from .facts import LMSReport
from .notices import raise_alert


if TYPE_CHECKING:
    from ..interfaces import SellingLMS
    from .claims import Claim
    from .context import Context
    from .settle import Settle

#: Learners that may be created at once: Frappe deadlocks beyond that.
USER_PERMITS = 2
_PERMIT_WAIT_S = 2.0
_USERS = "lms.users"
_BLIND = (
    "the LMS accepted an enrolment that our key can't see: "
    "give the API user the role Moderator"
)

_NO_ACCOUNT = "the learner has no account in the LMS: let them sign up, then requeue"
_DISABLED = "the learner's account in the LMS is disabled: enable it, then requeue"


class SyncHandler:
    """Runs ``sync`` jobs. Thread-safe: it keeps nothing between calls."""

    def __init__(self, context: Context, settle: Settle) -> None:
        self._context = context
        self._settle = settle

    def __call__(self, claim: Claim) -> Outcome:
        """Bring the LMS to what our enrollments of the pair say."""
        run = _Run(self._context, self._settle, claim)
        return run.ensure_row() if run.entitled else run.ensure_none()

    def owe_again(self, claim: Claim) -> None:
        """After a lost lease: what we did meanwhile has to be looked at once more."""
        job, now = claim.job, self._context.now()
        payload = dict(job.payload or {})
        known = [*payload.get("suspects", ()), *claim.data.get("inserted", ())]
        payload["suspects"] = _unique([*known, *claim.made])
        self._context.storage.jobs.enqueue(job.key, job.kind, payload, now, now=now)

    def report(self, job_payload: Mapping[str, Any], status: LMSStatus) -> None:
        """Tell the entitled enrollments that the job waits or is dead."""
        rows = self._context.storage.enrollments.list_for_sync(
            job_payload["email"], job_payload["course_id"]
        )
        for row in rows:
            if row.status in ENTITLED:
                self._settle(row.id, lms=LMSReport(status=status))


class _Run:
    """One try."""

    def __init__(self, context: Context, settle: Settle, claim: Claim) -> None:
        self._context, self._settle, self._claim = context, settle, claim
        self._lms = context.lms
        payload = claim.job.payload or {}
        self._email: str = payload["email"]
        self._learner: str = payload["learner"]
        self._course: str = payload["course_id"]
        self._full_name: str | None = payload.get("full_name")
        self._rows = context.storage.enrollments.list_for_sync(
            self._email, self._course
        )
        self.entitled = [row for row in self._rows if row.status in ENTITLED]
        data = claim.data
        self._known: list[str] | None = data.get("known_before")
        self._inserted: list[str] = [
            *data.get("inserted", ()),
            *payload.get("suspects", ()),
        ]
        # Only what was unclear before this try holds its end back.
        self._unclear_at = _moment(data.get("unclear_at"))
        now = context.now()
        if self._unclear_at is not None and is_ahead(self._unclear_at, now):
            # Begun by a clock that ran ahead: at the latest now.
            self._unclear_at = now
            claim.keep({**data, "unclear_at": text_of(now)})

    # What is ours, and what is not.

    def _ours(self) -> set[str]:
        mine = {r.lms_enrollment_id for r in self._rows if r.lms_row_ours}
        return {name for name in mine if name} | set(self._inserted)

    def _is_ours(self, row: LMSEnrollment) -> bool:
        if row.name in self._ours():
            return True
        return self._known is not None and row.name not in self._known

    def _find(self) -> tuple[LMSEnrollment, ...]:
        timeout_s = self._claim.timeout_s(self._lms.call_timeout_s)
        return self._lms.find_enrollments(
            self._learner, self._course, timeout_s=timeout_s
        )

    def _first_look(self) -> tuple[LMSEnrollment, ...]:
        found = self._find()
        if self._known is None:
            ours = self._ours()
            self._known = [row.name for row in found if row.name not in ours]
        return found

    # Entitled: exactly one.

    def ensure_row(self) -> Outcome:
        found = self._first_look()
        if not found and self._inserted:
            raise BlindKeyError(_BLIND)
        wait_s = self._verify_wait_s()
        if not found and wait_s > 0:
            return Snooze(wait_s)
        if not found:
            outcome = self._insert()
            if outcome is not None:
                return outcome
            found = self._find()
            if not found:
                # Whoever comes next must know that we have inserted.
                self._claim.keep(self._notes())
                raise BlindKeyError(_BLIND)
        keep = self._heal(found)
        for row in self.entitled:
            self._tell(row, keep)
        return Snooze(wait_s) if wait_s > 0 else Done("enrolled")

    def _insert(self) -> Outcome | None:
        learner = self._ensure_learner()
        if not isinstance(learner, str):
            return learner
        self._learner = learner
        progress = next((r.lms_progress for r in self.entitled if r.lms_progress), None)
        self._begin_write(inserting=True)
        try:
            row = self._enroll(learner, progress)
        except BackendRejectedError as error:
            # Frappe has no error of its own for "already there": look.
            found = self._find()
            if self._unclear_at is None and not self._inserted:
                # We have never inserted: whoever did, these are not ours to remove.
                self._known = [row.name for row in found]
            return None if found else Dead(f"course {self._course}: {error}")
        self._inserted.append(row.name)
        self._claim.made.append(row.name)
        return None

    def _enroll(self, learner: str, progress: float | None) -> LMSEnrollment:
        timeout_s = self._claim.timeout_s(self._lms.call_timeout_s)
        if not getattr(self._lms, "sells", False):
            return self._lms.insert_enrollment(
                learner, self._course, progress=progress, timeout_s=timeout_s
            )
        return cast("SellingLMS", self._lms).enroll(
            learner,
            self._course,
            sale_of(self.entitled[-1]),
            progress=progress,
            timeout_s=timeout_s,
        )

    def _ensure_learner(self) -> str | Outcome:
        """Return the LMS's name of the learner, or why there is none yet."""
        settings, most = self._context.settings, self._lms.call_timeout_s
        user = self._lms.find_user(self._email, timeout_s=self._claim.timeout_s(most))
        if user is None and settings.missing_learners == "refuse":
            return Dead(_NO_ACCOUNT)
        if user is None:
            user = self._create_user()
        if user is None:
            return Snooze(_PERMIT_WAIT_S)
        if not user.enabled and settings.disabled_learners == "refuse":
            return Dead(_DISABLED)
        if not user.enabled:
            self._alert("learner_disabled", self.entitled[-1].id)
        return user.name

    def _create_user(self) -> Learner | None:
        """Create the learner; None = no permit yet: Frappe deadlocks beyond two."""
        gates, now, most = (
            self._context.storage.gates,
            self._context.now(),
            self._lms.call_timeout_s,
        )
        key, until = self._claim.job.key, now + timedelta(seconds=most * 2)
        if not gates.hold(_USERS, key, USER_PERMITS, now, until):
            return None
        try:
            self._begin_write(inserting=False)
            timeout_s = self._claim.timeout_s(most)
            return self._lms.create_user(
                self._email, self._full_name, timeout_s=timeout_s
            )
        finally:
            gates.drop(_USERS, key)

    def _begin_write(self, *, inserting: bool) -> None:
        unclear_at = self._context.now() if inserting else self._unclear_at
        self._claim.begin_write(self._lms.call_timeout_s, self._notes(unclear_at))

    def _notes(self, unclear_at: datetime | None = None) -> dict[str, Any]:
        return {
            "known_before": self._known or [],
            "inserted": list(self._inserted),
            "unclear_at": text_of(unclear_at) if unclear_at else None,
        }

    def _heal(self, found: tuple[LMSEnrollment, ...]) -> LMSEnrollment:
        """Keep the oldest row; remove those of ours beside it; alert about others."""
        keep, *others = found
        for row in others:
            if self._is_ours(row) and row.removable:
                self._delete(row)
            else:
                self._alert("lms_duplicate_not_ours")
        return keep

    def _delete(self, row: LMSEnrollment) -> None:
        self._begin_write(inserting=False)
        timeout_s = self._claim.timeout_s(self._lms.call_timeout_s)
        self._lms.delete_enrollment(row.name, timeout_s=timeout_s)

    def _tell(self, row: Enrollment, keep: LMSEnrollment) -> None:
        ours = self._is_ours(keep)
        if not ours and row.amount and row.status is Status.CONFIRMED:
            # Once: what the LMS had without us is no news the next time.
            raise_alert(self._context, "paid_but_already_enrolled", row.id, "")
        report = LMSReport(status=LMSStatus.SYNCED, name=keep.name, ours=ours)
        self._settle(row.id, lms=report)

    # Not entitled: none of ours.

    def ensure_none(self) -> Outcome:
        if not self._ours() and self._unclear_at is None:
            return Done("nothing_to_remove")
        progress = None
        for row in self._first_look():
            if self._is_ours(row) and row.removable:
                progress = row.progress or progress
                self._delete(row)
            elif self._is_ours(row):
                self._alert("lms_row_not_removable")
        for enrollment in self._rows:
            report = LMSReport(status=LMSStatus.SYNCED, progress=progress)
            self._settle(enrollment.id, lms=report)
        wait_s = self._verify_wait_s()
        return Snooze(wait_s) if wait_s > 0 else Done("removed")

    # Unclear outcomes.

    def _verify_wait_s(self) -> float:
        """Return seconds until a look-up settles what an earlier try left unclear."""
        if self._unclear_at is None:
            return 0.0
        settled_at = self._unclear_at + timedelta(
            seconds=self._context.settings.verify_after_s
        )
        return max((settled_at - self._context.now()).total_seconds(), 0.0)

    def _alert(self, code: str, subject: str | None = None) -> None:
        job = self._claim.job
        raise_alert(self._context, code, subject or job.key, f"{job.key}:{job.seq}")


def sale_of(row: Enrollment) -> Sale:
    """Return what an enrollment was sold for."""
    return Sale(
        enrollment_id=row.id,
        full_name=row.full_name,
        amount=row.amount,
        payment_id=row.payment_id,
        affiliate=row.affiliate,
    )


def _moment(text: str | None) -> datetime | None:
    return moment_of(text) if text else None


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))

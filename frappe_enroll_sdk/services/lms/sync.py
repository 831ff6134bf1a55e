# SPDX-License-Identifier: MIT
"""
Sync: one job per learner and course makes the LMS hold exactly one row, or none.

Frappe has no unique index on (member, course): whoever inserts must serialise (the
job's key does), look first, read back, and heal. What is known of the pair stands in
the job's data and outlives the job's end (``pair.py`` says what it means). An insert is
written down there before it is sent; while nobody accounts for it the LMS is looked at
again, less and less often, for a day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from ...errors import (
    BackendRefusedError,
    BackendRejectedError,
    BlindKeyError,
    LMSUnavailableError,
    ThrottledError,
)
from ...models import Enrollment, Learner, LMSEnrollment, LMSStatus, Sale, Status
from ...outcomes import Dead, Done, Outcome, Snooze
from ...pair import Judgement, Pair, judge_rows, must_know_user
from ...states import ENTITLED, UNPAID
from ..alerts import raise_alert
from ..settle.decision import LMSReport, Settled


if TYPE_CHECKING:
    from ...interfaces import LMS, HoldingLMS, SellingLMS
    from ...models import Job
    from ..context import Context
    from ..jobs.claim import Claim
    from ..settle.settle import Settle

#: Most learners created at the same time: more make Frappe deadlock.
USER_PERMITS = 2
_PERMIT_WAIT_S = 2.0
#: Seconds that a create takes on a quiet site; one that is cut off continues there.
_CREATE_S = 1.5
#: Seconds after which a create has certainly ended, by Frappe's own time-outs (database
#: lock 50 s, request 120 s).
_CREATE_ENDS_S = 120.0
#: Most enrollments of one learner and course to update with the state of the LMS's
#: rows.
_MAX_ROWS = 100
#: Seconds before a row that appeared and vanished is inserted again.
_GONE_AGAIN_S = 2.0
_USERS = "lms.users"
_BLIND = (
    "the LMS accepted an enrolment that our key can't see: "
    "give the API user the role Moderator"
)

#: LMS statuses of an enrollment that has yet to be updated.
_UNTOLD = frozenset({LMSStatus.PENDING, LMSStatus.RETRYING, LMSStatus.DEAD})

_NO_ACCOUNT = "the learner has no account in the LMS: let them sign up, then requeue"
_DISABLED = "the learner's account in the LMS is disabled: enable it, then requeue"


class Sync:
    """Runs ``sync`` jobs. Thread-safe: it keeps nothing between calls."""

    def __init__(self, context: Context, settle: Settle) -> None:
        self._context = context
        self._settle = settle

    def run(self, claim: Claim) -> Outcome:
        """Bring the LMS in line with our enrollments of the pair."""
        run = _Run(self._context, self._settle, claim)
        return run.ensure_row() if run.entitled else run.ensure_none()

    def owe_again(self, claim: Claim) -> None:
        """
        After a lost lease, record what we did meanwhile, and have it looked at again.

        This write needs no fence: what is known only grows.
        """
        job, now = claim.job, self._context.now()
        self._context.storage.jobs.enqueue(
            job.key, job.kind, job.payload or {}, now, now=now, data=claim.data
        )

    def report(self, job: Job, status: LMSStatus) -> None:
        """Record on the entitled enrollments that the job waits or is dead."""
        payload = job.payload or {}
        rows = self._context.storage.enrollments.list_for_sync(
            payload["email"], payload["course_id"]
        )
        for row in rows:
            if row.status in ENTITLED:
                self._settle.run(row.id, lms=LMSReport(status=status))


class _Run:
    """One try."""

    def __init__(self, context: Context, settle: Settle, claim: Claim) -> None:
        self._context, self._settle, self._claim = context, settle, claim
        self._lms = context.lms
        self._settled: list[Enrollment] = []
        payload = claim.job.payload or {}
        self._email: str = payload["email"]
        self._learner: str = payload["learner"]
        self._course: str = payload["course_id"]
        self._rows = context.storage.enrollments.list_for_sync(
            self._email, self._course
        )
        self.entitled = [row for row in self._rows if row.status in ENTITLED]
        # What the LMS has answered about the pair so far, and what was sent.
        self._pair = Pair(claim.data)
        capped = self._pair.cap(context.now())
        if capped != self._pair:
            self._learn(capped)

    def _learn(self, pair: Pair) -> None:
        self._claim.learn(pair.data)
        self._pair = Pair(self._claim.data)

    # What is ours, and what is not.

    def _find(self) -> tuple[LMSEnrollment, ...]:
        timeout_s = self._claim.timeout_s(self._lms.call_timeout_s)
        return self._lms.find_enrollments(
            self._learner, self._course, timeout_s=timeout_s
        )

    def _look(self) -> tuple[LMSEnrollment, ...]:
        found = self._find()
        if not found and self._pair.is_blind:
            raise BlindKeyError(_BLIND)
        return found

    def _judge(self, found: Sequence[LMSEnrollment], *, wanted: bool) -> Judgement:
        user = ""
        if must_know_user(self._pair, found):
            user = user_of(self._lms, self._claim.timeout_s(self._lms.call_timeout_s))
        judged = judge_pair(self._pair, found, self._rows, wanted=wanted, user=user)
        self._learn(judged.pair)
        return judged

    # Entitled: exactly one.

    def ensure_row(self) -> Outcome:
        found = self._look()
        if not found:
            outcome = self._insert()
            if outcome is not None:
                return outcome
            found = self._look()
        judged = self._judge(found, wanted=True)
        if judged.keep is None:
            # The LMS refused it because of a row that has since vanished.
            return Snooze(_GONE_AGAIN_S)
        self._heal(judged)
        self._mark_sales()
        for row in self.entitled:
            self._tell(row, judged)
        return self._rest("enrolled")

    def _insert(self) -> Outcome | None:
        call_s, verify_s = self._lms.call_timeout_s, self._verify_s
        settles_at = self._pair.settles_at(verify_s, call_s)
        if settles_at is not None and settles_at > self._context.now():
            # An earlier one may still land.
            return Snooze(self._until(settles_at))
        learner = self._ensure_learner()
        if not isinstance(learner, str):
            return learner
        self._learner = learner
        progress = next((r.lms_progress for r in self.entitled if r.lms_progress), None)
        insert = self._context.new_op_id()
        self._begin_write(self._pair.begin(insert, self._context.now()))
        try:
            row = self._enroll(learner, progress)
        except BackendRejectedError as error:
            self._learn(self._pair.refuse(insert))
            # Frappe has no specific error for an existing row: look.
            if self._find():
                return None
            return Dead(f"course {self._course}: {error}", error.code)
        except Exception as error:
            # Count the time taken: the process may have been suspended meanwhile.
            ended = self._pair.end(insert, self._context.now())
            self._learn(self._pair.refuse(insert) if _made_nothing(error) else ended)
            raise
        self._learn(self._pair.answer(insert, row.name))
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
        """Return the LMS's name for the learner, or why there is none yet."""
        settings, most = self._context.settings, self._lms.call_timeout_s
        user = self._lms.find_user(self._email, timeout_s=self._claim.timeout_s(most))
        if user is None and settings.missing_learners == "refuse":
            return Dead(_NO_ACCOUNT, "no_account")
        if user is None:
            user = self._create_user()
        if user is None:
            return Snooze(_PERMIT_WAIT_S)
        if not user.enabled and settings.disabled_learners == "refuse":
            return Dead(_DISABLED, "learner_disabled")
        if not user.enabled:
            self._alert("learner_disabled", self.entitled[-1].id)
        return user.name

    def _create_user(self) -> Learner | None:
        """Create the learner; None = no permit yet, as Frappe deadlocks beyond two."""
        gates, now, most = (
            self._context.storage.gates,
            self._context.now(),
            self._lms.call_timeout_s,
        )
        until = now + timedelta(seconds=max(most * 2, _CREATE_ENDS_S))
        key, still_works = self._claim.job.key, False
        if not gates.hold(_USERS, key, USER_PERMITS, now, until):
            return None
        try:
            self._begin_write(min_s=_CREATE_S)
            timeout_s = self._claim.timeout_s(most)
            return self._lms.create_user(
                self._email, self.entitled[-1].full_name, timeout_s=timeout_s
            )
        except LMSUnavailableError as error:
            # It may still hold the lock that the next one needs: let the permit lapse.
            still_works = error.unclear
            raise
        finally:
            if not still_works:
                gates.drop(_USERS, key)

    def _begin_write(self, pair: Pair | None = None, *, min_s: float = 1.0) -> None:
        known = pair or self._pair
        call_s = self._lms.call_timeout_s
        self._claim.begin_write(call_s, known.data, min_s=min_s)
        self._pair = Pair(self._claim.data)

    def _heal(self, judged: Judgement, holds: Sequence[str] = ()) -> None:
        """Remove our surplus rows; alert on all other surplus rows."""
        for row in judged.remove:
            self._delete(row)
        for row in judged.stay:
            why = {"why": _why(row, holds)}
            self._alert("lms_row_not_removable", detail=_names(judged, row) | why)
        for row in judged.strange:
            if judged.keep is not None:
                self._alert("lms_duplicate_not_ours", detail=_names(judged, row))
            else:
                self._alert("lms_row_unclear", detail=_names(judged, row))

    def _delete(self, row: LMSEnrollment) -> None:
        # It may land late, after the learner is entitled again.
        self._begin_write(self._pair.remove(row.name, self._context.now()))
        timeout_s = self._claim.timeout_s(self._lms.call_timeout_s)
        self._lms.delete_enrollment(row.name, timeout_s=timeout_s)
        self._learn(self._pair.miss([row.name]))

    def _tell(self, row: Enrollment, judged: Judgement) -> None:
        keep = judged.keep
        assert keep is not None  # noqa: S101  asked before
        ours = keep.name in judged.ours
        if not ours and row.amount and row.status is Status.CONFIRMED:
            # Alert once: a row that existed without us is not new the next time.
            raise_alert(self._context, "paid_but_already_enrolled", row.id, "")
        report = LMSReport(status=LMSStatus.SYNCED, name=keep.name, ours=ours)
        self._settled.append(self._settle.run(row.id, lms=report))

    # Not entitled: none of ours.

    def ensure_none(self) -> Outcome:
        # First: while the LMS records a valid sale, the learner may enroll again for
        # free.
        self._mark_sales()
        named = any(row.lms_enrollment_id for row in self._rows)
        if not (self._pair.made or self._pair.left or named):
            self._tell_none()
            return Done("nothing_to_remove")
        found = self._look()
        judged = self._judge(found, wanted=False)
        holds = self._find_holds() if judged.remove else ()
        if holds:
            judged = judged.keep_all()
        self._heal(judged, holds)
        progress = next((row.progress for row in judged.remove if row.progress), None)
        gone = {row.name for row in judged.remove}
        left = [row for row in found if row.name not in gone]
        ours = next((row for row in left if row.name in judged.ours), None)
        kept = ours or next((row for row in left), None)
        if kept is None:
            self._tell_none(progress)
            return self._rest("removed")
        why = _why(kept, holds) if ours else "it is not ours"
        self._tell_none(progress, kept.name, why, ours=ours is not None)
        return self._rest("row_stays")

    def _tell_none(
        self,
        progress: float | None = None,
        name: str | None = None,
        why: str = "",
        *,
        ours: bool = False,
    ) -> None:
        """Record on the enrollments that the LMS has none of ours, or why it does."""
        report = LMSReport(
            status=LMSStatus.SYNCED, name=name, ours=ours, progress=progress, left=why
        )
        waiting = (row for row in self._all_rows() if row.lms_status in _UNTOLD)
        told = {row.id for row in (*self._rows, *waiting) if row.status not in UNPAID}
        for enrollment_id in sorted(told):
            self._settled.append(self._settle.run(enrollment_id, lms=report))

    def _find_holds(self) -> tuple[str, ...]:
        """Return what else in the LMS uses the row, if it can be asked."""
        if not hasattr(self._lms, "find_holds"):
            return ()
        timeout_s = self._claim.timeout_s(self._lms.call_timeout_s)
        return cast("HoldingLMS", self._lms).find_holds(
            self._learner, self._course, timeout_s=timeout_s
        )

    def _all_rows(self) -> tuple[Enrollment, ...]:
        """Return the pair's newest enrollments, including those without a row."""
        return self._context.storage.enrollments.list(
            email=self._email, course_id=self._course, limit=_MAX_ROWS
        ).items

    def _mark_sales(self) -> None:
        """Record in the LMS, for each payment, whether its sale is still valid."""
        if not getattr(self._lms, "keeps_books", False):
            return
        books = cast("SellingLMS", self._lms)
        for row in self._all_rows():
            if row.payment_id is not None and row.status not in UNPAID:
                self._begin_write()
                books.mark_sale(
                    sale_of(row),
                    received=row.status in ENTITLED,
                    timeout_s=self._claim.timeout_s(self._lms.call_timeout_s),
                )

    # Unaccounted inserts.

    def _rest(self, word: str) -> Outcome:
        """Return the outcome, or the next look while an insert may still land."""
        look_at = self._pair.next_look(
            self._context.now(), self._verify_s, self._lms.call_timeout_s
        )
        if look_at is not None:
            return Snooze(self._until(look_at))
        return Settled(word, enrollments=tuple(self._settled))

    @property
    def _verify_s(self) -> float:
        return self._context.settings.verify_after_s

    def _until(self, moment: datetime) -> float:
        return max((moment - self._context.now()).total_seconds(), 0.0)

    def _alert(
        self,
        code: str,
        subject: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        job, more = self._claim.job, detail or {}
        occasion = ":".join([job.key, str(job.seq), *more.values()])
        raise_alert(self._context, code, subject or job.key, occasion, more)


def _why(row: LMSEnrollment, holds: Sequence[str]) -> str:
    """Explain why a row of ours is not removed."""
    fields = {"batch": row.batch, "certificate": row.certificate}
    causes = [f"{name} {value}" for name, value in fields.items() if value]
    if row.member_type != "Student":
        causes.append(f"its member is {row.member_type}")
    return ", ".join(dict.fromkeys([*causes, *holds]))


def _names(judged: Judgement, row: LMSEnrollment) -> dict[str, str]:
    """Return an alert's details about a row: its name, and that of the kept one."""
    kept = {} if judged.keep is None else {"kept": judged.keep.name}
    return kept | {"row": row.name}


def _made_nothing(error: Exception) -> bool:
    """Tell whether a call that failed like this has certainly had no effect."""
    if isinstance(error, LMSUnavailableError):
        return not error.unclear
    return isinstance(error, BackendRefusedError | ThrottledError)


def owned_by(rows: Sequence[Enrollment]) -> frozenset[str]:
    """Return the LMS rows that our enrollments record as ours."""
    names = {row.lms_enrollment_id for row in rows if row.lms_row_ours}
    return frozenset(name for name in names if name)


def user_of(lms: LMS, timeout_s: float | None = None) -> str:
    """Return our key's user, or "" if the LMS does not reveal it."""
    try:
        return lms.whoami(timeout_s=timeout_s)
    except (BackendRejectedError, BackendRefusedError):
        return ""


def judge_pair(
    pair: Pair,
    found: Sequence[LMSEnrollment],
    rows: Sequence[Enrollment],
    *,
    wanted: bool,
    user: str,
) -> Judgement:
    """Judge the result of a look by what is known and what our enrollments record."""
    named = {row.lms_enrollment_id for row in rows} - {None}
    return judge_rows(
        pair,
        found,
        wanted=wanted,
        user=user,
        owned=owned_by(rows),
        named=[name for name in named if name],
    )


def sale_of(row: Enrollment) -> Sale:
    """Return an enrollment's sale."""
    return Sale(
        enrollment_id=row.id,
        full_name=row.full_name,
        amount=row.amount,
        payment_id=row.payment_id,
        affiliate=row.affiliate,
    )

# SPDX-License-Identifier: MIT
"""Reading enrollments, and the operators' words on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import EnrollmentNotFoundError, TokenError, TransitionError
from ...ids import token_matches
from ...models import Enrollment, HistoryEntry, LMSStatus, Override, Page, Status
from .. import validate
from ..settle.decision import OperatorAction, Wish
from .privacy import is_erased
from .reassign import reassign


if TYPE_CHECKING:
    from ..context import Context
    from ..jobs.inline import Inline
    from ..settle.settle import Settle


#: Words that need a learner.
_ENTITLING = frozenset({Override.ACCEPTED, Override.REINSTATED})


class Enrollments:
    """Enrollments of one SDK. Thread-safe."""

    def __init__(self, context: Context, settle: Settle, inline: Inline) -> None:
        self._context, self._settle, self._inline = context, settle, inline

    def get(self, enrollment_id: str) -> Enrollment:
        """
        Return an enrollment.

        Raises:
            EnrollmentNotFoundError: There is none.
        """
        name = validate.text(enrollment_id, "enrollment_id")
        row = self._context.storage.enrollments.find(name)
        if row is None:
            raise EnrollmentNotFoundError(field="enrollment_id")
        return row

    def get_with_token(self, enrollment_id: str, token: str) -> Enrollment:
        """
        Return an enrollment to the learner that holds its token.

        Raises:
            TokenError: The token does not fit, or there is no such enrollment (one
                answer for both, so that nobody can probe ids).
        """
        try:
            row = self.get(enrollment_id)
        except EnrollmentNotFoundError as error:
            raise TokenError(field="token") from error
        if not token_matches(str(token), row.token_hash):
            raise TokenError(field="token")
        return row

    def list(
        self,
        *,
        email: str | None = None,
        course_id: str | None = None,
        status: Status | str | None = None,
        lms_status: LMSStatus | str | None = None,
        coupon_code: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Enrollment]:
        """Return enrollments, newest first."""
        return self._context.storage.enrollments.list(
            email=validate.email(email) if email is not None else None,
            course_id=course_id,
            status=validate.optional_choice(Status, status, "status"),
            lms_status=validate.optional_choice(LMSStatus, lms_status, "lms_status"),
            coupon_code=coupon_code,
            **validate.paging(limit, cursor),
        )

    def history(self, enrollment_id: str) -> tuple[HistoryEntry, ...]:
        """Return the audit trail of an enrollment, oldest first."""
        return self.get(enrollment_id).history

    def cancel(self, enrollment_id: str, token: str) -> Enrollment:
        """
        End an enrollment that is not paid: session first, coupon after.

        One that turns out to be paid is completed instead.
        """
        row = self.get_with_token(enrollment_id, token)
        return self._settle(row.id, wish=Wish.CANCEL)

    def confirm_return(self, session_id: str) -> Enrollment:
        """See `EnrollSDK.confirm_return`."""
        name = validate.text(session_id, "session_id", most=255)
        row = self._context.storage.enrollments.find_by_session(name)
        if row is None:
            raise EnrollmentNotFoundError(field="session_id")
        row = self._settle(row.id)
        return self._inline.sync(row)

    def revoke(self, enrollment_id: str, actor: str, reason: str) -> Enrollment:
        """
        Take the right to the course away, or end an attempt that nobody has paid.

        The session of an attempt is expired first. Where the provider does not know it,
        or fails past its end, the word is enough; what is paid later is held.

        Raises:
            TransitionError: It is neither entitled nor unpaid.
        """
        return self._act(enrollment_id, Override.REVOKED, actor, reason)

    def reinstate(self, enrollment_id: str, actor: str, reason: str) -> Enrollment:
        """Give the right back; raises `TransitionError` unless it is revoked."""
        return self._act(enrollment_id, Override.REINSTATED, actor, reason)

    def accept(self, enrollment_id: str, actor: str, reason: str) -> Enrollment:
        """Enroll one that is on hold; raises `TransitionError` for any other."""
        return self._act(enrollment_id, Override.ACCEPTED, actor, reason)

    def dismiss(self, enrollment_id: str, actor: str, reason: str) -> Enrollment:
        """End one that is on hold; raises `TransitionError` for any other."""
        return self._act(enrollment_id, Override.DISMISSED, actor, reason)

    def reassign(
        self, enrollment_id: str, new_email: str, actor: str, reason: str
    ) -> Enrollment:
        """
        Give the right to the course to another learner; return the new enrollment.

        The payment goes over to it: a refund revokes the new one.

        Raises:
            TransitionError: It is not entitled.
            AlreadyEnrolledError: The new learner has an enrollment of this course.
        """
        who, why = validate.words(actor, reason)
        old = self.get(enrollment_id)
        new = reassign(
            self._context,
            self._settle,
            old,
            validate.email(new_email),
            actor=who,
            reason=why,
        )
        return self._inline.sync(new)

    def _act(
        self, enrollment_id: str, override: Override, actor: str, reason: str
    ) -> Enrollment:
        who, why = validate.words(actor, reason)
        action = OperatorAction(override=override, actor=who, reason=why)
        row = self.get(enrollment_id)
        if override in _ENTITLING and is_erased(row.email):
            raise TransitionError(f"{row.id}: its learner was erased")
        return self._settle(row.id, wish=Wish.END, action=action)

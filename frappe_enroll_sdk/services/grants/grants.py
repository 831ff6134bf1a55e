# SPDX-License-Identifier: MIT
"""Grants: applying, approving, rejecting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from ...codec import moment_of, text_of
from ...errors import ConflictError, EnrollError, NotFoundError, TransitionError
from ...errors import ValidationError as _ValidationError
from ...ids import new_coupon_code
from ...models import Actor, Coupon, Grant, GrantField, GrantStatus, Page
from ...models.jobs import GRANT_KIND
from ...outcomes import Dead, Done, Outcome, Snooze
from .. import audit, validate
from ..coupons.coupons import percent_off_of
from . import form as grant_form


if TYPE_CHECKING:
    from ...models import Job
    from ..catalogue import Catalogue
    from ..context import Context

#: Days for which a grant's coupon is valid.
DAYS = 30
#: How long to wait for a decision that is being written.
_UNDECIDED = timedelta(hours=1)
_MAX_RACES = 20
#: Most pending applications that a new one is compared with.
_MAX_COMPARED = 20


class Grants:
    """The grants of one SDK. Thread-safe."""

    def __init__(self, context: Context, catalogue: Catalogue) -> None:
        self._context, self._catalogue = context, catalogue

    def apply(
        self,
        *,
        course_id: str,
        email: str,
        full_name: str | None = None,
        answers: Mapping[str, Any] | None = None,
    ) -> Grant:
        """
        Apply for a grant.

        Anybody may apply under anybody's address, so no application blocks another: all
        are kept, and an operator decides which one counts. Repeating a pending
        application returns that one.

        Args:
            course_id: The course.
            email: The learner's address.
            full_name: The learner's name.
            answers: Answers by field: texts, numbers, flags.

        Raises:
            ValidationError: Names the field.
            VetoedError: A plugin's `check_grant` refuses.
        """
        address = validate.email(email)
        fields = self.require_answers(answers or {})
        course = self._catalogue.get(validate.text(course_id, "course_id"))
        self._context.plugins.check(
            "check_grant", course_id=course.id, email=address, answers=fields
        )
        now, name = self._context.now(), validate.optional_text(full_name, "full_name")
        waiting = self._context.storage.grants.list(
            email=address,
            course_id=course.id,
            status=GrantStatus.PENDING,
            limit=_MAX_COMPARED,
        )
        for one in waiting.items:
            if (one.full_name, one.answers) == (name, fields):
                return one
        return self._context.storage.grants.open(
            Grant(
                id=f"grt_{self._context.ambient.token_hex(16)}",
                email=address,
                full_name=name,
                course_id=course.id,
                answers=fields,
                op_id=self._context.new_op_id(),
                created_at=now,
                updated_at=now,
            )
        )

    def form(self) -> tuple[GrantField, ...]:
        """Return the fields that plugins declare; () = any answers are accepted."""
        return self._context.plugins.grant_fields()

    def require_answers(self, answers: Any) -> dict[str, Any]:
        """Validate and return a form's answers; ValidationError names the field."""
        return grant_form.require_answers(self.form(), grant_form.plain(answers))

    def get(self, grant_id: str) -> Grant:
        """
        Return a grant.

        Raises:
            NotFoundError: There is none.
        """
        name = validate.text(grant_id, "grant_id")
        found = self._context.storage.grants.find(name)
        if found is None:
            raise NotFoundError(field="grant_id")
        return found

    def list(
        self,
        *,
        email: str | None = None,
        course_id: str | None = None,
        status: GrantStatus | str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Grant]:
        """Return grants, newest first."""
        return self._context.storage.grants.list(
            email=validate.stored_email(email) if email is not None else None,
            course_id=course_id,
            status=validate.optional_choice(GrantStatus, status, "status"),
            **validate.paging(limit, cursor),
        )

    def approve(
        self,
        grant_id: str,
        percent_off: Decimal | int | str,
        *,
        actor: str,
        reason: str,
        expires_at: datetime | None = None,
    ) -> Grant:
        """
        Approve: write the code with the decision, then create the coupon from it.

        Of several simultaneous decisions only one is written, and only it creates a
        coupon; of one learner's applications for one course, only one can be approved.

        Args:
            grant_id: The grant.
            percent_off: Greater than 0, at most 100.
            actor: Who decides.
            reason: Why.
            expires_at: When the coupon lapses; in 30 days if not given.

        Raises:
            NotFoundError: There is no such grant.
            TransitionError: It has already been decided, or another application of the
                learner is approved; the text names it.
        """
        until = self._context.now() + timedelta(days=DAYS)
        if expires_at is not None:
            until = validate.moment(expires_at, "expires_at")
        if until <= self._context.now():
            raise _ValidationError(
                "expires_at: must be in the future", field="expires_at"
            )
        return self._decide(
            grant_id,
            audit.require_actor(actor, reason),
            status=GrantStatus.APPROVED,
            code=new_coupon_code(ambient=self._context.ambient),
            percent_off=percent_off_of(percent_off),
            expires_at=until,
        )

    def reject(self, grant_id: str, *, actor: str, reason: str) -> Grant:
        """
        Reject; the learner may apply again.

        Raises:
            NotFoundError: There is no such grant.
            TransitionError: It has already been decided.
        """
        return self._decide(
            grant_id,
            audit.require_actor(actor, reason),
            status=GrantStatus.REJECTED,
        )

    def approve_many(
        self,
        grant_ids: Iterable[str],
        percent_off: Decimal | int | str,
        *,
        actor: str,
        reason: str,
    ) -> dict[str, str]:
        """Approve each separately; return its coupon code, or an error code, per id."""
        percent_off_of(percent_off)
        answers: dict[str, str] = {}
        for grant_id in grant_ids:
            try:
                done = self.approve(grant_id, percent_off, actor=actor, reason=reason)
                answers[grant_id] = done.code or ""
            except EnrollError as error:
                if error.retryable:
                    raise
                answers[grant_id] = f"error: {error.code}"
        return answers

    def _decide(self, grant_id: str, by: Actor, **changes: Any) -> Grant:
        store = self._context.storage.grants
        for _ in range(_MAX_RACES):
            before = self.get(grant_id)
            if before.status is not GrantStatus.PENDING:
                raise TransitionError(f"the grant is {before.status} already")
            if changes["status"] is GrantStatus.APPROVED:
                self._require_only(before)
            after = attrs.evolve(
                before,
                version=before.version + 1,
                actor=by.name,
                reason=by.reason,
                op_id=self._context.new_op_id(),
                updated_at=self._context.now(),
                **changes,
            )
            # Enqueue the job before deciding: if the process dies in between, the job
            # finds nothing to do; if it dies right after, the job completes the
            # decision.
            self._owe(after)
            if store.replace(after):
                self._follow(after)
                audit.write(
                    self._context,
                    by,
                    f"grant_{after.status}",
                    after.id,
                    entry_id=f"{after.id}:{after.version}",
                    at=after.updated_at,
                )
                return after
        raise ConflictError("the grant keeps changing; try again")

    def _require_only(self, grant: Grant) -> None:
        approved = self._context.storage.grants.list(
            email=grant.email,
            course_id=grant.course_id,
            status=GrantStatus.APPROVED,
            limit=1,
        )
        for other in approved.items:
            raise TransitionError(f"{other.id} is already approved for this learner")

    def _owe(self, grant: Grant) -> None:
        now = self._context.now()
        self._context.storage.jobs.enqueue(
            f"{GRANT_KIND}:{grant.id}",
            GRANT_KIND,
            {"grant_id": grant.id, "until": text_of(now + _UNDECIDED)},
            now + self._context.grace,
            now=now,
        )

    def follow(self, job: Job) -> Outcome:
        """Ensure the decision's effects: the coupon and the plugins' jobs."""
        payload = job.payload or {}
        grant = self._context.storage.grants.find(str(payload.get("grant_id")))
        if grant is None:
            return Dead("the grant is gone")
        until = moment_of(str(payload.get("until")))
        if grant.status is GrantStatus.PENDING and self._context.now() < until:
            return Snooze(self._context.settle_policy.grace_s)
        self._follow(grant)
        return Done(str(grant.status))

    def _follow(self, grant: Grant) -> None:
        if grant.status is GrantStatus.PENDING:
            return
        if grant.code is not None and grant.percent_off is not None:
            # False = the code exists; being random, it can only be this grant's.
            self._context.storage.coupons.create(
                Coupon(
                    code=grant.code,
                    percent_off=grant.percent_off,
                    course_id=grant.course_id,
                    email=grant.email,
                    expires_at=grant.expires_at,
                    created_at=grant.updated_at,
                )
            )
        now, fact = self._context.now(), f"grant_{grant.status}"
        for kind in self._context.plugins.job_kinds(fact):
            self._context.storage.jobs.enqueue(
                f"{kind}:{grant.id}:{fact}",
                kind,
                {"grant_id": grant.id, "fact": fact},
                now,
                now=now,
                once=True,
            )

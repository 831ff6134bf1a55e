# SPDX-License-Identifier: MIT
"""
What operators change, each written into the audit trail with actor and reason.

The admin API and the dashboard call these; nothing else changes anything for them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import Coupon, Enrollment, GatePolicy, Job
from frappe_enroll_sdk.services import validate
from frappe_enroll_sdk.services.operators.differences import Report
from frappe_enroll_sdk.services.payments.replay import Pulled


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

    from .routing import Operator

VERBS = ("revoke", "reinstate", "accept", "dismiss")
BACKENDS = ("lms", "payments")


class Orders:
    """
    The orders of one operator over one SDK, with the reason for them.

    Raises:
        ValidationError: There is no reason: then nothing is changed at all.
    """

    def __init__(self, sdk: EnrollSDK, who: Operator, reason: str) -> None:
        self._sdk, self._actor = sdk, who.name
        self._reason = validate.text(reason, "reason", most=500)

    def enrollment(self, verb: str, enrollment_id: str) -> Enrollment:
        """Speak a word on an enrollment: one of `VERBS`."""
        if verb not in VERBS:
            raise NotFoundError
        row: Enrollment = getattr(self._sdk.enrollments, verb)(
            enrollment_id, self._actor, self._reason
        )
        return row

    def retry(self, name: str) -> None:
        """Make a job due now: by its key, an event's id or an enrollment's id."""
        self._sdk.admin.retry(name, actor=self._actor, reason=self._reason)

    def bury(self, name: str) -> None:
        """End a job that waits as dead."""
        self._sdk.admin.bury(name, actor=self._actor, reason=self._reason)

    def requeue(self, limit: int, kind: str | None) -> int:
        """Make dead jobs due now; return how many."""
        return self._sdk.admin.requeue(
            limit, kind=kind, actor=self._actor, reason=self._reason
        )

    def reassign(self, enrollment_id: str, email: str) -> Enrollment:
        """Give the right to the course to another learner; return the new row."""
        return self._sdk.enrollments.reassign(
            enrollment_id, email, self._actor, self._reason
        )

    def accept(self, name: str, enrollment_id: str | None) -> Enrollment:
        """Accept what is quarantined, by an enrollment's or an event's id."""
        return self._sdk.admin.accept(
            name, self._actor, self._reason, enrollment_id=enrollment_id
        )

    def dismiss(self, name: str) -> str:
        """Put aside what is quarantined; return what it is now."""
        return self._sdk.admin.dismiss(name, self._actor, self._reason)

    def replay(self, event_id: str, *, notify: bool = True) -> Job:
        """Give a stored event its effect again."""
        return self._sdk.admin.replay_event(
            event_id, actor=self._actor, reason=self._reason, notify=notify
        )

    def pull(self, since: str, *, notify: bool, limit: int) -> Pulled:
        """Feed the events that the provider has since a moment and we missed."""
        return self._sdk.admin.pull_events(
            validate.moment_of(since, "since"),
            actor=self._actor,
            reason=self._reason,
            notify=notify,
            limit=limit,
        )

    def create_coupon(self, terms: dict[str, Any]) -> Coupon:
        """Create a coupon; without a course it is good for every one."""
        terms["any_course"] = terms.get("course_id") is None
        for name in ("starts_at", "expires_at"):
            if terms.get(name):
                terms[name] = validate.moment_of(terms[name], name)
        coupon = self._sdk.coupons.create(**terms)
        self._note("create_coupon", coupon.code)
        return coupon

    def disable_coupon(self, code: str) -> Coupon:
        """Disable a coupon."""
        # Said first: what is there will be disabled, whoever dies in between.
        self._note("disable_coupon", self._sdk.coupons.get(code).code)
        self._sdk.coupons.disable(code)
        return self._sdk.coupons.get(code)

    def prune(self, events_days: int, jobs_days: int) -> tuple[int, int]:
        """Null old events' payloads and drop old done jobs; return both counts."""
        with self._order("prune", "store") as told:
            counts = self._sdk.admin.prune(
                events_older_than=timedelta(days=events_days),
                jobs_older_than=timedelta(days=jobs_days),
            )
            told.update(events=counts[0], jobs=counts[1])
        return counts

    def reconcile(self, *, repair: bool, limit: int, cursor: str | None) -> Report:
        """Compare (and repair) one page of the three sides."""
        if not repair:
            return self._sdk.admin.reconcile(limit=limit, cursor=cursor)
        with self._order("reconcile", cursor or "begin") as told:
            report = self._sdk.admin.reconcile(repair=True, limit=limit, cursor=cursor)
            told["findings"] = len(report.findings)
        return report

    def probe(self, backend: str) -> bool:
        """Ask a backend now and tell its breaker; return whether it works."""
        if backend not in BACKENDS:
            raise NotFoundError
        works = self._sdk.ping()[backend] == "ok"
        settings = self._sdk.settings
        policy = GatePolicy(closed_s=settings.gate_closed_s)
        now = self._sdk.clock.now()
        self._sdk.storage.gates.report(backend, ok=works, now=now, policy=policy)
        self._note("probe_backend", backend, works=works)
        return works

    def _order(
        self, action: str, subject: str, **detail: Any
    ) -> AbstractContextManager[dict[str, Any]]:
        return self._sdk.admin.order(
            self._actor, action, subject, self._reason, **detail
        )

    def _note(self, action: str, subject: str, **detail: Any) -> None:
        self._sdk.admin.note(self._actor, action, subject, self._reason, **detail)

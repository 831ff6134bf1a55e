# SPDX-License-Identifier: MIT
"""
The hooks (pluggy), one manager per `EnrollSDK`.

Error policy: `on_*` observers run after the write that they report, at most once,
each isolated (one that raises is logged and counted, the others still run).
`check_*` hooks may veto and fail closed. What must happen is a job (`register_jobs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy


if TYPE_CHECKING:
    from .models import Course, Enrollment, GrantField, Job
    from .settings import Settings


__all__ = ("OBSERVERS", "PROJECT", "HookSpecs", "hookimpl")


PROJECT = "frappe_enroll_sdk"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class HookSpecs:
    """All hooks and their arguments; an implementation may name any of them."""

    @hookspec
    def register_backends(self, register: Callable[[str, str, str], None]) -> None:
        """
        Register backends: ``register(kind, name, "package.module:Class")``.

        Called: once, when the SDK is created. `kind` is storage, payments or lms; the
        target is imported when settings choose it, and built by its
        ``from_settings(settings, clock)``.
        """

    @hookspec
    def register_jobs(
        self, register: Callable[..., None], settings: Settings | None
    ) -> None:
        """
        Register job handlers: ``register(kind, handler, on=("enrolled",))``.

        Called: once, when the SDK is created. Each fact in `on` enqueues one job; the
        handler gets a `JobContext` and returns Done, Retry, Snooze or Dead. `settings`
        contain the plugin's own (``settings/plugins.py``).
        """

    @hookspec
    def register_commands(self, register: Callable[[Any], None]) -> None:
        """
        Add click commands to ``frappe-enroll``: ``register(command)``.

        Called: when the command line is given a command that is not built in.
        """

    @hookspec
    def enrich_checkout(
        self, enrollment: Enrollment
    ) -> Mapping[str, Mapping[str, Any]] | None:
        """
        Add to a checkout session: ``{"metadata": {…}, "parameters": {…}}``.

        Called: before a create request is stored. Errors: the checkout fails (503).
        Allowed parameters: locale, automatic_tax, tax_id_collection, invoice_creation,
        payment_method_types.
        """

    @hookspec
    def check_checkout(
        self, course: Course, email: str, coupon_code: str | None
    ) -> None:
        """
        Veto a checkout by raising a `RejectedError` (any other error: 503).

        Called: before anything is written.
        """

    @hookspec
    def grant_fields(self) -> Sequence[GrantField] | None:
        """
        Declare fields of the grant application form (`models.GrantField`).

        Called: for each application and wherever the form is shown. If any plugin
        declares fields, no other answers are accepted. Errors: the application fails
        (503).
        """

    @hookspec
    def check_grant(
        self, course_id: str, email: str, answers: Mapping[str, Any]
    ) -> None:
        """
        Veto a grant application by raising a `RejectedError` (any other error: 503).

        Called: after the answers have been validated; check your own rules here.
        """

    @hookspec
    def check_coupon(self, code: str, course_id: str, email: str) -> None:
        """
        Veto a coupon by raising a `RejectedError` (any other error: 503).

        Called: after the coupon's own terms have been checked.
        """

    @hookspec(firstresult=True)
    def get_course(self, course_id: str) -> Course | None:
        """
        Return the course and its price in place of the LMS's; None = ask the next.

        Called: when the catalogue's cache has no fresh entry. First result wins.
        """

    @hookspec(firstresult=True)
    def decide_retry(self, job: Job, code: str, tries: int) -> float | None:
        """
        Override the retry schedule: seconds until the next try; below 0 = dead now.

        Called: when a try has failed and counts, or never ended ("lease_lapsed": the
        job has been claimed again already, so the answer only decides whether it goes
        on); None = ask the next, then the schedule. A job may have more tries than the
        schedule. Errors: logged, and the schedule applies. First result wins.
        """

    @hookspec(firstresult=True)
    def authenticate_admin(
        self, environ: Mapping[str, Any]
    ) -> str | tuple[str, str] | None:
        """
        Return the operator logged in to the host who sends an admin request, or None.

        A name, or ``(name, "viewer")`` for read-only access. Called: for each admin
        request without a bearer token or cookie of ours. First result wins.
        """

    @hookspec(firstresult=True)
    def authenticate_learner(self, environ: Mapping[str, Any]) -> str | None:
        """
        Return the e-mail address that the host's own login proves, or None.

        Return only an address whose owner has been verified (by a link mailed there, or
        by the identity provider). Called: for each checkout over HTTP. A caller with
        this address resumes what was opened under it. Errors: the checkout fails (503).
        First result wins.
        """

    @hookspec
    def on_coupon_reserved(self, enrollment: Enrollment) -> None:
        """Observe that the enrollment holds a seat on its coupon."""

    @hookspec
    def on_coupon_redeemed(self, enrollment: Enrollment) -> None:
        """Observe that the coupon is redeemed for good."""

    @hookspec
    def on_coupon_released(self, enrollment: Enrollment) -> None:
        """Observe that the seat was released."""

    @hookspec
    def on_payment_confirmed(self, enrollment: Enrollment) -> None:
        """Observe that the payment is verified."""

    @hookspec
    def on_payment_failed(self, enrollment: Enrollment) -> None:
        """Observe that a delayed payment failed for good."""

    @hookspec
    def on_payment_refunded(self, enrollment: Enrollment) -> None:
        """Observe that money was refunded."""

    @hookspec
    def on_enrolled(self, enrollment: Enrollment) -> None:
        """Observe that the LMS has the enrolment."""

    @hookspec
    def on_enrollment_revoked(self, enrollment: Enrollment) -> None:
        """Observe that the learner is no longer entitled."""

    @hookspec
    def on_job_retried(self, job: Job, cause: str) -> None:
        """Observe that a try failed and the job is back on the schedule."""

    @hookspec
    def on_job_dead(self, job: Job, cause: str) -> None:
        """Observe that a job is dead."""

    @hookspec
    def on_alert(self, code: str, subject: str, detail: Mapping[str, str]) -> None:
        """Observe something that needs an operator's attention."""


#: Hooks that only observe.
OBSERVERS: Sequence[str] = tuple(
    name for name in vars(HookSpecs) if name.startswith("on_")
)

# SPDX-License-Identifier: MIT
"""Builds the services of one SDK, each once, and what they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

from .backoff import RetryPolicy
from .errors import SettingsError
from .metrics import NoMetrics, SafeMetrics
from .models import GatePolicy
from .models.jobs import (
    COMMISSION_KIND,
    EVENT_KIND,
    GRANT_KIND,
    PAIR_KIND,
    PAYOUT_KIND,
    REFUND_KIND,
    REQUEST_KIND,
    SYNC_KIND,
)
from .outcomes import Done
from .policies import SettlePolicy
from .services.affiliates.affiliates import Affiliates
from .services.affiliates.commissions import Commissions
from .services.catalogue import Catalogue
from .services.checkout import Checkouts
from .services.context import Context
from .services.coupons.coupons import Coupons
from .services.doctor import Doctor
from .services.grants.grants import Grants
from .services.jobs.breaker import LMS as LMS_BREAKER
from .services.jobs.breaker import PAYMENTS as PAYMENTS_BREAKER
from .services.jobs.breaker import Breakers
from .services.jobs.cron import Cron
from .services.jobs.heartbeat import Heartbeats
from .services.jobs.inline import Inline
from .services.jobs.maintenance import Maintenance
from .services.jobs.plugin_jobs import PluginJobs
from .services.jobs.runner import Handler, Runner
from .services.lms.sync import Sync
from .services.lms.timed import TimedLMS
from .services.operators.admin import Admin
from .services.operators.enrollments import Enrollments
from .services.operators.privacy import Privacy
from .services.operators.quarantine import Quarantine
from .services.operators.reconcile import Reconcile
from .services.patience import Patience, PatientBackend
from .services.payments.apply import Events
from .services.payments.give_back import GiveBack
from .services.payments.replay import Replay
from .services.payments.webhook import Webhook
from .services.settle.beside import Beside
from .services.settle.settle import Settle


if TYPE_CHECKING:
    from .clock import Ambient
    from .interfaces import LMS, PaymentGateway
    from .metrics import Metrics
    from .models import Job
    from .outcomes import Outcome
    from .plugins import Plugins
    from .services.context import Backends
    from .services.jobs.claim import Claim
    from .settings import Settings


__all__: tuple[str, ...] = ()  # internal


T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Services:
    """The services of one SDK, to which the facade delegates."""

    context: Context
    admin: Admin
    affiliates: Affiliates
    breakers: Breakers
    catalogue: Catalogue
    checkouts: Checkouts
    commissions: Commissions
    coupons: Coupons
    cron: Cron
    doctor: Doctor
    enrollments: Enrollments
    grants: Grants
    heartbeats: Heartbeats
    maintenance: Maintenance
    privacy: Privacy
    runner: Runner
    settle: Settle
    webhook: Webhook


def wire(backends: Backends, context: Context) -> Services:
    """Build the services; connects to nothing yet."""
    catalogue = Catalogue(context)
    coupons, grants = Coupons(context, catalogue), Grants(context, catalogue)
    commissions = Commissions(context)
    affiliates = Affiliates(context, commissions)
    settle = Settle(context, commissions.follow)
    breakers, heartbeats = Breakers(context), Heartbeats(context)
    sync, events = Sync(context, settle), Events(context, settle)
    runner = Runner(
        context,
        settle,
        breakers,
        {
            SYNC_KIND: Handler(
                run=sync.run,
                backend=LMS_BREAKER,
                is_gated=True,
                owe_again=sync.owe_again,
                report=sync.report,
            ),
            EVENT_KIND: Handler(run=events.run, backend=PAYMENTS_BREAKER),
            PAIR_KIND: _following(Beside(context, settle).follow, PAYMENTS_BREAKER),
            REFUND_KIND: _following(GiveBack(context, settle).follow, PAYMENTS_BREAKER),
            # The process that was answering it has died: the caller's next try resumes
            # it.
            REQUEST_KIND: Handler(run=lambda _: Done("lapsed")),
            GRANT_KIND: _following(grants.follow),
            COMMISSION_KIND: _following(commissions.mature),
            PAYOUT_KIND: _following(affiliates.follow_payout),
        },
        PluginJobs(context, catalogue),
    )
    inline = Inline(context, runner)
    enrollments = Enrollments(context, settle, inline)
    webhook = Webhook(context, inline)
    reconcile, maintenance = Reconcile(context, settle), Maintenance(context)
    if every_s := context.settings.reconcile_every_s:
        maintenance.add("reconcile", reconcile.run_scheduled, every_s)
    admin = Admin(
        context,
        breakers=breakers,
        heartbeats=heartbeats,
        maintenance=maintenance,
        quarantine=Quarantine(context, events, enrollments, inline),
        reconcile=reconcile,
        replay=Replay(context, webhook, inline),
    )
    return Services(
        context=context,
        admin=admin,
        affiliates=affiliates,
        breakers=breakers,
        catalogue=catalogue,
        checkouts=Checkouts(context, catalogue, coupons, affiliates, settle, inline),
        commissions=commissions,
        coupons=coupons,
        cron=Cron(context, runner, breakers, maintenance, heartbeats),
        doctor=Doctor(context, backends, admin, enrollments),
        enrollments=enrollments,
        grants=grants,
        heartbeats=heartbeats,
        maintenance=maintenance,
        privacy=Privacy(context, settle),
        runner=runner,
        settle=settle,
        webhook=webhook,
    )


def _following(follow: Callable[[Job], Outcome], backend: str | None = None) -> Handler:
    """Return the handler of a job that ensures a write's effects."""

    def run(claim: Claim) -> Outcome:
        return follow(claim.job)

    return Handler(run=run, backend=backend, is_gated=backend is not None)


def context_of(
    settings: Settings,
    backends: Backends,
    *,
    plugins: Plugins,
    ambient: Ambient,
    metrics: Metrics,
    patience: Patience,
) -> Context:
    """Return the context that every service gets."""
    observed = not isinstance(metrics, NoMetrics)
    safe = SafeMetrics(metrics, plugins.note_lost) if observed else metrics
    lms = backends.lms
    if observed:
        lms = cast("LMS", TimedLMS(lms, safe, ambient))
    return Context(
        settings=settings,
        storage=backends.storage,
        payments=_patient(backends.payments, "payments", patience),
        lms=_patient(lms, "lms", patience),
        metrics=safe,
        plugins=plugins,
        ambient=ambient,
        settle_policy=settle_policy_of(settings, backends.payments),
        retry_policy=retry_policy_of(settings),
        gate_policy=gate_policy_of(settings),
    )


def require_safe(
    settings: Settings, payments: PaymentGateway, *, is_default_store: bool
) -> None:
    """
    Refuse settings that are unsafe with real money.

    Raises:
        SettingsError: The gateway is in live mode, and the LMS is reached without TLS
            or no database is configured.
    """
    if not payments.livemode:
        return
    found = []
    if settings.is_lms_insecure:
        found.append(
            "FRAPPE_LMS_URL: with live payments, http:// is allowed on loopback only"
        )
    if is_default_store:
        found.append(
            "DATABASE_URL: live payments need a configured database "
            "(MONGODB_URI or DATABASE_URL)"
        )
    if found:
        raise SettingsError(found)


def _patient(backend: T, name: str, patience: Patience) -> T:
    patient: Any = PatientBackend(backend, name, patience)
    return cast("T", patient)


def settle_policy_of(settings: Settings, payments: PaymentGateway) -> SettlePolicy:
    """Return the policy for refunds, disputes, warnings and taxes."""
    return SettlePolicy(
        livemode=payments.livemode,
        account=payments.account,
        refund_policy=settings.refund_policy,
        refund_threshold_percent=settings.refund_threshold_percent,
        partial_refund_policy=settings.partial_refund_policy,
        dispute_policy=settings.dispute_policy,
        dispute_lost_policy=settings.dispute_lost_policy,
        paid_twice_policy=settings.paid_twice,
        fraud_policy=settings.fraud_policy,
        tax_behavior=settings.tax_behavior,
    )


def retry_policy_of(settings: Settings) -> RetryPolicy:
    """Return when and how often a failed job is retried."""
    return RetryPolicy(
        schedule_s=settings.retry_schedule_s,
        jitter=settings.retry_jitter,
    )


def gate_policy_of(settings: Settings) -> GatePolicy:
    """Return how fast the LMS may be called, and for how long a fault stops that."""
    return GatePolicy(
        closed_s=settings.gate_closed_s,
        rate_per_s=settings.lms_rate_per_s or None,
        burst=max(int(settings.lms_rate_per_s), 1),
    )

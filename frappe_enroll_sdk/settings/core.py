# SPDX-License-Identifier: MIT
"""
The settings: what can be set, what it defaults to, what fits together.

Precedence: argument > host dict > environment > TOML file > default. ``NAME_FILE``
reads a value from a file; an empty value counts as unset; all problems are reported at
once, each with its variable's name; secrets never show.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import attrs

from .. import urls
from ..backoff import RetryPolicy
from ..errors import SettingsError
from ..models import GatePolicy
from ..policies import SettlePolicy
from . import http
from .http import limit_words, proxy_words
from .money import ACTIONS, percent, short_name
from .options import (
    Secret,
    convert_all,
    declared,
    in_range,
    one_of,
    option,
    secret_option,
    words,
)
from .sources import gather


_STRIPE = "https://api.stripe.com"
# The policies hold their defaults.
_SETTLE, _RETRY, _GATE = SettlePolicy(), RetryPolicy(), GatePolicy()


def _host_or_none(value: Any) -> str:
    if value == "":
        return ""
    return urls.authority(value.strip() if isinstance(value, str) else value)


@attrs.frozen(kw_only=True)
class Settings:
    """
    All settings; ``docs/settings.md`` explains each field.

    Frozen; safe to share. Build one from arguments, or with `from_env`.

    Raises:
        SettingsError: Names all invalid variables.
    """

    mongodb_uri: Secret = secret_option("MONGODB_URI", "MongoDB connection string")
    mongodb_database: str = option(
        "MONGODB_DATABASE", "MongoDB database", "frappe_enroll"
    )
    database_url: str = option(
        "DATABASE_URL", "SQLAlchemy URL; SQLite only (sqlite:////absolute/path)", ""
    )
    stripe_secret_key: Secret = secret_option(
        "STRIPE_SECRET_KEY", "Stripe secret or restricted key"
    )
    stripe_webhook_secret: tuple[Secret, ...] = option(
        "STRIPE_WEBHOOK_SECRET",
        "signing secrets (whsec_…), comma-separated while rotating",
        (),
        convert=words(Secret),
        secret=True,
    )
    stripe_api_base: str = option(
        "STRIPE_API_BASE", "Stripe's API", _STRIPE, convert=urls.base
    )
    stripe_timeout_s: float = option(
        "FRAPPE_ENROLL_STRIPE_TIMEOUT_S",
        "total seconds for one Stripe call",
        20.0,
        convert=in_range(float, 0.5, 120),
    )
    frappe_lms_url: str = option(
        "FRAPPE_LMS_URL", "base URL of the Frappe site", "", convert=urls.optional_base
    )
    frappe_lms_site: str = option(
        "FRAPPE_LMS_SITE",
        "Host header of a multi-site bench",
        "",
        convert=_host_or_none,
    )
    frappe_lms_api_key: Secret = secret_option(
        "FRAPPE_LMS_API_KEY", "API key of a user with the role Moderator"
    )
    frappe_lms_api_secret: Secret = secret_option(
        "FRAPPE_LMS_API_SECRET", "API secret of that user"
    )
    frappe_lms_timeout_s: float = option(
        "FRAPPE_ENROLL_LMS_TIMEOUT_S",
        "total seconds for one LMS call",
        15.0,
        convert=in_range(float, 0.2, 120),
    )
    frappe_lms_enroll_method: str = option(
        "FRAPPE_LMS_ENROLL_METHOD",
        "dotted path of the site's own enrolment method; unset: LMS Enrollment (REST)",
        "",
    )
    record_payment: bool = option(
        "FRAPPE_ENROLL_RECORD_PAYMENT",
        "write an LMS Payment before a paid enrolment (LMS 2.61 or later)",
        default=False,
    )
    payment_source: str = option(
        "FRAPPE_ENROLL_PAYMENT_SOURCE", "LMS Source of this payment", "Website"
    )
    payment_address: str = option(
        "FRAPPE_ENROLL_PAYMENT_ADDRESS",
        "its billing address: street, city, country (as the site names it)",
        "",
    )
    welcome_mail: bool = option(
        "FRAPPE_ENROLL_WELCOME_MAIL",
        "whether the LMS sends its welcome mail to learners that we create",
        default=False,
    )
    missing_learners: str = option(
        "FRAPPE_ENROLL_MISSING_LEARNERS",
        "what to do for a learner without an account in the LMS: create or refuse",
        "create",
        convert=one_of("create", "refuse"),
    )
    disabled_learners: str = option(
        "FRAPPE_ENROLL_DISABLED_LEARNERS",
        "what to do for one whose account is disabled: enroll or refuse",
        "enroll",
        convert=one_of("enroll", "refuse"),
    )
    storage: str = option(
        "FRAPPE_ENROLL_STORAGE",
        "storage backend; default: the database that is set",
        "",
    )
    payments: str = option("FRAPPE_ENROLL_PAYMENTS", "payments backend", "stripe")
    lms: str = option("FRAPPE_ENROLL_LMS", "LMS backend", "frappe")
    plugins: tuple[str, ...] = option(
        "FRAPPE_ENROLL_PLUGINS",
        "allow-list of plugins; each one named is required",
        (),
        convert=words(str),
    )
    disable_plugins: tuple[str, ...] = option(
        "FRAPPE_ENROLL_DISABLE_PLUGINS",
        "plugins not to load",
        (),
        convert=words(str),
    )
    trace_plugins: bool = option(
        "FRAPPE_ENROLL_TRACE_PLUGINS", "whether to log each hook call", default=False
    )
    inline_s: float = option(
        "FRAPPE_ENROLL_INLINE_S",
        "seconds of inline work in checkout, webhook and return; 0 = never",
        3.0,
        convert=in_range(float, 0, 60),
    )
    free_courses: bool = option(
        "FRAPPE_ENROLL_FREE_COURSES",
        "whether a course without a price is open to learners without a coupon",
        default=False,
    )
    session_ttl_s: float = option(
        "FRAPPE_ENROLL_SESSION_TTL_S",
        "lifetime of a checkout session in seconds (Stripe: 30 minutes to 24 hours)",
        7200.0,
        convert=in_range(float, 1860, 86400),
    )
    reservation_s: float = option(
        "FRAPPE_ENROLL_RESERVATION_S",
        "seconds after which another learner may take over a reservation",
        900.0,
        convert=in_range(float, 1, 86400),
    )
    course_ttl_s: float = option(
        "FRAPPE_ENROLL_COURSE_TTL_S",
        "seconds for which a course's price is cached",
        300.0,
        convert=in_range(float, 0, 86400),
    )
    course_stale_s: float = option(
        "FRAPPE_ENROLL_COURSE_STALE_S",
        "seconds for which a cached price may be used while the LMS is down",
        86400.0,
        convert=in_range(float, 0, 604800),
    )
    retry_schedule_s: tuple[float, ...] = option(
        "FRAPPE_ENROLL_RETRY_SCHEDULE_S",
        "seconds before the second, third, … try; after the last one a job is dead",
        _RETRY.schedule_s,
        convert=words(in_range(float, 0, 604800)),
    )
    retry_jitter: float = option(
        "FRAPPE_ENROLL_RETRY_JITTER",
        "fraction by which each wait varies",
        _RETRY.jitter,
        convert=in_range(float, 0, 0.5),
    )
    job_timeout_s: float = option(
        "FRAPPE_ENROLL_JOB_TIMEOUT_S",
        "seconds after which a job still running loses its claim",
        300.0,
        convert=in_range(float, 1, 86400),
    )
    keep_jobs_days: float = option(
        "FRAPPE_ENROLL_KEEP_JOBS_DAYS",
        "days after which completed jobs are deleted",
        7.0,
        convert=in_range(float, 1, 3650),
    )
    keep_events_days: float = option(
        "FRAPPE_ENROLL_KEEP_EVENTS_DAYS",
        "days after which payloads of completed payment events are deleted",
        30.0,
        convert=in_range(float, 1, 3650),
    )
    workers_absent_s: float = option(
        "FRAPPE_ENROLL_WORKERS_ABSENT_S",
        "seconds without a worker or cron pass, while work is due, before an alert",
        600.0,
        convert=in_range(float, 10, 86400),
    )
    reconcile_every_s: float = option(
        "FRAPPE_ENROLL_RECONCILE_EVERY_S",
        "seconds between a worker's reconciliations; 0 = only by command",
        0.0,
        convert=in_range(float, 0, 2592000),
    )
    reconcile_repair: bool = option(
        "FRAPPE_ENROLL_RECONCILE_REPAIR",
        "whether these repair what they find (otherwise they only alert)",
        default=False,
    )
    health_warning: int = option(
        "FRAPPE_ENROLL_HEALTH_WARNING",
        "number of due jobs and events from which the queue's health is a warning",
        100,
        convert=in_range(int, 1, 10000),
    )
    health_critical: int = option(
        "FRAPPE_ENROLL_HEALTH_CRITICAL",
        "number of due jobs and events from which it is critical",
        500,
        convert=in_range(int, 1, 10000),
    )
    verify_after_s: float = option(
        "FRAPPE_ENROLL_VERIFY_AFTER_S",
        "seconds after an unclear LMS call before looking for its result",
        120.0,
        convert=in_range(float, 0, 86400),
    )
    lease_s: float = option(
        "FRAPPE_ENROLL_LEASE_S",
        "seconds for which a claim is protected from other workers",
        60.0,
        convert=in_range(float, 1, 3600),
    )
    lms_rate_per_s: float = option(
        "FRAPPE_ENROLL_LMS_RATE_PER_S",
        "LMS jobs started per second by all workers together; 0 = no limit",
        20.0,
        convert=in_range(float, 0, 10000),
    )
    gate_closed_s: float = option(
        "FRAPPE_ENROLL_GATE_CLOSED_S",
        "seconds between probes of a backend that is down",
        _GATE.closed_s,
        convert=in_range(float, 0.1, 3600),
    )
    allow_insecure_lms: bool = option(
        "FRAPPE_ENROLL_ALLOW_INSECURE_LMS",
        "allow an http:// LMS not on loopback (never with a live key)",
        default=False,
    )
    allow_foreign_stripe: bool = option(
        "FRAPPE_ENROLL_ALLOW_FOREIGN_STRIPE",
        "allow a foreign STRIPE_API_BASE not on loopback (never with a live key)",
        default=False,
    )
    # Money.
    below_minimum: str = option(
        "FRAPPE_ENROLL_BELOW_MINIMUM",
        "what to do with a remainder below the provider's minimum: free or refused",
        "refused",
        convert=one_of("free", "refused"),
    )
    paid_twice: str = option(
        "FRAPPE_ENROLL_PAID_TWICE",
        "what to do with a payment by a learner who already has the course by another "
        "one: hold (an operator decides) or refund (automatically)",
        "hold",
        convert=one_of("hold", "refund"),
    )
    refund_policy: str = option(
        "FRAPPE_ENROLL_REFUND_POLICY",
        "effect of a full refund: keep, suspend or revoke",
        _SETTLE.refund_policy,
        convert=one_of(*ACTIONS),
    )
    refund_threshold_percent: Decimal = option(
        "FRAPPE_ENROLL_REFUND_THRESHOLD_PERCENT",
        "percentage refunded from which a refund counts as full",
        _SETTLE.refund_threshold_percent,
        convert=percent,
    )
    partial_refund_policy: str = option(
        "FRAPPE_ENROLL_PARTIAL_REFUND_POLICY",
        "effect of a smaller refund: keep, suspend or revoke",
        _SETTLE.partial_refund_policy,
        convert=one_of(*ACTIONS),
    )
    dispute_policy: str = option(
        "FRAPPE_ENROLL_DISPUTE_POLICY",
        "effect of an open dispute: keep, suspend or revoke (an inquiry has none)",
        _SETTLE.dispute_policy,
        convert=one_of(*ACTIONS),
    )
    dispute_lost_policy: str = option(
        "FRAPPE_ENROLL_DISPUTE_LOST_POLICY",
        "effect of a lost dispute: keep, suspend or revoke",
        _SETTLE.dispute_lost_policy,
        convert=one_of(*ACTIONS),
    )
    fraud_policy: str = option(
        "FRAPPE_ENROLL_FRAUD_POLICY",
        "effect of a fraud warning or a review: keep, or suspend (until accepted)",
        _SETTLE.fraud_policy,
        convert=one_of("keep", "suspend"),
    )
    tax_behavior: str = option(
        "FRAPPE_ENROLL_TAX_BEHAVIOR",
        "whether prices include taxes: inclusive or exclusive",
        _SETTLE.tax_behavior,
        convert=one_of("inclusive", "exclusive"),
    )
    commission_percent: Decimal = option(
        "FRAPPE_ENROLL_COMMISSION_PERCENT",
        "default commission: percentage of what is paid before taxes",
        Decimal(10),
        convert=percent,
    )
    commission_hold_days: float = option(
        "FRAPPE_ENROLL_COMMISSION_HOLD_DAYS",
        "days for which a commission is held before it may be paid out",
        30.0,
        convert=in_range(float, 0, 3650),
    )
    deployment: str = option(
        "FRAPPE_ENROLL_DEPLOYMENT",
        "name to distinguish deployments that share a payment account",
        "",
        convert=short_name,
    )
    # HTTP surface.
    public_url: str = option(
        "FRAPPE_ENROLL_PUBLIC_URL",
        "public URL of the mount",
        "",
        convert=urls.optional_base,
    )
    redirect_hosts: tuple[str, ...] = option(
        "FRAPPE_ENROLL_REDIRECT_HOSTS",
        "hosts to which success and cancel URLs from HTTP callers may point",
        (),
        convert=words(urls.authority),
    )
    cors_origins: tuple[str, ...] = option(
        "FRAPPE_ENROLL_CORS_ORIGINS",
        "origins whose pages may call the learner routes",
        (),
        convert=words(urls.origin),
    )
    trusted_proxies: tuple[str, ...] = option(
        "FRAPPE_ENROLL_TRUSTED_PROXIES",
        "addresses or networks whose X-Forwarded headers are trusted",
        (),
        convert=words(proxy_words),
    )
    proxy_keeps_prefix: bool = option(
        "FRAPPE_ENROLL_PROXY_KEEPS_PREFIX",
        "whether the path still contains the prefix given in X-Forwarded-Prefix",
        default=False,
    )
    rate_limits: tuple[str, ...] = option(
        "FRAPPE_ENROLL_RATE_LIMITS",
        "rate limits other than the defaults, as name=count/seconds, or off",
        (),
        convert=words(limit_words),
    )
    rate_limit_storage: Secret = secret_option(
        "FRAPPE_ENROLL_RATE_LIMIT_STORAGE",
        "where requests are counted, e.g. redis://…; default: MongoDB, else memory",
    )
    account_check: bool = option(
        "FRAPPE_ENROLL_ACCOUNT_CHECK",
        "whether anybody may ask if an address has an account in the LMS",
        default=False,
    )
    body_limit: int = option(
        "FRAPPE_ENROLL_BODY_LIMIT",
        "largest request body in bytes",
        1_048_576,
        convert=in_range(int, 1024, 67_108_864),
    )
    cron_secret: Secret = secret_option(
        "FRAPPE_ENROLL_CRON_SECRET", "bearer secret of /cron/run", also=("CRON_SECRET",)
    )
    secret_key: Secret = secret_option(
        "FRAPPE_ENROLL_SECRET_KEY", "key that signs the dashboard's session cookie"
    )
    admin_tokens: tuple[Secret, ...] = option(
        "FRAPPE_ENROLL_ADMIN_TOKENS",
        "hash lines of admin tokens (frappe-enroll admin-token create)",
        (),
        convert=words(Secret),
        secret=True,
    )
    sign_in_s: float = option(
        "FRAPPE_ENROLL_SIGN_IN_S",
        "seconds after which a dashboard session ends",
        28_800.0,
        convert=in_range(float, 60, 86_400),
    )
    sign_in_idle_s: float = option(
        "FRAPPE_ENROLL_SIGN_IN_IDLE_S",
        "seconds without a request after which it also ends",
        3600.0,
        convert=in_range(float, 60, 86_400),
    )
    hsts_s: int = option(
        "FRAPPE_ENROLL_HSTS_S",
        "seconds for which browsers insist on HTTPS (HSTS); 0 = no header",
        0,
        convert=in_range(int, 0, 63_072_000),
    )
    sources: Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
    #: Variables of plugins, by name; see ``settings/plugins.py``.
    plugin_settings: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        problems = convert_all(self) + _contradictions(self)
        if problems:
            raise SettingsError(problems)
        told = {
            field.name: "argument"
            for field in declared(type(self))
            if getattr(self, field.name) != field.default
        }
        object.__setattr__(self, "sources", {**told, **self.sources})

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        config: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> Self:
        """
        Read the settings from all sources.

        Args:
            environ: Replaces the process's environment.
            config: The host's dict, by variable or field name.
            arguments: By field name; these take precedence.
        """
        env = os.environ if environ is None else environ
        values, sources, problems = gather(cls, env, config or {}, arguments)
        try:
            settings = cls(**values, sources=sources)
        except SettingsError as error:
            raise SettingsError([*problems, *error.problems]) from None
        if problems:
            raise SettingsError(problems)
        return settings

    @property
    def is_lms_insecure(self) -> bool:
        """Whether the LMS is reached without TLS and not on loopback."""
        lms = self.frappe_lms_url
        return bool(lms) and _is_plain_and_far(urls.parse(lms))

    @property
    def storage_name(self) -> str:
        """The chosen storage backend."""
        return self.storage or ("mongo" if self.mongodb_uri else "sql")

    @property
    def default_database(self) -> bool:
        """Whether neither a storage backend nor its address is configured."""
        return not (self.mongodb_uri or self.database_url or self.storage)

    @property
    def limits_uri(self) -> str:
        """Where requests are counted; "" = in each process's memory."""
        if self.rate_limit_storage:
            return self.rate_limit_storage.value
        return self.mongodb_uri.value if self.storage_name == "mongo" else ""

    @property
    def resolved_database_url(self) -> str:
        """The SQL database's URL: as set, or a file in the user's data folder."""
        if self.database_url:
            return self.database_url
        home = os.environ.get("XDG_DATA_HOME") or str(_home() / ".local/share")
        return f"sqlite:///{Path(home).absolute()}/frappe-enroll/enroll.sqlite3"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise SettingsError(
            "DATABASE_URL: no database is configured (MONGODB_URI or "
            "DATABASE_URL), and this user has no home folder for the default one"
        ) from error


def _contradictions(settings: Settings) -> list[str]:
    """Return the problems of settings that conflict."""
    found = http.contradictions(
        settings.admin_tokens, settings.secret_key, settings.cron_secret
    )
    if settings.is_lms_insecure and not settings.allow_insecure_lms:
        found.append(
            "FRAPPE_LMS_URL: http:// is refused off loopback "
            "(FRAPPE_ENROLL_ALLOW_INSECURE_LMS allows it, never with a live key)"
        )
    stripe = urls.parse(settings.stripe_api_base)
    foreign = stripe.origin != _STRIPE and not stripe.is_near
    if foreign and not settings.allow_foreign_stripe:
        found.append(
            "STRIPE_API_BASE: is refused off loopback "
            "(FRAPPE_ENROLL_ALLOW_FOREIGN_STRIPE allows it, never with a live key)"
        )
    if not settings.retry_schedule_s:
        # Enrollments are looked at again for ever, at the last of these waits.
        found.append("FRAPPE_ENROLL_RETRY_SCHEDULE_S: must have one wait or more")
    method = settings.frappe_lms_enroll_method
    if method and not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", method, re.ASCII):
        found.append("FRAPPE_LMS_ENROLL_METHOD: must be a dotted path")
    address = [part for part in settings.payment_address.split(",") if part.strip()]
    if settings.record_payment and len(address) != 3:  # noqa: PLR2004
        found.append(
            "FRAPPE_ENROLL_PAYMENT_ADDRESS: must be street, city, country (the LMS "
            "wants an address with each payment)"
        )
    if "@" in urlsplit(settings.database_url).netloc:
        found.append("DATABASE_URL: must not contain a user or password")
    found += [
        "STRIPE_WEBHOOK_SECRET: each secret must begin with whsec_"
        for secret in settings.stripe_webhook_secret
        if not secret.value.startswith("whsec_") or len(secret.value) < 10  # noqa: PLR2004
    ]
    return found


def _is_plain_and_far(url: urls.URL) -> bool:
    return url.scheme == "http" and not url.is_near

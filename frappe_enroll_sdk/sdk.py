# SPDX-License-Identifier: MIT
"""`EnrollSDK`: the facade that wires settings, backends, plugins and services."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self

from .clock import Ambient, Clock, StoreClock, SystemClock
from .interfaces import LMS, PaymentGateway, Storage
from .log_filter import filter_drivers
from .metrics import EVENTS, Metrics, NoMetrics
from .models import Checkout, Enrollment, JobReport, WebhookResult
from .plugins import Plugins
from .services import validate
from .services.checkout import request_of
from .services.context import Backends
from .services.jobs.shift import Shift
from .services.jobs.worker import Worker
from .services.patience import Patience
from .settings import Settings
from .wiring import context_of, require_safe, wire


if TYPE_CHECKING:
    from .checks import Check


__all__: tuple[str, ...] = ()  # internal


logger = logging.getLogger(__name__)

_MAX_CLAIMS = 1_000_000
_MAX_THREADS = 1000


class EnrollSDK:
    """
    Turns a coupon or a payment into an enrollment, exactly once.

    Thread-safe and fork-safe: clients are created lazily, once per process. The host
    owns it and calls `close` (or uses it as a context manager).

    Attributes:
        settings: The settings.
        plugins: The loaded plugins.
        storage: The store.
        payments: The payment gateway.
        lms: The LMS.
        clock: The one clock.
        ambient: The clock, and monotonic time, sleep and randomness.
        coupons: `Coupons`.
        enrollments: `Enrollments`.
        grants: `Grants`.
        affiliates: `Affiliates`.
        privacy: `Privacy`.
        admin: `Admin`.
        catalogue: `Catalogue`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        storage: Storage | None = None,
        payments: PaymentGateway | None = None,
        lms: LMS | None = None,
        clock: Clock | None = None,
        plugins: Iterable[object] = (),
        metrics: Metrics | None = None,
        discover: bool = True,
    ) -> None:
        """
        Create an SDK; it connects to nothing yet.

        Args:
            settings: The settings; defaults if not given.
            storage: A store in place of the one in the settings.
            payments: A gateway in place of the one in the settings.
            lms: An LMS in place of the one in the settings.
            clock: A clock in place of the store's time (for tests and demos); whatever
                else of an `Ambient` it has is used, too.
            plugins: Plugin objects from the host.
            metrics: Receives measurements; its hooks are called like a plugin's.
            discover: Whether to load installed plugins.

        Raises:
            ConfigurationError: A backend can't be built, or payments are live and the
                settings are unsafe for that; the text says what to do.
        """
        filter_drivers()
        self.settings = settings or Settings()
        extra = [*plugins] if metrics is None else [*plugins, metrics]
        self.plugins = Plugins.from_settings(
            self.settings, extra=extra, discover=discover, metrics=metrics
        )
        self._metrics = metrics or NoMetrics()
        self._at_close: list[Callable[[], object]] = []
        self._patience = Patience()
        tools = clock or SystemClock()
        chosen = self.settings
        self.storage: Storage = storage or self._make(
            "storage", chosen.storage_name, tools
        )
        self.payments: PaymentGateway = payments or self._make(
            "payments", chosen.payments, tools
        )
        self.lms: LMS = lms or self._make("lms", chosen.lms, tools)
        is_default = storage is None and chosen.default_database
        require_safe(chosen, self.payments, is_default_store=is_default)
        self.clock: Clock = clock or StoreClock(self.storage.now)
        self.ambient = Ambient(self.clock)
        self._wire()
        if is_default:
            logger.warning(
                "no database is configured: using the default file",
                extra={"database_url": chosen.resolved_database_url},
            )

    @classmethod
    def from_env(
        cls, *, config: Mapping[str, Any] | None = None, **arguments: Any
    ) -> Self:
        """Create an SDK from the environment, a host's dict and field arguments."""
        return cls(Settings.from_env(config=config, **arguments))

    def _make(self, kind: str, name: str, clock: Clock) -> Any:
        return self.plugins.registry.create(kind, name, self.settings, clock)

    def _wire(self) -> None:
        backends = Backends(storage=self.storage, payments=self.payments, lms=self.lms)
        context = context_of(
            self.settings,
            backends,
            plugins=self.plugins,
            ambient=self.ambient,
            metrics=self._metrics,
            patience=self._patience,
        )
        self._services = services = wire(backends, context)
        self.admin = services.admin
        self.affiliates = services.affiliates
        self.catalogue = services.catalogue
        self.coupons = services.coupons
        self.enrollments = services.enrollments
        self.grants = services.grants
        self.privacy = services.privacy

    def serving(self) -> AbstractContextManager[None]:
        """
        Mark this thread as serving a request, for a host's own views.

        While a backend hangs, requests may occupy all threads but one; others are
        refused. Our own HTTP surface already does this.
        """
        return self._patience.serving()

    @property
    def metrics(self) -> Metrics:
        """The receiver of measurements."""
        return self._metrics

    def setup(self) -> None:
        """Create or upgrade the store's schema; idempotent."""
        self.storage.setup()

    def ping(self, *only: str, timeout_s: float = 30.0) -> dict[str, str]:
        """
        Check whether backends work; return "ok" or an error code for each.

        Args:
            only: Which ones (``storage``, ``payments``, ``lms``); all by default.
            timeout_s: Seconds for the provider and for the LMS, unless their own
                time-out is shorter.
        """
        return self._services.doctor.ping(*only, timeout_s=timeout_s)

    def check_lms(self) -> str:
        """Check whether the LMS key can read what it creates: "ok" or an error code."""
        return self._services.doctor.check_lms()

    def examine(self, url: str | None = None) -> tuple[Check, ...]:
        """
        Check everything that can be wrong, backends first; return one check for each.

        Args:
            url: The public URL of the mount; it is sent an unsigned webhook and a cron
                call without a secret, and must refuse both.

        Raises:
            ConfigurationError: `url` is not a URL.
        """
        return self._services.doctor.examine(url)

    def at_close(self, function: Callable[[], object]) -> None:
        """Call a function at each `close`: a surface's clients close with ours."""
        self._at_close.append(function)

    def close(self) -> None:
        """Close the backends; the next use reopens them."""
        for function in self._at_close:
            function()
        self.storage.close()
        self.lms.close()

    def __repr__(self) -> str:
        """Tell the backends and where the settings come from, but no value."""
        sources = Counter(self.settings.sources.values())
        told = ", ".join(f"{count} from {at}" for at, count in sorted(sources.items()))
        backends = ", ".join(
            f"{kind}={type(getattr(self, kind)).__name__}"
            for kind in ("storage", "payments", "lms")
        )
        return f"<EnrollSDK {backends}; settings: {told or 'defaults'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def checkout(
        self,
        *,
        course_id: str,
        email: str,
        full_name: str | None = None,
        coupon_code: str | None = None,
        affiliate: str | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
        idempotency_key: str | None = None,
        token: str | None = None,
        authenticated: bool = False,
    ) -> Checkout:
        """
        Begin or resume an enrollment.

        The price comes from the LMS or the host's `get_course`, never from the caller.
        An attempt belongs to whoever opened it, proved by its token, its key, or the
        host vouching for the caller: the same terms resume it, other terms replace it.
        Anybody else gets an attempt of their own; the first to pay gets the course.

        Args:
            course_id: The course.
            email: The learner's address; does not identify the caller unless the host
                vouches for it.
            full_name: The learner's name.
            coupon_code: A coupon code.
            affiliate: Code of the affiliate who referred the learner.
            success_url: Where the payment page sends a learner who has paid.
            cancel_url: Where it sends a learner who gives up.
            idempotency_key: The same key, address and course give the same attempt. As
                secret as a token: it must not be guessable.
            token: The token of the caller's own attempt, to resume it.
            authenticated: Whether the host vouches that the caller owns this address.
                It also resumes attempts opened in the same way.

        Raises:
            ValidationError: A field is not valid.
            CourseNotFoundError: There is no such course.
            CourseNotForSaleError: It has no price, and no coupon covers it.
            CouponUnavailableError: The code can't be used here.
            SelfReferralError: The affiliate is the learner.
            AlreadyEnrolledError: The learner already has the course.
            TokenError: The token belongs to no attempt.
            AmountTooSmallError: The amount to pay is below the provider's minimum.
            IdempotencyMismatchError: The key was used for another request.
            PluginUnavailableError: A required plugin is absent or broken.
            TransientError: A backend is down; nothing is lost; try again.
        """
        request = request_of(
            course_id=course_id,
            email=email,
            full_name=full_name,
            coupon_code=coupon_code,
            affiliate=affiliate,
            success_url=success_url,
            cancel_url=cancel_url,
            idempotency_key=idempotency_key,
            token=token,
            authenticated=authenticated,
        )
        return self._services.checkouts.start(request)

    def handle_webhook(
        self, body: bytes, headers: Mapping[str, str], provider: str | None = None
    ) -> WebhookResult:
        """
        Verify a payment event over its raw bytes, store it durably, and apply it.

        Raises:
            SignatureError: Not signed by the provider (answer 400).
            PayloadError: Signed, but not an event (answer 400).
            StorageUnavailableError: Not stored (answer 503: the provider sends again).
        """
        services = self._services
        result = services.webhook.handle(body, headers, provider)
        services.context.metrics.count(EVENTS, outcome=result.outcome)
        services.heartbeats.look()
        return result

    def confirm_return(self, session_id: str) -> Enrollment:
        """Settle a session's enrollment, as the webhook does, and return it."""
        return self.enrollments.confirm_return(session_id)

    def cancel(self, enrollment_id: str, token: str) -> Enrollment:
        """Cancel an unpaid enrollment for its learner; complete a paid one instead."""
        return self.enrollments.cancel(enrollment_id, token)

    def has_account(self, email: str) -> bool:
        """Tell whether the LMS has an enabled user with this address; creates none."""
        user = self.lms.find_user(validate.email(email))
        return user is not None and user.enabled

    def settle(self, enrollment_id: str, *, check_money: bool = False) -> Enrollment:
        """Bring one enrollment in line with the facts."""
        return self._services.settle.run(enrollment_id, check_money=check_money)

    def run_jobs(
        self,
        limit: int = 100,
        time_budget_s: float = 20,
        *,
        stopping: Callable[[], bool] = lambda: False,
    ) -> JobReport:
        """
        Run one pass over everything that is due.

        Args:
            limit: Most claims.
            time_budget_s: Seconds after which nothing new is started.
            stopping: Called before each start; True = finish what is running, start
                nothing new.
        """
        validate.whole(limit, "limit", least=0, most=_MAX_CLAIMS)
        budget_s = validate.seconds(time_budget_s, "time_budget_s")
        return self._services.cron.run(limit, budget_s, stopping=stopping)

    def worker(
        self,
        concurrency: int = 8,
        *,
        poll_s: float = 1.0,
        shutdown_timeout_s: float = 30.0,
    ) -> Worker:
        """
        Return a worker; its `run` blocks until `stop`.

        Args:
            concurrency: Jobs at once.
            poll_s: Seconds between polls when the store announces nothing.
            shutdown_timeout_s: Seconds that running jobs get to finish once it is
                stopped.
        """
        validate.whole(concurrency, "concurrency", most=_MAX_THREADS)
        validate.seconds(poll_s, "poll_s")
        validate.seconds(shutdown_timeout_s, "shutdown_timeout_s")
        services = self._services
        shift = Shift(
            services.context,
            services.runner,
            services.breakers,
            services.maintenance,
            services.heartbeats,
            concurrency=concurrency,
            poll_s=poll_s,
        )
        return Worker(shift, shutdown_timeout_s=shutdown_timeout_s)

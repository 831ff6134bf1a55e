# SPDX-License-Identifier: MIT
"""`EnrollSDK`: the facade that wires settings, backends, plugins and services."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Self, TypeVar, cast

from . import wall
from .clock import Ambient, Clock, StoreClock, SystemClock
from .deadline import within
from .errors import EnrollError
from .interfaces import LMS, PaymentGateway, Storage
from .metrics import EVENTS, Metrics, NoMetrics, SafeMetrics
from .models import Checkout, Enrollment, JobReport, WebhookResult
from .plugins import Plugins
from .policies import gate_policy_of, retry_policy_of, settle_policy_of
from .services import validate
from .services.affiliates.affiliates import PAYOUT_KIND, Affiliates
from .services.affiliates.commissions import COMMISSION_KIND
from .services.catalogue import Catalogue
from .services.checkout import CheckoutService
from .services.context import Context
from .services.coupons.coupons import Coupons
from .services.grants.grants import GRANT_KIND, Grants
from .services.jobs.cron import Pass
from .services.jobs.heartbeat import Presence
from .services.jobs.inline import Inline
from .services.jobs.maintenance import Maintenance
from .services.jobs.runner import Runner
from .services.jobs.shift import Shift
from .services.jobs.worker import Worker
from .services.lms.key_check import check_sight
from .services.lms.sync import SyncHandler
from .services.lms.timed import TimedLMS
from .services.operators.admin import Admin
from .services.operators.enrollments import Enrollments
from .services.operators.privacy import Privacy
from .services.operators.quarantine import Quarantine
from .services.operators.reconcile import Reconcile, ScheduledReconcile
from .services.patience import Patience, PatientBackend
from .services.payments.apply import EventHandler
from .services.payments.give_back import GiveBack
from .services.payments.replay import Replay
from .services.payments.webhook import EventService
from .services.settle.beside import REFUND_KIND, Beside
from .services.settle.settle import PAIR_KIND, Settle
from .settings import Settings


logger = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_A_PASS = 1_000_000
_MOST_THREADS = 1000


class EnrollSDK:
    """
    Turns a coupon or a payment into an enrollment, exactly once.

    Thread-safe and fork-safe: clients are made lazily, once per process. The host owns
    it and calls `close` (or uses it as a context manager).

    Attributes:
        settings: The settings.
        plugins: What was loaded.
        storage: The store.
        payments: The payment gateway.
        lms: The LMS.
        clock: The one clock.
        ambient: The clock, and monotonic time, sleep and randomness.
        coupons: `Coupons`.
        enrollments: `Enrollments`.
        grants: `Grants`.
        affiliates: `Affiliates`.
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
        Wire an SDK; nothing is connected yet.

        Args:
            settings: The settings; defaults where not given.
            storage: A store instead of the one that settings name.
            payments: A gateway instead of the one that settings name.
            lms: An LMS instead of the one that settings name.
            clock: A clock instead of the store's time (for tests and demos); what else
                it has of an `Ambient` is used, too.
            plugins: Plugin objects of the host's own.
            metrics: Where measurements go; its hooks are called like a plugin's.
            discover: Whether installed plugins are looked for.

        Raises:
            ConfigurationError: A backend can't be built; the text says what to do.
        """
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
        self.clock: Clock = clock or StoreClock(self.storage.now)
        self.ambient = Ambient(self.clock)
        self._wire()
        if storage is None and chosen.default_database:
            logger.warning(
                "no database is named: using the default file",
                extra={"database_url": chosen.resolved_database_url},
            )

    @classmethod
    def from_env(
        cls, *, config: Mapping[str, Any] | None = None, **arguments: Any
    ) -> Self:
        """Wire an SDK from the environment (and a host's dict, and field arguments)."""
        return cls(Settings.from_env(config=config, **arguments))

    def _make(self, kind: str, name: str, clock: Clock) -> Any:
        return self.plugins.registry.create(kind, name, self.settings, clock)

    def _context_of(self, chosen: Settings) -> Context:
        return Context(
            settings=chosen,
            storage=self.storage,
            payments=self._patient(self.payments, "payments"),
            lms=self._patient(self._timed(self.lms), "lms"),
            metrics=self._safe_metrics(),
            plugins=self.plugins,
            ambient=self.ambient,
            settle_policy=settle_policy_of(chosen, self.payments),
            retry_policy=retry_policy_of(chosen),
            gate_policy=gate_policy_of(chosen),
        )

    def _wire(self) -> None:
        context = self._context_of(self.settings)
        settle = Settle(context)
        handler = EventHandler(context, settle)
        self.catalogue = Catalogue(context)
        self.grants = Grants(context, self.catalogue)
        self.affiliates = Affiliates(context)
        runner = Runner(
            context,
            settle,
            SyncHandler(context, settle),
            handler,
            {
                GRANT_KIND: self.grants.follow,
                COMMISSION_KIND: self.affiliates.mature,
                PAYOUT_KIND: self.affiliates.follow_payout,
                PAIR_KIND: Beside(context, settle),
                REFUND_KIND: GiveBack(context, settle),
            },
        )
        inline = Inline(context, runner)
        self.coupons = Coupons(context, self.catalogue)
        self.enrollments = Enrollments(context, settle, inline)
        self.privacy = Privacy(context, settle)
        self._events = EventService(context, handler, inline)
        self._maintenance = Maintenance(context)
        self._presence = Presence(context)
        reconcile = Reconcile(context, settle)
        if every_s := self.settings.reconcile_every_s:
            task = ScheduledReconcile(context, reconcile)
            self._maintenance.add("reconcile", task, every_s)
        self.admin = Admin(
            context,
            replay=Replay(context, self._events, inline),
            quarantine=Quarantine(context, handler, self.enrollments, inline),
            reconcile=reconcile,
            presence=self._presence,
            maintenance=self._maintenance,
        )
        self._checkout = CheckoutService(
            context, self.catalogue, self.coupons, self.affiliates, settle, inline
        )
        self._context, self._runner = context, runner
        self._pass = Pass(context, runner, self._maintenance, self._presence)
        self._settle = settle

    def _safe_metrics(self) -> Metrics:
        if isinstance(self._metrics, NoMetrics):
            return self._metrics
        return SafeMetrics(self._metrics, self.plugins.note_lost)

    def _timed(self, lms: LMS) -> LMS:
        """Return the LMS, timed where somebody wants to know."""
        if isinstance(self._metrics, NoMetrics):
            return lms
        timed: Any = TimedLMS(lms, self._safe_metrics(), self.ambient)
        return cast("LMS", timed)

    def _patient(self, backend: T, name: str) -> T:
        patient: Any = PatientBackend(backend, name, self._patience)
        return cast("T", patient)

    def serving(self) -> AbstractContextManager[None]:
        """
        Tell that this thread serves a request, for a host's own views.

        While a backend hangs, requests hold all threads but one; others are refused.
        Our HTTP surface says so by itself.
        """
        return self._patience.serving()

    @property
    def metrics(self) -> Metrics:
        """Where measurements go."""
        return self._metrics

    def setup(self) -> None:
        """Create or upgrade the store's schema; idempotent."""
        self.storage.setup()

    def ping(self, *only: str, timeout_s: float = 30.0) -> dict[str, str]:
        """
        Ask backends whether they work: "ok", or the error's code.

        Args:
            only: Which (``storage``, ``payments``, ``lms``); all by default.
            timeout_s: Seconds that the provider and the LMS have, each, where its own
                time-out is not shorter.
        """
        health = {}
        pings: dict[str, Callable[[], None]] = {
            "storage": self.storage.ping,
            "payments": self.payments.ping,
            "lms": self.lms.ping,
        }
        for name in only or pings:
            try:
                with within(timeout_s):
                    wall.contained(name, pings[name])
                health[name] = "ok"
            except Exception as error:  # noqa: BLE001  health is asked, not thrown
                health[name] = str(getattr(error, "code", type(error).__name__))
        return health

    def check_lms(self) -> str:
        """Ask whether the LMS key sees what it makes: "ok", or the error's code."""
        try:
            check_sight(self._context)
        except EnrollError as error:
            return error.code
        return "ok"

    def at_close(self, function: Callable[[], object]) -> None:
        """Call a function at each `close`: a surface's clients end with ours."""
        self._at_close.append(function)

    def close(self) -> None:
        """Close the backends; the next use opens them again."""
        for function in self._at_close:
            function()
        self.storage.close()
        self.lms.close()

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
        Begin (or go on with) an enrollment.

        The price comes from the LMS or the host's `get_course`, never from the caller.
        An attempt belongs to whoever opened it: the same terms again resume it, and
        others replace it, by its token, its key, or for a caller whom the host vouches
        for. Anybody else gets an attempt of their own; who pays first has the course.

        Args:
            course_id: The course.
            email: The learner's address: no identity, unless the host vouches for it.
            full_name: The learner's name.
            coupon_code: A code.
            affiliate: Who has referred the learner.
            success_url: Where the payment page leads.
            cancel_url: Where it leads whoever gives up.
            idempotency_key: The same key, address and course give the same attempt. As
                secret as a token: let nobody guess it.
            token: The token of an attempt of one's own to go on with.
            authenticated: The host vouches that the caller has this address. What was
                opened under such a word is resumed by it.

        Raises:
            ValidationError: A field is not of its form.
            CourseNotFoundError: No such course.
            CourseNotForSaleError: It has no price, and no coupon pays for it.
            CouponUnavailableError: The code can't be used here.
            SelfReferralError: The affiliate is the learner.
            AlreadyEnrolledError: The learner has the course already.
            TokenError: The token is no attempt's.
            AmountTooSmallError: The rest is below the provider's minimum.
            IdempotencyMismatchError: The key was used for another request.
            PluginUnavailableError: A required plugin is absent or broken.
            TransientError: A backend is down; nothing is lost, try again.
        """
        return self._checkout(
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

    def handle_webhook(
        self, body: bytes, headers: Mapping[str, str], provider: str | None = None
    ) -> WebhookResult:
        """
        Take a payment event: verify on the raw bytes, store durably, give it effect.

        Raises:
            SignatureError: Not signed by the provider (answer 400).
            PayloadError: Signed, but not an event (answer 400).
            StorageUnavailableError: Not stored (answer 503: the provider sends again).
        """
        result = self._events.handle(body, headers, provider)
        self._context.metrics.count(EVENTS, outcome=result.outcome)
        self._presence.look()
        return result

    def confirm_return(self, session_id: str) -> Enrollment:
        """Settle the enrollment of a session, as the webhook does, and return it."""
        return self.enrollments.confirm_return(session_id)

    def cancel(self, enrollment_id: str, token: str) -> Enrollment:
        """End an unpaid enrollment for its learner; a paid one is completed instead."""
        return self.enrollments.cancel(enrollment_id, token)

    def has_account(self, email: str) -> bool:
        """Tell whether the LMS knows an address and lets it in; it is not created."""
        user = self.lms.find_user(validate.email(email))
        return user is not None and user.enabled

    def settle(self, enrollment_id: str, *, check_money: bool = False) -> Enrollment:
        """Bring one enrollment to where the facts say that it is."""
        return self._settle(enrollment_id, check_money=check_money)

    def run_jobs(
        self,
        limit: int = 100,
        time_budget_s: float = 20,
        *,
        stopping: Callable[[], bool] = lambda: False,
    ) -> JobReport:
        """
        Work once through what is due.

        Args:
            limit: Claims at the most.
            time_budget_s: Seconds after which nothing more is started.
            stopping: Asked before each start; True = finish what runs, start no more.
        """
        validate.whole(limit, "limit", least=0, most=_MOST_A_PASS)
        budget_s = validate.seconds(time_budget_s, "time_budget_s")
        return self._pass(limit, budget_s, stopping=stopping)

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
            poll_s: Seconds between two looks where the store tells no news.
            shutdown_timeout_s: Seconds that what runs has left once it is stopped.
        """
        validate.whole(concurrency, "concurrency", most=_MOST_THREADS)
        validate.seconds(poll_s, "poll_s")
        validate.seconds(shutdown_timeout_s, "shutdown_timeout_s")
        shift = Shift(
            self._context,
            self._runner,
            self._maintenance,
            self._presence,
            concurrency=concurrency,
            poll_s=poll_s,
        )
        return Worker(shift, shutdown_timeout_s=shutdown_timeout_s)

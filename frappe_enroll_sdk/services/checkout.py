# SPDX-License-Identifier: MIT
"""
Checkout: from what a learner asks for to a settled enrollment.

Everything is validated and priced before the first write; `open` writes the whole
attempt in one row; `settle` does the rest, now and after any crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ..errors import (
    AlreadyEnrolledError,
    BackendRejectedError,
    ConfigurationError,
    ConflictError,
    CouponExhaustedError,
    CouponReservedError,
    IdempotencyMismatchError,
    PaymentsUnavailableError,
    SettingsError,
    TransientError,
    TransitionError,
)
from ..ids import fingerprint, hash_token, new_enrollment_id, new_token
from ..models import (
    Checkout,
    Course,
    Enrollment,
    HistoryEntry,
    ReserveOutcome,
    Status,
)
from ..states import ENTITLED, EXITS, UNPAID
from . import validate
from .coupons.pricing import Quote
from .settle.decision import Wish


if TYPE_CHECKING:
    from .affiliates.affiliates import Affiliates
    from .catalogue import Catalogue
    from .context import Context
    from .coupons.coupons import Coupons
    from .jobs.inline import Inline
    from .settle.settle import Settle

#: How often a checkout may find that another attempt has just ended.
_MAX_ATTEMPTS = 5


@attrs.frozen(kw_only=True)
class Request:
    """A checkout request after validation."""

    course_id: str
    email: str = attrs.field(repr=False)
    full_name: str | None = attrs.field(repr=False)
    coupon_code: str | None = attrs.field(repr=False)
    affiliate: str | None = attrs.field(repr=False)
    success_url: str | None
    cancel_url: str | None
    idempotency_key: str | None = attrs.field(repr=False)


class Checkouts:
    """`EnrollSDK.checkout` of one SDK. Thread-safe."""

    def __init__(
        self,
        context: Context,
        catalogue: Catalogue,
        coupons: Coupons,
        affiliates: Affiliates,
        settle: Settle,
        inline: Inline,
    ) -> None:
        self._context = context
        self._catalogue = catalogue
        self._coupons = coupons
        self._affiliates = affiliates
        self._settle = settle
        self._inline = inline

    def start(self, request: Request) -> Checkout:
        """See `EnrollSDK.checkout`."""
        if request.affiliate is not None:
            code = self._affiliates.referrer(request.affiliate, request.email)
            request = attrs.evolve(request, affiliate=code)
        self._context.plugins.require_ready()
        course = self._catalogue.get(request.course_id)
        known = self._known(request, course)
        if known is not None:
            resumed = self._resume(known)
            if resumed is None:
                raise ConflictError("the attempt of this key has ended; use a new key")
            return resumed
        return self._begin(request, course)

    def _known(self, request: Request, course: Course) -> Enrollment | None:
        """Return the row that this idempotency key has opened."""
        if request.idempotency_key is None:
            return None
        store = self._context.storage.enrollments
        row = store.find_by_idempotency_key(request.idempotency_key)
        if row is not None and not _asks_the_same(row, request, course):
            raise IdempotencyMismatchError(field="idempotency_key")
        return row

    def _begin(self, request: Request, course: Course) -> Checkout:
        coupon = None
        if request.coupon_code is not None:
            coupon = self._coupons.usable(request.coupon_code, course.id, request.email)
        price = self._coupons.quote(course, coupon)
        self._context.plugins.check(
            "check_checkout",
            course=course,
            email=request.email,
            coupon_code=request.coupon_code,
        )
        request = self._with_urls(request, price)
        for _ in range(_MAX_ATTEMPTS):
            answer = self._attempt(request, course, price)
            if answer is not None:
                return answer
        raise ConflictError("other attempts at this course keep ending")

    def _attempt(
        self, request: Request, course: Course, price: Quote
    ) -> Checkout | None:
        """Resume, replace or open; None when the standing attempt has just ended."""
        store = self._context.storage.enrollments
        standing = store.find_live(request.email, course.id)
        if standing is None:
            learner = self._look_at_lms(request.email, course.id)
            token = new_token(self._context.ambient)
            opened = store.open(self._new_row(request, course, price, learner, token))
            if opened.opened:
                return self._go(opened.enrollment, token)
            standing = opened.enrollment
        if standing.status in ENTITLED or standing.terms == terms_of(
            request, course, price
        ):
            return self._resume(standing)
        if standing.status is Status.ON_HOLD:
            raise TransitionError(
                "an earlier payment is being looked at", code="on_hold"
            )
        ended = self._settle.run(standing.id, wish=Wish.EXPIRE)
        return None if ended.status in EXITS else self._answer(ended, resumed=True)

    def _resume(self, row: Enrollment) -> Checkout | None:
        """Go on with an attempt; None when that has just ended."""
        if row.status in UNPAID:
            # They may have been let in by hand since: nothing more is charged.
            self._look_at_lms(row.email, row.course_id)
            row = self._settle.run(row.id, wish=Wish.ADVANCE)
        return None if row.status in EXITS else self._answer(row, resumed=True)

    def _look_at_lms(self, email: str, course_id: str) -> str:
        """
        Return the LMS's name of the learner, whom it must not have enrolled.

        While it is down, a checkout with a cached price goes on under the address
        itself (Frappe names a user by it). A row that turns up by the time it is paid
        is alerted by the sync.
        """
        lms = self._context.lms
        try:
            user = lms.find_user(email)
            if user is None:
                return email
            if lms.find_enrollments(user.name, course_id):
                raise AlreadyEnrolledError(field="email")
        except (TransientError, ConfigurationError):
            return email
        return user.name

    def _new_row(
        self,
        request: Request,
        course: Course,
        price: Quote,
        learner: str,
        token: str,
    ) -> Enrollment:
        now = self._context.now()
        entry = HistoryEntry(
            at=now,
            version=1,
            status=Status.PENDING,
            fact="opened",
            op_id=self._context.new_op_id(),
        )
        return Enrollment(
            id=new_enrollment_id(self._context.ambient),
            email=request.email,
            learner=learner,
            course_id=course.id,
            course_title=course.title,
            full_name=request.full_name,
            kind=price.kind,
            price=price.price,
            discount=price.discount,
            amount=price.amount,
            coupon_code=request.coupon_code,
            is_limited=price.is_limited,
            affiliate=request.affiliate,
            success_url=request.success_url,
            cancel_url=request.cancel_url,
            token_hash=hash_token(token),
            idempotency_key=request.idempotency_key,
            terms=terms_of(request, course, price),
            due_at=now + self._context.grace,
            created_at=now,
            updated_at=now,
            history=(entry,),
        )

    def _go(self, row: Enrollment, token: str) -> Checkout:
        """Settle while the learner waits, and answer."""
        row = self._settle.run(row.id, opened=row, wish=Wish.ADVANCE)
        return self._answer(row, token=token)

    def _answer(
        self, row: Enrollment, *, token: str | None = None, resumed: bool = False
    ) -> Checkout:
        if row.status in EXITS:
            raise _error_of(row, self._context.settings.reservation_s)
        if row.status is Status.ON_HOLD:
            raise TransitionError("the payment is being looked at", code="on_hold")
        if row.status is Status.CONFIRMED:
            row = self._inline.sync(row)
        awaiting = row.status is Status.AWAITING_PAYMENT
        if awaiting and row.gone_at is not None:
            # What is paid there would not be seen here.
            raise PaymentsUnavailableError(
                "the payment provider does not know the session", code="session_gone"
            )
        return Checkout(
            enrollment_id=row.id,
            token=token,
            status=row.status,
            payment_url=row.payment_url if awaiting else None,
            next_url=row.payment_url if awaiting else self._course_url(row),
            expires_at=row.session_expires_at if awaiting else None,
            price=row.price,
            discount=row.discount,
            amount=row.amount,
            resumed=resumed,
        )

    def _course_url(self, row: Enrollment) -> str | None:
        page = self._catalogue.url_of(row.course_id)
        if page:
            return page
        # Nobody was sent to pay: a URL that waits for a session's id leads nowhere.
        blank = self._context.payments.traits.session_blank
        waits = bool(blank) and blank in (row.success_url or "")
        return None if waits else row.success_url

    def _with_urls(self, request: Request, price: Quote) -> Request:
        """Fill in where the payment page leads; only a payment needs it."""
        if not price.amount:
            return request
        base = self._context.settings.public_url.rstrip("/")
        if not base and not (request.success_url and request.cancel_url):
            raise SettingsError(
                "FRAPPE_ENROLL_PUBLIC_URL: is needed unless checkout is given "
                "success_url and cancel_url"
            )
        blank = self._context.payments.traits.session_blank
        back = f"{base}/return?session_id={blank}" if blank else f"{base}/return"
        return attrs.evolve(
            request,
            success_url=request.success_url or back,
            cancel_url=request.cancel_url or f"{base}/return",
        )


def request_of(
    *,
    course_id: object,
    email: object,
    full_name: object = None,
    coupon_code: object = None,
    affiliate: object = None,
    success_url: object = None,
    cancel_url: object = None,
    idempotency_key: object = None,
) -> Request:
    """
    Return a request, validated and normalised.

    Raises:
        ValidationError: Names the first field that is wrong.
    """
    code = validate.optional_text(coupon_code, "coupon_code")
    return Request(
        course_id=validate.text(course_id, "course_id"),
        email=validate.email(email),
        full_name=validate.optional_text(full_name, "full_name"),
        coupon_code=validate.code(code) if code else None,
        affiliate=validate.optional_text(affiliate, "affiliate"),
        success_url=validate.url(success_url, "success_url"),
        cancel_url=validate.url(cancel_url, "cancel_url"),
        idempotency_key=validate.key(idempotency_key),
    )


def terms_of(request: Request, course: Course, price: Quote) -> str:
    """Return the fingerprint that tells whether a repeated checkout is the same."""
    return fingerprint(
        course.id,
        request.coupon_code,
        price.amount.amount_minor,
        price.amount.currency,
        request.success_url,
        request.cancel_url,
    )


def _asks_the_same(row: Enrollment, request: Request, course: Course) -> bool:
    mine = (request.email, course.id, request.coupon_code)
    return mine == (row.email, row.course_id, row.coupon_code)


def _error_of(row: Enrollment, reservation_s: float) -> Exception:
    """Return why a checkout has ended without an enrollment."""
    if row.reason == "coupon_unavailable":
        # A row is opened only for a code that fits its learner and course.
        if row.history[-1].detail.get("outcome") == ReserveOutcome.EXHAUSTED:
            return CouponExhaustedError(field="coupon_code")
        return CouponReservedError(field="coupon_code", retry_after_s=reservation_s)
    if row.reason == "payment_refused":
        return BackendRejectedError(
            "the payment provider refused the session", code="payment_refused"
        )
    if row.reason == "payments_unavailable":
        return PaymentsUnavailableError("the payment provider can't be reached")
    return ConflictError("the attempt has ended meanwhile; begin again")

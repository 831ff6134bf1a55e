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
    TokenError,
    TransientError,
    TransitionError,
)
from ..evolve import evolve
from ..ids import (
    fingerprint,
    hash_token,
    new_enrollment_id,
    new_token,
    token_matches,
)
from ..models import (
    Checkout,
    Course,
    Enrollment,
    HistoryEntry,
    Opener,
    ReserveOutcome,
    Status,
)
from ..states import ENTITLED, EXITS, UNPAID
from ..stores.slot import ALREADY_ENROLLED
from . import validate
from .coupons.pricing import Quote
from .settle.decide_slot import CLAIMED
from .settle.decision import Wish
from .settle.lost import PROCESSING


if TYPE_CHECKING:
    from .affiliates.affiliates import Affiliates
    from .catalogue import Catalogue
    from .context import Context
    from .coupons.coupons import Coupons
    from .jobs.inline import Inline
    from .settle.settle import Settle


@attrs.frozen(kw_only=True)
class Request:
    """
    A checkout request after validation.

    Attributes:
        course_id: The course, as it was asked for.
        email: The learner's address, normalised.
        full_name: Name of the learner, or None.
        coupon_code: The code, or None.
        affiliate: Who is said to have referred the learner, or None.
        success_url: Where the payment page is to lead, or None.
        cancel_url: The same for whoever gives up, or None.
        idempotency_key: The caller's key, or None.
        token: The token of an attempt to go on with, or None.
        opened_by: What is known of the caller.
    """

    course_id: str
    email: str = attrs.field(repr=False)
    full_name: str | None = attrs.field(repr=False)
    coupon_code: str | None = attrs.field(repr=False)
    affiliate: str | None = attrs.field(repr=False)
    success_url: str | None
    cancel_url: str | None
    idempotency_key: str | None = attrs.field(repr=False)
    token: str | None = attrs.field(repr=False)
    opened_by: Opener

    @property
    def terms(self) -> str:
        """
        The fingerprint that tells whether a repeated checkout is the same.

        Of everything that is asked for: one's own attempt brings one's own affiliate,
        name and way back.
        """
        return fingerprint(
            self.course_id,
            self.email,
            self.full_name,
            self.coupon_code,
            self.affiliate,
            self.success_url,
            self.cancel_url,
        )


class Checkouts:
    """
    `EnrollSDK.checkout` of one SDK. Thread-safe.

    An attempt belongs to whoever opened it. It is resumed or replaced by its token, by
    its idempotency key, or for a caller whom the host vouches for (and that only if it
    was opened for such a one); anybody else gets an attempt of their own.
    """

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
        referrer = None
        if request.affiliate is not None:
            referrer = self._affiliates.referrer(request.affiliate, request.email)
        self._context.plugins.require_ready()
        course = self._catalogue.get(request.course_id)
        request = evolve(request, course_id=course.id)
        known = self._known(request)
        if known is not None:
            return self._again(known)
        own = self._own(request)
        if own is not None and own.status not in UNPAID:
            return self._answer(own, resumed=True)
        price, public = self._price(request, course)
        self._require_free(request)
        if own is not None:
            answer = self._go_on(own, request, price)
            if answer is not None:
                return answer
        learner = self._look_at_lms(request.email, course.id)
        row, token = self._new_row(request, course, price, learner, public=public)
        row = evolve(row, affiliate=referrer)
        opened = self._context.storage.enrollments.open(row)
        if not opened.opened:
            # The same key at the same moment: the other one's attempt is the key's.
            _require_same(opened.enrollment, request)
            return self._again(opened.enrollment)
        return self._go(opened.enrollment, token)

    def _known(self, request: Request) -> Enrollment | None:
        """Return the row that this idempotency key has opened."""
        key = _key_of(request)
        if key is None:
            return None
        row = self._context.storage.enrollments.find_by_idempotency_key(key)
        if row is not None:
            _require_same(row, request)
        return row

    def _again(self, row: Enrollment) -> Checkout:
        """Go on with the attempt of a key."""
        resumed = self._resume(row)
        if resumed is None:
            raise ConflictError("the attempt of this key has ended; use a new key")
        return resumed

    def _own(self, request: Request) -> Enrollment | None:
        """
        Return the caller's own attempt at this course: by token, or as vouched for.

        Raises:
            TokenError: There is no such attempt, or it is another one's.
        """
        if request.token is not None:
            row = self._of_token(request.token)
            here = (request.email, request.course_id)
            if (row.email, row.course_id) == here and row.status not in EXITS:
                return row
        if request.opened_by is not Opener.VOUCHED:
            return None
        attempts = self._context.storage.enrollments.list_unpaid(
            request.email, request.course_id, vouched=True, limit=1
        )
        return next(iter(attempts), None)

    def _of_token(self, token: str) -> Enrollment:
        name, _, _secret = token.partition(".")
        row = self._context.storage.enrollments.find(name)
        if row is None or not token_matches(token, row.token_hash):
            raise TokenError(field="token")
        return row

    def _require_free(self, request: Request) -> None:
        """Take nothing for a course that the learner has already."""
        find_holder = self._context.storage.enrollments.find_holder
        holder = find_holder(request.email, request.course_id)
        if holder is not None and holder.status in ENTITLED:
            raise AlreadyEnrolledError(field="email")

    def _price(self, request: Request, course: Course) -> tuple[Quote, bool]:
        """Return what is to be paid, and whether anybody may use the code."""
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
        return price, coupon is None or coupon.email is None

    def _go_on(
        self, own: Enrollment, request: Request, price: Quote
    ) -> Checkout | None:
        """
        Resume one's own attempt, or owe its end; None = a new one opens.

        Nobody waits for the provider, but where the new one needs the same seat.
        """
        if (own.terms, own.amount) == (request.terms, price.amount):
            return self._resume(own)
        same = own.coupon_code is not None and own.coupon_code == request.coupon_code
        ended = self._settle.run(own.id, wish=Wish.EXPIRE if same else Wish.REPLACE)
        gone = ended.status in UNPAID | EXITS
        return None if gone else self._answer(ended, resumed=True)

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
        *,
        public: bool,
    ) -> tuple[Enrollment, str]:
        """Return the attempt as it is opened, and its token."""
        now, ambient = self._context.now(), self._context.ambient
        success_url, cancel_url = self._urls(request, price)
        name = new_enrollment_id(ambient)
        # So that whoever has the token needs nothing else to go on.
        token = f"{name}.{new_token(ambient)}"
        entry = HistoryEntry(
            at=now,
            version=1,
            status=Status.PENDING,
            fact="opened",
            op_id=self._context.new_op_id(),
        )
        # Nobody pays for it, and nobody has proved the address: what a stranger calls
        # the learner does not reach the LMS.
        nameless = public and not price.amount and request.opened_by is Opener.ANYBODY
        row = Enrollment(
            id=name,
            email=request.email,
            learner=learner,
            course_id=course.id,
            course_title=course.title,
            full_name=None if nameless else request.full_name,
            kind=price.kind,
            price=price.price,
            discount=price.discount,
            amount=price.amount,
            coupon_code=request.coupon_code,
            is_limited=price.is_limited,
            success_url=success_url,
            cancel_url=cancel_url,
            opened_by=request.opened_by,
            token_hash=hash_token(token),
            idempotency_key=_key_of(request),
            terms=request.terms,
            due_at=now + self._context.grace,
            created_at=now,
            updated_at=now,
            history=(entry,),
        )
        return row, token

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
            raise _on_hold()
        if row.status is Status.CONFIRMED:
            row = self._inline.sync(row)
        awaiting = row.status is Status.AWAITING_PAYMENT
        if awaiting and row.gone_at is not None:
            # What is paid there would not be seen here.
            raise PaymentsUnavailableError(
                "the payment provider does not know the session", code="session_gone"
            )
        payable = awaiting and row.reason != PROCESSING
        # A payment that is under way has its page, and it takes no second one.
        elsewhere = self._return_url(row) if awaiting else self._course_url(row)
        return Checkout(
            enrollment_id=row.id,
            token=token,
            status=row.status,
            payment_url=row.payment_url if payable else None,
            next_url=row.payment_url if payable else elsewhere,
            expires_at=row.session_expires_at if payable else None,
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

    def _return_url(self, row: Enrollment) -> str | None:
        """Return where the payment page has sent the learner."""
        blank = self._context.payments.traits.session_blank
        url = row.success_url or None
        return url.replace(blank, row.session_id or "") if url and blank else url

    def _urls(self, request: Request, price: Quote) -> tuple[str | None, str | None]:
        """Return where the payment page leads; only a payment needs it."""
        if not price.amount:
            return request.success_url, request.cancel_url
        base = self._context.settings.public_url.rstrip("/")
        if not base and not (request.success_url and request.cancel_url):
            raise SettingsError(
                "FRAPPE_ENROLL_PUBLIC_URL: is needed unless checkout is given "
                "success_url and cancel_url"
            )
        success_url, cancel_url = request.success_url, request.cancel_url
        blank = self._context.payments.traits.session_blank
        back = f"{base}/return?session_id={blank}" if blank else f"{base}/return"
        return success_url or back, cancel_url or f"{base}/return"


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
    token: object = None,
    authenticated: object = False,
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
        token=validate.optional_text(token, "token"),
        # A word that is anything else is no word.
        opened_by=Opener.VOUCHED if authenticated is True else Opener.ANYBODY,
    )


def _key_of(request: Request) -> str | None:
    """Return what is stored of a key: it means nothing for another pair."""
    key = request.idempotency_key
    return key and fingerprint("key", request.email, request.course_id, key)


def _require_same(row: Enrollment, request: Request) -> None:
    if row.terms != request.terms:
        raise IdempotencyMismatchError(field="idempotency_key")


def _on_hold() -> TransitionError:
    return TransitionError("the payment is being looked at", code="on_hold")


def _error_of(row: Enrollment, reservation_s: float) -> Exception:
    """Return why a checkout has ended without an enrollment."""
    if row.reason == "coupon_unavailable":
        # A row is opened only for a code that fits its learner and course.
        if row.history[-1].detail.get("outcome") == ReserveOutcome.EXHAUSTED:
            return CouponExhaustedError(field="coupon_code")
        return CouponReservedError(field="coupon_code", retry_after_s=reservation_s)
    if row.reason == ALREADY_ENROLLED:
        return AlreadyEnrolledError(field="email")
    if row.reason == CLAIMED:
        return ConflictError("another code is being spent on this course; try again")
    if row.reason == "payment_refused":
        return BackendRejectedError(
            "the payment provider refused the session", code="payment_refused"
        )
    if row.reason == "payments_unavailable":
        return PaymentsUnavailableError("the payment provider can't be reached")
    return ConflictError("the attempt has ended meanwhile; begin again")

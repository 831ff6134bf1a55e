# SPDX-License-Identifier: MIT
"""
The errors of the SDK: four families that decide what happens next.

::

    EnrollError
    ├── ConfigurationError          a backend is set up wrong: jobs wait, nothing counts
    │   ├── SettingsError           (also ValueError)
    │   ├── MissingExtraError       (also ImportError)
    │   ├── UnknownBackendError
    │   ├── DuplicateBackendError
    │   ├── PluginUnavailableError
    │   ├── SchemaError
    │   ├── BackendRefusedError     refused rights, a redirect, a foreign page
    │   └── BlindKeyError           the LMS key can insert but not see
    ├── RejectedError               the request is refused for good: never retried
    │   ├── ValidationError
    │   │   ├── CodeTakenError
    │   │   └── DamagedRowError     nobody's argument: what our own store holds
    │   ├── SignatureError
    │   ├── PayloadError
    │   ├── NotFoundError
    │   │   ├── CourseNotFoundError
    │   │   └── EnrollmentNotFoundError
    │   ├── TokenError
    │   ├── CourseNotForSaleError
    │   ├── CouponUnavailableError
    │   │   ├── CouponReservedError
    │   │   ├── CouponExpiredError
    │   │   └── CouponExhaustedError
    │   ├── AlreadyEnrolledError
    │   ├── AmountTooSmallError
    │   ├── AmountNotChargeableError
    │   ├── SelfReferralError
    │   ├── VetoedError
    │   ├── IdempotencyMismatchError
    │   ├── TransitionError
    │   └── BackendRejectedError    the provider or the LMS refused this very call
    │       └── BackendGoneError    it does not know what the call is about
    ├── ConflictError               somebody else was faster: re-read, retry in place
    │   ├── VersionConflictError
    │   ├── LeaseLostError
    │   └── InProgressError
    └── TransientError              try again later
        ├── StorageUnavailableError
        │   └── UnclearWriteError   the acknowledgement of a write was lost
        ├── PaymentsUnavailableError
        │   └── UnreadableAnswerError  it works, and tells one thing that we can't read
        ├── LMSUnavailableError
        ├── PluginFailedError
        └── ThrottledError

Duplicates are outcomes, not errors. Drivers' exceptions are wrapped at the plugin's
edge with ``raise … from exc``. ``str(error)`` is for operators; ``public_message`` is
safe to show to a learner, and hosts translate by ``code``.
"""

from __future__ import annotations

from typing import ClassVar


__all__ = (
    "AlreadyEnrolledError",
    "AmountNotChargeableError",
    "AmountTooSmallError",
    "BackendGoneError",
    "BackendRefusedError",
    "BackendRejectedError",
    "BlindKeyError",
    "CodeTakenError",
    "ConfigurationError",
    "ConflictError",
    "CouponExhaustedError",
    "CouponExpiredError",
    "CouponReservedError",
    "CouponUnavailableError",
    "CourseNotForSaleError",
    "CourseNotFoundError",
    "DuplicateBackendError",
    "EnrollError",
    "EnrollmentNotFoundError",
    "IdempotencyMismatchError",
    "InProgressError",
    "LMSUnavailableError",
    "LeaseLostError",
    "MissingExtraError",
    "NotFoundError",
    "PayloadError",
    "PaymentsUnavailableError",
    "PluginFailedError",
    "PluginUnavailableError",
    "RejectedError",
    "SchemaError",
    "SelfReferralError",
    "SettingsError",
    "SignatureError",
    "StorageUnavailableError",
    "ThrottledError",
    "TokenError",
    "TransientError",
    "TransitionError",
    "UnclearWriteError",
    "UnknownBackendError",
    "UnreadableAnswerError",
    "ValidationError",
    "VersionConflictError",
    "VetoedError",
)


class EnrollError(Exception):
    """
    Base class of all errors of the SDK; never raised directly.

    Attributes:
        code: Stable machine-readable name.
        http_status: Status code of the HTTP answer.
        retryable: Whether the same call may succeed later.
        retry_after_s: Seconds to wait before a retry, or None.
        public_message: Text for learners, with nothing secret or personal.
        field: Name of the invalid field or variable, or None.
    """

    code: str = "error"
    http_status: int = 500
    retryable: bool = False
    public_message: str = "Something went wrong."
    family: ClassVar[str] = "unknown"

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        http_status: int | None = None,
        retryable: bool | None = None,
        retry_after_s: float | None = None,
        public_message: str | None = None,
        field: str | None = None,
    ) -> None:
        if code is not None:
            self.code = code
        if http_status is not None:
            self.http_status = http_status
        if retryable is not None:
            self.retryable = retryable
        if public_message is not None:
            self.public_message = public_message
        self.retry_after_s = retry_after_s
        self.field = field
        super().__init__(message or self.public_message)


class ConfigurationError(EnrollError):
    """A backend or setting is wrong: jobs wait and no try counts."""

    code = "configuration"
    http_status = 503
    retryable = True
    public_message = "The service is not set up correctly."
    family = "configuration"


class SettingsError(ConfigurationError, ValueError):
    """
    One or more settings are invalid; the text names every variable.

    Attributes:
        problems: One line for each invalid setting.
    """

    code = "settings"

    def __init__(self, problems: list[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class MissingExtraError(ConfigurationError, ImportError):
    """A driver is not installed; the text is the command that installs it."""

    code = "missing_extra"

    def __init__(self, extra: str, package: str | None = None) -> None:
        self.extra = extra
        what = f"{package} is not installed. Run: " if package else ""
        super().__init__(f"{what}pip install 'frappe-enroll-sdk[{extra}]'")


class UnknownBackendError(ConfigurationError):
    """No plugin provides a backend with this name."""

    code = "unknown_backend"


class DuplicateBackendError(ConfigurationError):
    """Two plugins claim one backend name."""

    code = "duplicate_backend"


class PluginUnavailableError(ConfigurationError):
    """A plugin that the settings require is absent or broken."""

    code = "plugin_unavailable"


class SchemaError(ConfigurationError):
    """The store's schema is missing or older (run setup), or newer than the code."""

    code = "schema"


class BackendRefusedError(ConfigurationError):
    """A backend denies us permission, redirects, or is not what we expect."""

    code = "backend_refused"


class BlindKeyError(ConfigurationError):
    """The LMS accepted an enrolment but shows none: the key may insert but not read."""

    code = "blind_key"


class RejectedError(EnrollError):
    """The request itself is at fault: never retried."""

    code = "rejected"
    http_status = 400
    public_message = "The request was refused."
    family = "rejected"


class ValidationError(RejectedError):
    """An argument is invalid; ``field`` names it."""

    code = "validation"
    public_message = "A field is not valid."


class CodeTakenError(ValidationError):
    """Another coupon or affiliate already has this code."""

    code = "code_taken"
    http_status = 409
    public_message = "This code is taken."


class DamagedRowError(ValidationError):
    """A row of our own store can't be read; the message names it and says why."""

    code = "damaged_row"
    http_status = 500
    public_message = "What is stored about this can't be read. Please tell us."


class SignatureError(RejectedError):
    """The webhook's signature is missing, wrong, too old or too new."""

    code = "signature"
    public_message = "The signature is not valid."


class PayloadError(RejectedError):
    """The webhook's body is signed but not a payment event."""

    code = "payload"
    public_message = "The body is not valid."


class NotFoundError(RejectedError):
    """There is no such thing."""

    code = "not_found"
    http_status = 404
    public_message = "Not found."


class CourseNotFoundError(NotFoundError):
    """The LMS has no such course, or it is not published."""

    code = "course_not_found"
    public_message = "There is no such course."


class EnrollmentNotFoundError(NotFoundError):
    """There is no such enrollment."""

    code = "enrollment_not_found"
    public_message = "There is no such enrollment."


class TokenError(RejectedError):
    """The learner's token does not belong to the enrollment."""

    code = "token"
    http_status = 403
    public_message = "The token is not valid for this enrollment."


class CourseNotForSaleError(RejectedError):
    """The course has no price, and the settings do not allow free courses."""

    code = "course_not_for_sale"
    http_status = 409
    public_message = "This course can't be bought here."


class CouponUnavailableError(RejectedError):
    """
    This learner can't use the code for this course.

    The same answer for a code that does not exist, is for another course or learner, is
    disabled or not valid yet; only learners whom the code fits get a subclass.
    """

    code = "coupon_unavailable"
    http_status = 409
    public_message = "This code can't be used."


class CouponReservedError(CouponUnavailableError):
    """Somebody else holds the code's last seat; only for learners whom it fits."""

    code = "coupon_reserved"
    retryable = True
    public_message = "Somebody else is using this code right now. Try again later."


class CouponExpiredError(CouponUnavailableError):
    """The code has expired; only for learners whom it fits."""

    code = "coupon_expired"
    public_message = "This code has expired."


class CouponExhaustedError(CouponUnavailableError):
    """The code is used up; only for learners whom it fits."""

    code = "coupon_exhausted"
    public_message = "This code has already been used."


class AlreadyEnrolledError(RejectedError):
    """The learner is already enrolled: no money is taken or coupon used."""

    code = "already_enrolled"
    http_status = 409
    public_message = "You are already enrolled in this course."


class AmountTooSmallError(RejectedError):
    """The amount to pay is below the provider's minimum charge."""

    code = "amount_too_small"
    http_status = 409
    public_message = "The amount is too small to be paid."


class AmountNotChargeableError(RejectedError):
    """The provider can't charge the course's price: it is between two charge steps."""

    code = "amount_not_chargeable"
    http_status = 409
    public_message = "This course's price can't be charged. Please tell us."


class SelfReferralError(RejectedError):
    """The affiliate is the learner."""

    code = "self_referral"
    http_status = 409
    public_message = "You can't refer yourself."


class VetoedError(RejectedError):
    """A plugin's check refused the checkout."""

    code = "vetoed"
    http_status = 409
    public_message = "This checkout is not allowed."


class IdempotencyMismatchError(RejectedError):
    """The idempotency key was used for another request."""

    code = "idempotency_mismatch"
    http_status = 422
    public_message = "This idempotency key was used for another request."


class TransitionError(RejectedError):
    """The enrollment's status does not allow this."""

    code = "transition"
    http_status = 409
    public_message = "The enrollment does not allow this now."


class BackendRejectedError(RejectedError):
    """The payment provider or the LMS permanently refused this call."""

    code = "backend_rejected"
    http_status = 409
    public_message = "The request was refused by another system."


class BackendGoneError(BackendRejectedError):
    """
    The payment provider does not know the session, payment or event (any more).

    If the provider created the object, the key now belongs to another account or mode:
    it was changed, perhaps only for a moment.
    """

    code = "backend_gone"
    public_message = "Another system no longer knows this."


class ConflictError(EnrollError):
    """Another writer was faster: read again and retry in place."""

    code = "conflict"
    http_status = 409
    retryable = True
    public_message = "Somebody else has just changed this. Try again."
    family = "conflict"


class VersionConflictError(ConflictError):
    """The row's version is not the one that was read."""

    code = "version_conflict"


class LeaseLostError(ConflictError):
    """The claim's lease has lapsed or was taken over: write nothing."""

    code = "lease_lost"


class InProgressError(ConflictError):
    """The same request is still being processed."""

    code = "in_progress"
    public_message = "The same request is still being processed."


class TransientError(EnrollError):
    """
    The call may succeed later.

    Attributes:
        unclear: Whether the call may have taken effect although it failed (time-out,
            reset, 5xx): look before repeating it.
    """

    code = "transient"
    http_status = 503
    retryable = True
    public_message = "The service is busy. Try again later."
    family = "transient"

    def __init__(
        self,
        message: str | None = None,
        *,
        unclear: bool = False,
        code: str | None = None,
        retry_after_s: float | None = None,
        public_message: str | None = None,
    ) -> None:
        self.unclear = unclear
        super().__init__(
            message,
            code=code,
            retry_after_s=retry_after_s,
            public_message=public_message,
        )


class StorageUnavailableError(TransientError):
    """The store can't be reached or can't write."""

    code = "storage_unavailable"


class UnclearWriteError(StorageUnavailableError):
    """
    The acknowledgement of a write was lost: it may or may not have taken effect.

    Raised by storage backends (`Tables`); the stores repeat the verb and look for their
    own operation, and raise this only when it happens again.
    """

    code = "unclear_write"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or "no acknowledgement of a write", unclear=True)


class PaymentsUnavailableError(TransientError):
    """The payment provider can't be reached, fails or times out."""

    code = "payments_unavailable"


class UnreadableAnswerError(PaymentsUnavailableError):
    """The payment provider works, but its data about one object can't be read."""

    code = "unreadable"


class LMSUnavailableError(TransientError):
    """The LMS can't be reached, fails or times out."""

    code = "lms_unavailable"


class PluginFailedError(TransientError):
    """A plugin's or the host's code raised an error or gave an unusable answer."""

    code = "plugin_failed"


class ThrottledError(TransientError):
    """The other side asks us to slow down (429, "Throttled"): no try counts."""

    code = "throttled"

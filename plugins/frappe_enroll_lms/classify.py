# SPDX-License-Identifier: MIT
"""
What a Frappe server's answer means: one table, status first, then ``exc_type``.

417 is Frappe's catch-all for refusals; a 500 may be a refusal or a passing fault, and
does not prove that nothing was written. Messages are translated and never decide.
"""

from __future__ import annotations

from enum import StrEnum

import attrs

from frappe_enroll_sdk.errors import (
    BackendRefusedError,
    BackendRejectedError,
    EnrollError,
    LMSUnavailableError,
    ThrottledError,
)


class Meaning(StrEnum):
    """What to do with an answer."""

    SUCCESS = "success"
    PERMANENT = "permanent"
    TRANSIENT = "transient"
    THROTTLED = "throttled"
    UNCLEAR = "unclear"
    CONFIGURATION = "configuration"


@attrs.frozen(kw_only=True)
class Verdict:
    """
    The meaning of an answer.

    Attributes:
        meaning: What to do.
        cause: Explanation for an operator, with what to do about it.
    """

    meaning: Meaning
    cause: str = ""


_REFUSALS = {
    "LinkValidationError": (
        "the course or the learner does not exist in the LMS: create it, then requeue"
    ),
    "MandatoryError": "the LMS reports a missing mandatory field",
    "ValidationError": (
        "the LMS refuses: the course may be unpublished, closed to self-learning, or "
        "paid without a payment: publish it or give the API user the role Moderator, "
        "then requeue"
    ),
    "CharacterLengthExceededError": "a value is too long for the LMS",
    "InvalidEmailAddressError": "the LMS does not accept this e-mail address",
    "LinkExistsError": "other documents in the LMS use this one: remove them first",
    "DataError": "the LMS does not know a requested field",
    "UniqueValidationError": "the LMS has another document with the same unique value",
    "DuplicateEntryError": "the document already exists",
    "DoesNotExistError": "there is no such document in the LMS",
}
#: Refusals in the form of server errors (Frappe 15): a retry gets the same answer.
_REFUSED_500 = frozenset(
    {"AttributeError", "JSONDecodeError", "TypeError", "ImportError"}
)
#: Server errors that mean nothing was written.
_ROLLED_BACK_500 = frozenset(
    {"QueryDeadlockError", "QueryTimeoutError", "OperationalError"}
)
_STOPPED_503 = frozenset({"SessionStopped", "InReadOnlyMode"})
#: Frappe's own refusals in HTML: wrong method, body too large.
_REFUSED_BY_PAGE = frozenset({405, 413})
_SOON_417 = frozenset({"TimestampMismatchError"})


def classify(
    status: int,
    exc_type: str | None,
    *,
    is_json: bool,
    verb: str = "",
    is_frappes_page: bool = True,
) -> Verdict:
    """
    Classify an answer.

    Args:
        status: HTTP status.
        exc_type: ``exc_type`` of the body, if it has one.
        is_json: Whether the body is a JSON object.
        verb: The verb that was called, such as "create_user".
        is_frappes_page: Whether a page looks like Frappe's own (Werkzeug's).
    """
    if 200 <= status < 300:
        return _ok(exc_type, is_json=is_json)
    if 300 <= status < 400:
        return _config("the LMS redirects: set FRAPPE_LMS_URL to the target")
    if status == 429:
        return Verdict(meaning=Meaning.THROTTLED, cause="the LMS asks us to slow down")
    if status >= 500:
        return _server_error(status, exc_type)
    if status in {401, 403} or exc_type == "InvalidAuthorizationToken":
        return _config(
            f"the LMS refuses the API key ({status}): check FRAPPE_LMS_API_KEY, "
            "FRAPPE_LMS_API_SECRET and the user's roles (Moderator)"
        )
    if status == 404 and not is_json:
        return _config("no such site: check FRAPPE_LMS_URL and FRAPPE_LMS_SITE")
    own_page = status in _REFUSED_BY_PAGE and is_frappes_page
    if exc_type is None and (is_json or not own_page):
        # Frappe refuses in JSON, with an exception class: this is from a proxy or a
        # gateway.
        kind = "JSON" if is_json else "a page"
        cause = f"{kind} that is not the LMS's ({status}): what stands in front of it?"
        return Verdict(meaning=Meaning.UNCLEAR, cause=cause)
    if status == 417:
        return _expectation_failed(exc_type, verb)
    return _refused(status, exc_type)


def _ok(exc_type: str | None, *, is_json: bool) -> Verdict:
    if is_json and exc_type is None:
        return Verdict(meaning=Meaning.SUCCESS)
    return Verdict(
        meaning=Meaning.UNCLEAR, cause="the LMS answered 200 with unexpected data"
    )


def _server_error(status: int, exc_type: str | None) -> Verdict:
    if status == 500 and exc_type in _REFUSED_500:
        return _refused(status, exc_type)
    passing = (status == 500 and exc_type in _ROLLED_BACK_500) or (
        status == 503 and exc_type in _STOPPED_503
    )
    meaning = Meaning.TRANSIENT if passing else Meaning.UNCLEAR
    return Verdict(meaning=meaning, cause=f"the LMS fails ({status} {exc_type or ''})")


def _expectation_failed(exc_type: str | None, verb: str) -> Verdict:
    if exc_type in _SOON_417:
        return Verdict(meaning=Meaning.TRANSIENT, cause="the document has changed")
    if verb == "create_user" and exc_type == "ValidationError":
        # Frappe limits new users per hour with a plain ValidationError.
        return Verdict(
            meaning=Meaning.THROTTLED, cause="the LMS limits new users per hour"
        )
    if verb == "create_user" and exc_type == "UniqueValidationError":
        # The username, which Frappe derives; the next try sends another one.
        return Verdict(meaning=Meaning.TRANSIENT, cause="the username was taken")
    return _refused(417, exc_type)


def _refused(status: int, exc_type: str | None) -> Verdict:
    words = _REFUSALS.get(exc_type or "", f"the LMS refuses ({status})")
    return Verdict(
        meaning=Meaning.PERMANENT, cause=f"{words} [{status} {exc_type or '-'}]"
    )


def _config(cause: str) -> Verdict:
    return Verdict(meaning=Meaning.CONFIGURATION, cause=cause)


def error_of(verdict: Verdict, retry_after_s: float | None) -> EnrollError:
    """Return the error for an unsuccessful answer."""
    if verdict.meaning is Meaning.PERMANENT:
        return BackendRejectedError(verdict.cause)
    if verdict.meaning is Meaning.CONFIGURATION:
        return BackendRefusedError(verdict.cause, field="FRAPPE_LMS_URL")
    if verdict.meaning is Meaning.THROTTLED:
        return ThrottledError(verdict.cause, retry_after_s=retry_after_s)
    unclear = verdict.meaning is Meaning.UNCLEAR
    return LMSUnavailableError(verdict.cause, unclear=unclear)

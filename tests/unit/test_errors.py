# SPDX-License-Identifier: MIT
"""The errors: four families, stable codes, and texts that may be shown."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from frappe_enroll_sdk import errors


FAMILIES = {
    errors.ConfigurationError: ("configuration", True),
    errors.RejectedError: ("rejected", False),
    errors.ConflictError: ("conflict", True),
    errors.TransientError: ("transient", True),
}
CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, errors.EnrollError)
]
CONCRETE = [cls for cls in CLASSES if cls is not errors.EnrollError]
STATUSES = {
    "SignatureError": 400,
    "PayloadError": 400,
    "ValidationError": 400,
    "SelfReferralError": 409,
    "TokenError": 403,
    "NotFoundError": 404,
    "CourseNotFoundError": 404,
    "EnrollmentNotFoundError": 404,
    "CourseNotForSaleError": 409,
    "CouponUnavailableError": 409,
    "CouponReservedError": 409,
    "CouponExpiredError": 409,
    "CouponExhaustedError": 409,
    "AlreadyEnrolledError": 409,
    "AmountTooSmallError": 409,
    "VetoedError": 409,
    "TransitionError": 409,
    "BackendRejectedError": 409,
    "ConflictError": 409,
    "InProgressError": 409,
    "IdempotencyMismatchError": 422,
    "StorageUnavailableError": 503,
    "PluginUnavailableError": 503,
    "SettingsError": 503,
    "LMSUnavailableError": 503,
    "ThrottledError": 503,
}


def made(cls):
    """Make an error of a class."""
    return cls("extra" if cls is errors.MissingExtraError else "secret detail")


@pytest.mark.parametrize("cls", CONCRETE, ids=lambda c: c.__name__)
def test_error_belongs_to_one_family(cls):
    """The family decides what happens next, so there is exactly one."""
    families = [f for f in FAMILIES if issubclass(cls, f)]
    assert len(families) == 1
    name, retryable = FAMILIES[families[0]]
    # The one refusal that time may lift.
    retryable = retryable or cls is errors.CouponReservedError
    assert (made(cls).family, made(cls).retryable) == (name, retryable)


def test_codes_are_unique_and_stable_words():
    """Hosts translate by them."""
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
def test_error_has_its_http_status(name, status):
    """The HTTP surface answers with it."""
    assert getattr(errors, name).http_status == status


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_public_message_never_tells_the_detail(cls):
    """What an operator reads is not what a learner is shown."""
    error = made(cls)
    assert "secret detail" not in error.public_message
    assert error.public_message.endswith(".")
    if cls is not errors.MissingExtraError:
        assert str(error) == "secret detail"


@pytest.mark.parametrize("cls", CONCRETE, ids=lambda c: c.__name__)
def test_error_is_in_the_tree_of_the_docstring(cls):
    """The tree that people read is the tree there is."""
    line = re.search(rf"^.*── {cls.__name__}\b", errors.__doc__, re.MULTILINE)
    assert line, f"{cls.__name__} is not in the tree"
    depth = line[0].index("──") // 4
    ours = [c for c in cls.__mro__ if c in CLASSES]
    assert depth == len(ours) - 1


def test_arguments_override_the_class_for_one_error():
    """The class itself stays as it was."""
    error = errors.TransitionError("held", code="on_hold", http_status=423, field="id")
    assert (error.code, error.http_status, error.field) == ("on_hold", 423, "id")
    assert (errors.TransitionError.code, errors.TransitionError.http_status) == (
        "transition",
        409,
    )
    slow = errors.ThrottledError(retry_after_s=7, public_message="Slow down.")
    assert (slow.retry_after_s, slow.public_message) == (7, "Slow down.")
    assert str(slow) == "Slow down."


def test_transient_error_tells_whether_the_call_may_have_worked():
    """Unclear: look before any repetition."""
    assert errors.LMSUnavailableError("reset", unclear=True).unclear is True
    assert errors.LMSUnavailableError("refused").unclear is False


def test_settings_error_tells_every_problem():
    """One line each, and hosts may catch ValueError."""
    error = errors.SettingsError(["A: is wrong", "B: is wrong"])
    assert isinstance(error, ValueError)
    assert error.problems == ["A: is wrong", "B: is wrong"]
    assert str(error) == "A: is wrong\nB: is wrong"
    assert errors.SettingsError("A: is wrong").problems == ["A: is wrong"]


def test_missing_extra_is_the_command_that_mends_it():
    """The text can be pasted, and hosts may catch ImportError."""
    assert str(errors.MissingExtraError("sql")) == (
        "pip install 'frappe-enroll-sdk[sql]'"
    )
    error = errors.MissingExtraError("sql", "SQLAlchemy")
    assert isinstance(error, ImportError)
    assert str(error) == (
        "SQLAlchemy is not installed. Run: pip install 'frappe-enroll-sdk[sql]'"
    )


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_error_survives_a_pickle(cls):
    """Process pools hand errors over by pickle."""
    again = pickle.loads(pickle.dumps(made(cls)))  # noqa: S301  our own
    assert (type(again), again.code) == (cls, cls.code)

# SPDX-License-Identifier: MIT
"""Our words against the installed ``stripe`` package's: a release shows what is new."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from typing import Literal, get_args, get_origin

import pytest
import stripe

from frappe_enroll_sdk.models import (
    DisputeStatus,
    PaymentStatus,
    RefundStatus,
    SessionStatus,
)
from frappe_enroll_stripe.records import _PAYMENT_FACTS, _SESSION_FACTS


#: Words that releases after the oldest one that we allow have brought.
LATER = {"appeal_needs_response", "appeal_under_review"}
HAS_THEM = tuple(map(int, version("stripe").split(".")[:2])) >= (16, 1)


def literals_of(kind):
    """Return the texts of all literals in an annotation."""
    if get_origin(kind) is Literal:
        return set(get_args(kind))
    return {text for part in get_args(kind) for text in literals_of(part)}


def annotated(cls, field):
    """Return the words that the package's type of a field names."""
    return literals_of(cls.__annotations__[field])


@pytest.mark.parametrize(
    ("ours", "cls", "field"),
    [
        (SessionStatus, stripe.checkout.Session, "status"),
        (PaymentStatus, stripe.checkout.Session, "payment_status"),
        (DisputeStatus, stripe.Dispute, "status"),
    ],
)
def test_every_word_of_the_package_is_known(ours, cls, field):
    """And we know none that it does not: the text is read by what it means."""
    words = {str(word) for word in ours}
    later = set() if HAS_THEM else LATER & words
    assert annotated(cls, field) | later == words


def test_every_word_of_a_refund_is_known():
    """The package has these in its text only ("This can be `pending`, …")."""
    text = inspect.getsource(stripe.Refund)
    (told,) = re.findall(r"Status of the refund\. This can be ([^.]*)\.", text)
    assert set(re.findall(r"`(\w+)`", told)) == {str(word) for word in RefundStatus}


def test_refund_without_a_status_is_in_the_package_too():
    """It may be null: that is read as given back."""
    assert type(None) in get_args(stripe.Refund.__annotations__["status"])


def test_every_event_that_we_follow_is_in_the_package():
    """A type that is renamed would bring nothing any more."""
    known = annotated(stripe.Event, "type")
    # Sent by API versions before 2024 in the place of refund.updated.
    assert set(_SESSION_FACTS) | set(_PAYMENT_FACTS) <= known | {
        "charge.refund.updated"
    }


def test_modes_and_payments_that_are_asked_by_word_are_known():
    """What is compared with one word, where any other one is the safe side."""
    assert "payment" in annotated(stripe.checkout.Session, "mode")
    failed = {"requires_payment_method", "canceled"}
    assert failed <= annotated(stripe.PaymentIntent, "status")

# SPDX-License-Identifier: MIT
"""Refused by mypy, line by line: what the Protocols would not let pass."""

from __future__ import annotations

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_sdk.interfaces import LMS, PaymentGateway, Storage
from frappe_enroll_sdk.stores.coupons import Coupons
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sql.storage import SQLStorage
from frappe_enroll_stripe.gateway import StripePayments


class RenamedArgument(FakeLMS):
    """A verb whose keyword has another name."""

    def create_user(  # type: ignore[override]
        self, email: str, name: str | None, *, timeout: float | None = None
    ) -> object:
        """Take other names."""
        return email, name, timeout


class OtherAnswer(Coupons):
    """A verb with another answer."""

    def bind(self, code: str, holder: str) -> str:  # type: ignore[override]
        """Answer a word."""
        return code + holder


class OtherStorage(MemoryStorage):
    """A storage with the wrong coupons."""

    coupons: OtherAnswer


def refused(
    renamed: RenamedArgument,
    other: OtherStorage,
    sql: SQLStorage,
    stripe: StripePayments,
    frappe: FrappeLMS,
) -> None:
    """Each line is an error; a class that mypy can't see would pass."""
    _lms: LMS = renamed
    _storage: Storage = other
    _gateway: PaymentGateway = sql
    _platform: LMS = stripe
    _store: Storage = frappe

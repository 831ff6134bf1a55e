# SPDX-License-Identifier: MIT
"""Checked by mypy: each implementation is what its Protocol says."""

from __future__ import annotations

from enroll_file_lms import FileLMS

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.clock import Clock, FakeClock, OffsetClock, SystemClock
from frappe_enroll_sdk.interfaces import LMS, PaymentGateway, Storage
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments
from frappe_enroll_sql.storage import SQLStorage
from frappe_enroll_stripe.gateway import StripePayments


def storages(
    memory: MemoryStorage, sql: SQLStorage, mongo: MongoStorage
) -> list[Storage]:
    """The stores."""
    return [memory, sql, mongo]


def gateways(fake: FakePayments, stripe: StripePayments) -> list[PaymentGateway]:
    """Both payment gateways."""
    return [fake, stripe]


def platforms(fake: FakeLMS, frappe: FrappeLMS, file: FileLMS) -> list[LMS]:
    """The LMS backends."""
    return [fake, frappe, file]


def clocks(fake: FakeClock, offset: OffsetClock, system: SystemClock) -> list[Clock]:
    """The clocks."""
    return [fake, offset, system]

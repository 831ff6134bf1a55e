# SPDX-License-Identifier: MIT
"""The surface as `http_load.py` serves it: everything real but the two backends."""

from __future__ import annotations

import json
import os

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments
from frappe_enroll_wsgi import create_app


lms, payments = FakeLMS(), FakePayments()
lms.add_course("python-101", Money(4900, "usd"))
settings = Settings(
    inline_s=0,
    rate_limits="off",
    payments="fake",
    public_url="http://127.0.0.1:1",
    **json.loads(os.environ["BENCH_STORE"]),
)
application = create_app(EnrollSDK(settings, payments=payments, lms=lms, discover=True))

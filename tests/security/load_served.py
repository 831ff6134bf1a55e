# SPDX-License-Identifier: MIT
"""The surface as `load.py` serves it: real but for its backends; the LMS hangs."""

from __future__ import annotations

import os
import time

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.ids import hash_token
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments
from frappe_enroll_wsgi import create_app


class HangingLMS(FakeLMS):
    """One that answers no ping in time."""

    def ping(self):
        """Hang."""
        time.sleep(5)


lms = HangingLMS()
lms.add_course("python-101", Money(4900, "usd"))
settings = Settings(
    database_url=os.environ["LOAD_DATABASE"],
    inline_s=0,
    payments="fake",
    public_url="http://127.0.0.1:1",
    cron_secret="cron-secret-of-the-load",
    secret_key="cookie-key-of-the-load",
    admin_tokens=f"operator:olga:{hash_token('fea_token_of_the_load')}",
)
sdk = EnrollSDK(settings, payments=FakePayments(), lms=lms)
application = create_app(sdk)

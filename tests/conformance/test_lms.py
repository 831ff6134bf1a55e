# SPDX-License-Identifier: MIT
"""The public LMS suite on the fake, and on Frappe LMS over the sandbox."""

from __future__ import annotations

import pytest

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sdk.testing.conformance.lms import LMSConformance
from frappe_enroll_sdk.testing.lms import FakeLMS


class FakeDriver:
    """The fake is its own LMS."""

    capabilities = ()

    def __init__(self, duplicates):
        self.lms = FakeLMS(duplicates=duplicates)
        self.add_course = self.lms.add_course

    def rows(self, learner, course_id):
        """Look into the fake."""
        return [row.name for row in self.lms.rows_of(learner, course_id)]

    def go_down(self):
        """Let every verb fail."""
        self.lms.is_down = True

    def come_back(self):
        """Let them work again."""
        self.lms.is_down = False


class FrappeDriver:
    """The real frappe-client package over loopback HTTP."""

    capabilities = ("stall",)

    def __init__(self, sandbox, duplicates):
        sandbox.site.duplicates = duplicates
        self.sandbox = sandbox
        self.lms = FrappeLMS(sandbox.url, sandbox.api_key, sandbox.api_secret)
        self.go_down, self.come_back = sandbox.stop, sandbox.start

    def add_course(self, name, *, price=None, published=True):
        """Put a course into the site; Frappe keeps prices as floats."""
        major = price.amount_minor / 100 if price else None
        currency = price.currency if price else None
        self.sandbox.site.add_course(name, major, currency, published=published)

    def rows(self, learner, course_id):
        """Look into the site."""
        return [
            row["name"] for row in self.sandbox.site.enrollments(learner, course_id)
        ]

    def stall(self):
        """Never answer again."""
        self.sandbox.fail_next(".", "hang", times=None)


@pytest.fixture(params=["accepted", "refused"])
def duplicates(request):
    """Both kinds of sites: Frappe 15, and newer ones that look before they insert."""
    return request.param


class TestFake(LMSConformance):
    """The fake keeps what it stands for."""

    @pytest.fixture
    def lms_driver(self, duplicates):
        """Return a driver with nothing in it."""
        return FakeDriver(duplicates)


class TestFrappe(LMSConformance):
    """The Frappe LMS plugin."""

    @pytest.fixture
    def lms_driver(self, duplicates):
        """Return a driver over a sandbox of its own."""
        with LMSSandbox() as sandbox:
            driver = FrappeDriver(sandbox, duplicates)
            yield driver
            driver.lms.close()

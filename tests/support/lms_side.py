# SPDX-License-Identifier: MIT
"""What the tests of the Frappe LMS sandbox share."""

from __future__ import annotations

import time

from frappe_enroll_lms.frappe import FrappeLMS


COURSE, ADA = "python-101", "ada@example.com"
#: For what hangs; all else gets `PATIENCE_S`, so that a busy machine is not an outage.
TIMEOUT_S, PATIENCE_S = 1.0, 30.0
INSERT = "POST .*LMS Enrollment"


def new_lms(sandbox, **more):
    """Return the plugin with the site's key and patience, unless told otherwise."""
    options = {"api_key": sandbox.api_key, "api_secret": sandbox.api_secret}
    return FrappeLMS(sandbox.url, **options | {"timeout_s": PATIENCE_S} | more)


def rows(sandbox):
    """Return what the site holds for the pair."""
    return sandbox.site.enrollments(ADA, COURSE)


def wait_for(condition, seconds=10):
    """Wait until something is so."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.005)

# SPDX-License-Identifier: MIT
"""``python -m frappe_enroll_sandbox``, as a process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_sdk.errors import LMSUnavailableError
from frappe_enroll_sdk.money import Money
from frappe_enroll_stripe.gateway import StripePayments


COMMAND = [sys.executable, "-m", "frappe_enroll_sandbox"]


@pytest.fixture
def start():
    """Return what starts the program; what still runs in the end is killed."""
    started = []

    def run(*arguments):
        process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, json.loads(process.stdout.readline())

    yield run
    for process in started:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sandbox_serves_until_it_is_stopped(start, number):
    """Both plugins work with what it prints; a signal ends it with 0."""
    process, told = start()
    payments = StripePayments(
        told["STRIPE_SECRET_KEY"], api_base=told["STRIPE_API_BASE"]
    )
    lms = FrappeLMS(
        told["FRAPPE_LMS_URL"],
        told["FRAPPE_LMS_API_KEY"],
        told["FRAPPE_LMS_API_SECRET"],
    )
    payments.ping()
    assert lms.get_course("python-101").price == Money(4900, "usd")
    process.send_signal(number)
    assert process.wait(10) == 0
    assert process.stdout.read() == ""
    with pytest.raises(LMSUnavailableError):
        lms.ping()


def test_sandbox_listens_on_loopback_only(start):
    """Where it is told to, on no other address."""
    _, told = start()
    hosts = {urlsplit(told[name]).hostname for name in told if told[name][:4] == "http"}
    assert hosts == {"127.0.0.1"}


def test_wrong_option_is_a_usage_error():
    """Exit 2, the words on stderr, nothing on stdout."""
    done = subprocess.run(
        [*COMMAND, "--nonsense"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--nonsense" in done.stderr

# SPDX-License-Identifier: MIT
"""What SIGTERM and SIGINT do to a worker: the first one, the second one, and after."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from frappe_enroll_sdk.services.jobs.worker import STOPPING, stop_on_signals


@pytest.mark.parametrize("number", STOPPING)
def test_first_signal_stops_and_the_second_ends(number):
    """After the first one, the next has its usual effect: the process ends."""
    stops = []
    before = {name: signal.getsignal(name) for name in STOPPING}
    with stop_on_signals(lambda: stops.append(number)):
        os.kill(os.getpid(), number)
        assert stops == [number]
        assert {signal.getsignal(name) for name in STOPPING} == {signal.SIG_DFL}
    assert {name: signal.getsignal(name) for name in STOPPING} == before


def test_hosts_handlers_stay_outside_of_the_main_thread():
    """A worker in a host's thread touches no handler."""
    before = {name: signal.getsignal(name) for name in STOPPING}
    seen = []

    def run():
        with stop_on_signals(lambda: None):
            seen.append({name: signal.getsignal(name) for name in STOPPING})

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]

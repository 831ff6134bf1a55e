# SPDX-License-Identifier: MIT
"""The schedule of a job that fails."""

from __future__ import annotations

import random

import pytest

from frappe_enroll_sdk.backoff import RetryPolicy, capped_retry_after


MINUTES = [2, 4, 8, 16, 32]
ALMOST_ONE = 1 - 2**-53


@pytest.mark.parametrize(("tries", "minutes"), list(enumerate(MINUTES, 1)))
def test_wait_follows_the_schedule(tries, minutes):
    """2, 4, 8, 16 and 32 minutes."""
    assert RetryPolicy().wait_s(tries, chance=0.5) == minutes * 60


@pytest.mark.parametrize(("tries", "minutes"), list(enumerate(MINUTES, 1)))
def test_jitter_stays_within_ten_percent(tries, minutes):
    """The lowest throw takes 10 % off, the highest adds just under 10 %."""
    policy = RetryPolicy()
    assert policy.wait_s(tries, chance=0.0) == pytest.approx(minutes * 60 * 0.9)
    highest = policy.wait_s(tries, chance=ALMOST_ONE)
    assert highest == pytest.approx(minutes * 60 * 1.1)
    thrown = [policy.wait_s(tries, chance=random.random()) for _ in range(200)]
    assert min(thrown) >= minutes * 60 * 0.9
    assert max(thrown) <= minutes * 60 * 1.1
    assert max(thrown) - min(thrown) > minutes * 60 * 0.1


def test_sixth_failed_try_is_the_last():
    """Dead after the sixth, never before."""
    policy = RetryPolicy()
    assert policy.max_tries == 6
    assert [policy.wait_s(n, chance=0.5) is None for n in range(1, 8)] == [
        False
    ] * 5 + [True] * 2


def test_wait_of_no_try_is_the_first_wait():
    """A try that was given back starts at the schedule's beginning."""
    assert RetryPolicy(jitter=0).wait_s(0, chance=0.9) == 120


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        (None, 60),
        (0, 1),
        (-5, 1),
        (17.5, 17.5),
        (3600, 3600),
        (3600.1, 3600),
        (1e9, 3600),
    ],
)
def test_retry_after_is_capped_at_an_hour(asked, waited):
    """No other side parks our jobs for longer, nor makes them spin."""
    assert capped_retry_after(asked) == waited

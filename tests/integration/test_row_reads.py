# SPDX-License-Identifier: MIT
"""How often an enrollment is read: an outcome names it, so nobody reads it again."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
from support.world import COURSE, World


class Counting:
    """An enrollment store that counts its reads of rows."""

    def __init__(self, store):
        self._store, self.reads = store, Counter()

    def __getattr__(self, name):
        value = getattr(self._store, name)
        if not name.startswith(("find", "list_for_sync")):
            return value

        def call(*arguments, **named):
            self.reads[name] += 1
            return value(*arguments, **named)

        return call


class Storage:
    """A storage whose enrollments are counted."""

    def __init__(self, storage):
        self._storage, self.enrollments = storage, Counting(storage.enrollments)

    def __getattr__(self, name):
        return getattr(self._storage, name)


@attrs.frozen
class Counted:
    """A process whose reads are counted."""

    world: World
    storage: Storage

    def process(self):
        """Return an SDK whose reads are counted from here on."""
        self.storage.enrollments.reads.clear()
        return self.world.sdk(storage=self.storage)

    @property
    def reads(self):
        """The reads so far."""
        return dict(self.storage.enrollments.reads)


@pytest.fixture
def counted():
    """Return a world over a store that counts."""
    world = World()
    return Counted(world, Storage(world.storage))


def test_webhook_reads_an_enrollment_as_often_as_it_settles_it(counted):
    """
    To name it, to settle it, and for the LMS; not for inline work or the answer.

    Before outcomes named their enrollments it took three `find` and three
    `find_by_session`: for the sync, after it, and for the answer.
    """
    made = counted.world.sdk().checkout(course_id=COURSE, email="ada@example.com")
    event = counted.world.pay(made.enrollment_id)
    sdk = counted.process()
    result = counted.world.deliver(sdk, event)
    assert (result.outcome, result.enrollment_id) == ("processed", made.enrollment_id)
    # `find`: settle for the event, and settle for what the sync found.
    assert counted.reads == {"find_by_session": 1, "find": 2, "list_for_sync": 1}


def test_checkout_by_a_grant_reads_no_row_after_its_sync(counted):
    """What the sync settled is what the learner is told."""
    code = counted.world.coupon(100)
    sdk = counted.process()
    made = sdk.checkout(course_id=COURSE, email="ada@example.com", coupon_code=code)
    assert made.status == "enrolled"
    assert counted.reads == {"find_holder": 1, "find": 1, "list_for_sync": 1}

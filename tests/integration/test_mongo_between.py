# SPDX-License-Identifier: MIT
"""Somebody else acts between two commands of one verb."""

from __future__ import annotations

import secrets

import pytest
from support.size import LEAST, SERVER_DIFFERS
from support.wire import Wire

from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.models import (
    JobState,
    ReleaseOutcome,
    ReserveOutcome,
    SeatState,
    Status,
)
from frappe_enroll_sdk.testing.conformance.records import (
    NOW,
    after,
    coupon,
    enrollment,
    entry,
)
from frappe_enroll_sdk.testing.conformance.storage_affiliates import affiliate
from frappe_enroll_sdk.testing.conformance.storage_grants import grant


pytestmark = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)


@pytest.fixture(scope="module", params=["standalone", "replica set"])
def wire(request):
    """Return a wire to either sort of server."""
    if request.param == "standalone":
        server = request.getfixturevalue("mongod")
    else:
        server = request.getfixturevalue("one_node").members[0]
    with Wire(server.port) as wire:
        wire.server = server
        yield wire


@pytest.fixture
def pair(wire):
    """Return (the store whose commands the wire sees, another process's)."""
    name = f"between_{secrets.token_hex(4)}"
    slow, other = MongoStorage(wire.uri, name), MongoStorage(wire.server.uri, name)
    other.setup()
    slow.workers.list()
    yield slow, other
    wire.arm(None)
    for storage in (slow, other):
        storage.close()
    with wire.server.client() as client:
        client.drop_database(name)


def between(wire, name, act, *, nth=1, then=None):
    """Act once when the nth command of this name is done, before its answer comes."""
    seen = []

    def plan(_number, command, _body):
        if command == name:
            seen.append(command)
            if len(seen) == nth:
                return act
        return then if then and len(seen) >= nth else None

    wire.arm(plan)


def drop(storage, collection, name):
    """Take a document away, as a pruning process or a rollback does."""
    gone = storage._link.collection(collection).delete_one({"_id": name})
    assert gone.deleted_count == 1


@pytest.mark.parametrize("once", [False, True])
def test_job_that_is_pruned_while_it_is_enqueued_is_new(pair, wire, once):
    """The key was known to the index and is gone when it is read: it is written."""
    slow, other = pair
    other.jobs.enqueue("sync:a", "sync", {"n": 1}, NOW, now=NOW)
    between(wire, "insert", lambda: drop(other, "jobs", "sync:a"))
    made = slow.jobs.enqueue("sync:a", "sync", {"n": 2}, NOW, now=NOW, once=once)
    assert made == other.jobs.find("sync:a")
    assert (made.state, made.payload, made.seq) == (JobState.DUE, {"n": 2}, 1)


def test_jobs_that_are_pruned_while_a_batch_is_enqueued_are_new(pair, wire):
    """Of a batch with known keys none is lost, whatever becomes of those."""
    slow, other = pair
    orders = [_order(f"job-{number}", number) for number in range(4)]
    other.jobs.enqueue_many(orders[:3], now=NOW)
    between(wire, "insert", lambda: drop(other, "jobs", "job-1"))
    assert slow.jobs.enqueue_many(orders, now=NOW) == 2
    assert [other.jobs.find(f"job-{number}").seq for number in (3, 0, 1, 2)] == [
        1,
        2,
        1,
        2,
    ]


def _order(key, number):
    from frappe_enroll_sdk.models import NewJob  # noqa: PLC0415

    return NewJob(key=key, kind="sync", payload={"n": number}, due_at=NOW)


def test_event_that_is_rolled_back_while_it_comes_again_is_stored(pair, wire):
    """A delivery that met an event of a lost primary is no duplicate of anything."""
    slow, other = pair
    other.events.record("evt_1", {"type": "t"}, now=NOW)
    between(wire, "insert", lambda: drop(other, "events", "evt_1"))
    recorded = slow.events.record("evt_1", {"type": "t"}, now=after(1))
    assert recorded.new
    assert recorded.event == other.events.find("evt_1")


def test_job_that_is_pruned_and_comes_back_while_it_is_enqueued_counts_both(pair, wire):
    """Gone, and enqueued by somebody else: the second order is not taken for done."""
    slow, other = pair
    other.jobs.enqueue("sync:a", "sync", {"n": 1}, NOW, now=NOW)

    def gone():
        drop(other, "jobs", "sync:a")
        between(wire, "find", come_back)

    def come_back():
        other.jobs.enqueue("sync:a", "sync", {"n": 2}, NOW, now=NOW)

    between(wire, "insert", gone)
    made = slow.jobs.enqueue("sync:a", "sync", {"n": 3}, NOW, now=NOW)
    assert (made.seq, made.payload) == (2, {"n": 3})
    assert made == other.jobs.find("sync:a")


def test_forgetting_spares_a_key_that_has_come_back(pair, wire):
    """Two hosts forget one old row: the second spares what came after the first."""
    slow, other = pair
    other.events.enqueue("http:1", "http_request", {}, NOW, now=NOW)

    def forget_and_come_back():
        assert other.events.forget("http_request", after(1), 10) == 1
        other.events.enqueue("http:1", "http_request", {"n": 2}, NOW, now=after(2))

    between(wire, "find", forget_and_come_back)
    assert slow.events.forget("http_request", after(1), 10) == 0
    assert other.events.find("http:1").payload == {"n": 2}


def test_claim_is_kept_when_its_job_is_enqueued_meanwhile(pair, wire):
    """Some of a batch went to others, one was enqueued again: it is claimed still."""
    slow, other = pair
    for number in range(3):
        other.jobs.enqueue(f"job-{number}", "sync", {}, after(number), now=NOW)

    def take_one():
        assert other.jobs.claim_key("job-0", "w2", after(5), 60)
        between(wire, "update", enqueue_another)

    def enqueue_another():
        other.jobs.enqueue("job-1", "sync", {"n": 2}, NOW, now=NOW)

    between(wire, "find", take_one)
    jobs = slow.jobs.claim("w1", after(5), 60, 10)
    assert [job.key for job in jobs] == ["job-1", "job-2"]
    assert slow.jobs.complete(jobs[0].token, jobs[0].seq, after(6)) is JobState.DUE
    assert slow.jobs.complete(jobs[1].token, jobs[1].seq, after(6)) is JobState.DONE


def test_claim_by_key_is_kept_when_its_job_is_enqueued_meanwhile(pair, wire):
    """The acknowledgement is lost and the job enqueued again: it is claimed still."""
    slow, other = pair
    other.jobs.enqueue("job-1", "sync", {}, NOW, now=NOW)

    def plan(_number, command, _body):
        if command != "update":
            return None
        wire.arm(after_it)
        return "lose"

    def after_it(*_):
        wire.arm(None)
        other.jobs.enqueue("job-1", "sync", {"n": 2}, NOW, now=NOW)

    wire.arm(plan)
    job = slow.jobs.claim_key("job-1", "w", NOW, 60)
    found = other.jobs.find("job-1")
    assert (found.state, found.seq) == (JobState.RUNNING, 2)
    assert job.token == found.token


def test_release_does_not_take_a_new_seat_for_a_redeemed_one(pair, wire):
    """The holder gets a seat while one is to be given back: nothing is redeemed."""
    slow, other = pair
    other.coupons.create(coupon())
    between(
        wire,
        "update",
        lambda: other.coupons.reserve("GRANT-1", "enr_1", NOW, after(900)),
    )
    assert slow.coupons.release("GRANT-1", "enr_1") is ReleaseOutcome.NOT_HELD
    assert other.coupons.find_seat("GRANT-1", "enr_1").state is SeatState.HELD


def test_bind_does_not_take_a_new_seat_for_a_bound_one(pair, wire):
    """The holder gets a seat while it is asked to bind one: that one would lapse."""
    slow, other = pair
    other.coupons.create(coupon())
    between(
        wire,
        "update",
        lambda: other.coupons.reserve("GRANT-1", "enr_1", NOW, after(900)),
    )
    bound = slow.coupons.bind("GRANT-1", "enr_1")
    state = other.coupons.find_seat("GRANT-1", "enr_1").state
    assert bound == (state is SeatState.BOUND)


@pytest.mark.parametrize("seats", [1, 3])
def test_seat_given_back_during_a_claim_is_not_exhausted(pair, wire, seats):
    """The last seat is freed after the claim looked for one: it is had, not used up."""
    slow, other = pair
    other.coupons.create(coupon(max_redemptions=seats))
    for number in range(seats):
        other.coupons.reserve("GRANT-1", f"enr_{number}", NOW, after(900))
        if number:
            other.coupons.redeem("GRANT-1", f"enr_{number}")
    free = lambda: other.coupons.release("GRANT-1", "enr_0")  # noqa: E731
    between(wire, "findAndModify", free)
    answer = slow.coupons.reserve("GRANT-1", "enr_9", after(1), after(900))
    assert answer.outcome is ReserveOutcome.RESERVED
    assert other.coupons.find_seat("GRANT-1", "enr_9") == answer.seat


def test_holder_that_calls_twice_at_once_draws_no_more_than_twice(pair, wire):
    """A refused second seat ends the claim: numbers are not drawn for nothing."""
    slow, other = pair
    other.coupons.create(coupon(max_redemptions=10_000))
    reserve = lambda s: s.coupons.reserve("GRANT-1", "enr_1", NOW, after(900))  # noqa: E731
    between(wire, "find", lambda: reserve(other), nth=2)
    answer = reserve(slow)
    assert answer.outcome is ReserveOutcome.RESERVED
    assert answer.seat == other.coupons.find_seat("GRANT-1", "enr_1")
    document = other._link.collection("coupons").find_one({"_id": "GRANT-1"})
    assert document["issued"] == 2
    assert other.coupons.find("GRANT-1").reserved == 1


def test_row_in_the_way_that_ends_meanwhile_makes_way(pair, wire):
    """The slot was taken and is free again before it could be answered by whom."""
    slow, other = pair
    other.enrollments.open(enrollment(1, email="ada@example.com"))

    def end():
        change = entry(2, Status.EXPIRED)
        assert other.enrollments.transition(
            "enr_0001", 1, Status.EXPIRED, change, None, {}
        )

    between(wire, "insert", end)
    answer = slow.enrollments.open(enrollment(2, email="ada@example.com"))
    assert answer.opened
    assert answer.enrollment == other.enrollments.find("enr_0002")


def test_grant_whose_slot_is_given_back_meanwhile_is_opened(pair, wire):
    """It was refused by a row that is gone when it is looked for: it is tried again."""
    slow, other = pair
    other.grants.open(grant(1, email="ada@example.com"))
    mine = grant(2, email="ada@example.com")
    between(wire, "insert", lambda: drop(other, "grants", "grt_1"))
    assert slow.grants.open(mine) == mine
    assert other.grants.find("grt_2") == mine


def test_affiliate_whose_address_is_given_back_meanwhile_is_registered(pair, wire):
    """The same for the address of an affiliate."""
    slow, other = pair
    other.affiliates.register(affiliate("ada"))
    mine = affiliate("eve", email="ada@example.com")
    between(wire, "insert", lambda: drop(other, "affiliates", "ada"))
    assert slow.affiliates.register(mine) == mine
    assert other.affiliates.find("eve") == mine

# SPDX-License-Identifier: MIT
"""Operators and payments that race in processes, on SQLite and on a mongod."""

from __future__ import annotations

import multiprocessing

import pytest
from support.size import times, with_the_first_python
from support.stores import STORES, shared_store
from unit.rows import make_row

from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_sdk.models import Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.stores.ledger import add_up
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments
from frappe_enroll_sql.storage import SQLStorage


ROUNDS = times(3, 30)
_LONG_S = 120


def open_store(names):
    """Open the store that the environment's names mean."""
    if "DATABASE_URL" in names:
        return SQLStorage(names["DATABASE_URL"])
    return MongoStorage(names["MONGODB_URI"], names["MONGODB_DATABASE"])


def make_sdk(names):
    """Return an SDK of this process."""
    lms = FakeLMS()
    lms.add_course("python-101", Money(4900, "usd"))
    return EnrollSDK(
        Settings(public_url="http://127.0.0.1:5000", commission_hold_days=0),
        storage=open_store(names),
        payments=FakePayments(),
        lms=lms,
        discover=False,
    )


def paid(number, status=Status.CONFIRMED, before=Status.AWAITING_PAYMENT):
    """Return a sold enrollment."""
    return make_row(
        status,
        before=before,
        id=f"enr_{number}",
        affiliate="bob",
        paid=Money(4900, "usd"),
        version=3 if status is Status.REVOKED else 2,
    )


def act(sdk, name, number):
    """Do what one racer does; return a word."""
    if name == "approve":
        sdk.grants.approve(f"{number}", 100, actor="a", reason="yes")
    elif name == "reject":
        sdk.grants.reject(f"{number}", actor="b", reason="no")
    elif name == "payout":
        sdk.affiliates.pay_out("bob", "usd", "op", "due")
    else:
        sdk._services.commissions.follow(paid(number, Status.REVOKED, Status.CONFIRMED))
    return "done"


def racer(names, barrier, name, numbers, answers):
    """Act once for each number, at the same time as the others."""
    with make_sdk(names) as sdk:
        sdk.storage.now()
        for number in numbers:
            barrier.wait(_LONG_S)
            try:
                word = act(sdk, name, number)
            except EnrollError as error:
                word = error.code
            answers.put((str(number), name, word))
            barrier.wait(_LONG_S)


def race(names, actions, numbers):
    """Let processes race; return their answers."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(len(actions)), context.Queue()
    racers = [
        context.Process(target=racer, args=(names, barrier, action, numbers, answers))
        for action in actions
    ]
    for process in racers:
        process.start()
    found = [answers.get(timeout=_LONG_S) for _ in range(len(actions) * len(numbers))]
    for process in racers:
        process.join(_LONG_S)
        assert process.exitcode == 0
    return found


@pytest.fixture(params=STORES, scope="module")
def names(request, tmp_path_factory):
    """Return the names of a store that processes share."""
    with shared_store(request.param, tmp_path_factory.mktemp("race")) as (names, make):
        storage = make()
        storage.setup()
        storage.close()
        yield names


@with_the_first_python
@pytest.mark.parametrize("second", ["approve", "reject"])
def test_two_admins_have_one_outcome(names, second):
    """Two approvals, or an approval and a rejection: one is written, one coupon."""
    with make_sdk(names) as sdk:
        ids = [
            sdk.grants.apply(
                course_id="python-101", email=f"{second}{n}@example.com"
            ).id
            for n in range(ROUNDS)
        ]
        answers = race(names, ["approve", second], ids)
        for grant_id in ids:
            words = sorted(word for name, _, word in answers if name == grant_id)
            assert words == ["done", "transition"]
            grant = sdk.grants.get(grant_id)
            codes = [c.code for c in sdk.coupons.list(email=grant.email).items]
            assert codes == ([grant.code] if grant.code else [])


@with_the_first_python
def test_payouts_and_a_refund_have_one_outcome_each(names):
    """Two payouts race a refund: paid once, taken back once, the chain adds up."""
    with make_sdk(names) as sdk:
        sdk.affiliates.register("bob@example.com", code="bob", percent=10)
        for number in range(ROUNDS):
            sdk._services.commissions.follow(paid(number))
        sdk.run_jobs()
        numbers = list(range(ROUNDS))
        answers = race(names, ["payout", "payout", "refund"], numbers)
        assert {w for _, name, w in answers if name == "refund"} == {"done"}
        rows = sdk.affiliates.rows("bob", limit=500).items
        assert [row.n for row in rows] == list(range(1, len(rows) + 1))
        assert sdk.affiliates.stats("bob") == add_up(rows) == rows[-1].totals
        (total,) = rows[-1].totals
        left = total.held_minor + total.available_minor + total.paid_minor
        assert left == 0, "every sale was taken back, whatever was paid out before"
        payouts = [row for row in rows if row.kind == "payout"]
        done = [w for _, name, w in answers if (name, w) == ("payout", "done")]
        assert len(payouts) == len(done)
        at = {row.n: row for row in rows}
        for row in payouts:
            assert at[row.n - 1].totals[0].available_minor >= row.paid_minor

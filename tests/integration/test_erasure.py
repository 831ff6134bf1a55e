# SPDX-License-Identifier: MIT
"""A learner asks what is stored, and to be forgotten; money and counts stay."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import MetaData, create_engine, select
from support.shop import ADA, COURSE, Shop

from frappe_enroll_sdk.errors import TransitionError, ValidationError
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.models.learners import is_erased
from frappe_enroll_sql.storage import SQLStorage


NAME = "Augusta Lovelace"
WORDS = {"actor": "dpo", "reason": "asked to be forgotten"}


@pytest.fixture
def shop(open_storage):
    """Return a shop on each store."""
    with Shop(open_storage, lms_rate_per_s=0) as shop:
        yield shop


def all_that_is_stored(storage) -> str:
    """Return every row of every table, as text."""
    if not isinstance(storage, SQLStorage):
        found = storage._link.collection("jobs").database
        rows = [[*found[name].find()] for name in found.list_collection_names()]
        return repr(rows).lower()
    engine = create_engine(storage._database.engine().url)
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        rows = [connection.execute(select(t)).all() for t in tables.sorted_tables]
    engine.dispose()
    return repr(rows).lower()


def life_of_ada(shop):
    """Let her apply, refer somebody, buy a course twice; return her affiliate."""
    sdk = shop.sdk
    affiliate = sdk.affiliates.register(
        ADA, full_name=NAME, code="friend-1", percent=10
    )
    shop.account.pay(
        shop.checkout("eve@example.com", affiliate=affiliate.code).session_id
    )
    grant = sdk.grants.apply(
        course_id=COURSE, email=ADA, full_name=NAME, answers={"why": f"I am {NAME}"}
    )
    sdk.grants.approve(grant.id, 40, actor="op", reason="needs it")
    late = shop.checkout(full_name=NAME)
    shop.account.expire_session(late.session_id)
    shop.rest(0)
    row, _ = shop.pay(full_name=NAME, idempotency_key=f"{ADA}-1")
    shop.rest(0)
    shop.check_end(row, Status.ENROLLED)
    return row, affiliate


def revoke(shop, row):
    """Take the course away again, in the LMS too."""
    shop.sdk.enrollments.revoke(row.id, **WORDS)
    shop.rest(0)


def test_erased_learner_is_nowhere_in_the_store(shop):
    """Nothing names her; statuses, money, seats and the ledger are what they were."""
    row, affiliate = life_of_ada(shop)
    before = all_that_is_stored(shop.storage)
    assert ADA in before
    assert NAME.lower() in before
    balance = shop.sdk.affiliates.stats(affiliate.code)
    with pytest.raises(TransitionError, match="revoke"):
        shop.sdk.privacy.erase(ADA, **WORDS)
    shop.sdk.enrollments.revoke(row.id, **WORDS)
    revoked = all_that_is_stored(shop.storage)
    with pytest.raises(TransitionError, match="sync:"):
        shop.sdk.privacy.erase(ADA, **WORDS)
    assert all_that_is_stored(shop.storage) == revoked
    shop.rest(0)
    done = shop.sdk.privacy.erase(ADA, **WORDS)
    assert (done.enrollments, done.grants, done.coupons, done.affiliates) == (
        2,
        1,
        1,
        1,
    )
    assert done.events >= 1
    after = all_that_is_stored(shop.storage)
    assert ADA not in after
    assert NAME.lower() not in after
    now = shop.row(row.id)
    assert (now.status, now.paid, now.amount) == (
        Status.REVOKED,
        row.amount,
        row.amount,
    )
    assert shop.lms.site.enrollments(ADA, COURSE) == []
    assert shop.sdk.affiliates.stats(affiliate.code) == balance
    assert shop.sdk.privacy.erase(ADA, **WORDS).enrollments == 0
    newest, *_ = shop.storage.audit.list(subject=row.id).items
    assert (newest.actor, newest.action) == ("dpo", "erased")


def test_erased_enrollment_stays_at_rest(shop):
    """Resent events, a refund and operators' words bring nobody into the LMS."""
    row, _ = life_of_ada(shop)
    payment = shop.row(row.id).payment_id
    revoke(shop, row)
    shop.sdk.privacy.erase(ADA, **WORDS)
    users = len(shop.lms.site.tables["User"])
    for event in list(shop.account.events.values()):
        assert shop.send(event)[0] == 200
    shop.account.refund(payment)
    dispute = shop.account.dispute(payment)
    shop.rest(0)
    shop.account.move_dispute(dispute["id"], "won")
    shop.rest(0, 3600)
    for word in ("reinstate", "accept"):
        with pytest.raises(TransitionError):
            getattr(shop.sdk.enrollments, word)(row.id, "op", "why not")
    assert shop.row(row.id).status is Status.REVOKED
    assert shop.row(row.id).refunded_minor == 4900
    assert len(shop.lms.site.tables["User"]) == users
    assert ADA not in repr(shop.row(row.id)) + repr(shop.row(row.id).history)


def test_erased_learner_may_come_back(shop):
    """Who buys again is a new learner: nothing of the old one stands in the way."""
    revoke(shop, life_of_ada(shop)[0])
    shop.sdk.privacy.erase(ADA, **WORDS)
    row, _ = shop.pay(idempotency_key=f"{ADA}-1")
    shop.rest(0)
    shop.check_end(row, Status.ENROLLED)
    assert not is_erased(shop.row(row.id).email)


def test_undecided_event_is_not_erased(shop):
    """Nothing is erased while an operator still has to decide about her money."""
    row = shop.checkout()
    shop.stripe.webhooks.held = True
    event = shop.account.pay(row.session_id)
    session = shop.account.sessions[row.session_id]
    session.update(status="expired", payment_status="unpaid")
    shop.sdk.settle(row.id)
    session.update(status="complete", payment_status="paid")
    assert shop.send(event)[1]["outcome"] == "quarantined"
    before = all_that_is_stored(shop.storage)
    with pytest.raises(TransitionError, match="on_hold"):
        shop.sdk.privacy.erase(ADA, **WORDS)
    assert all_that_is_stored(shop.storage) == before


def test_export_tells_all_that_is_stored(shop):
    """Every sort of record, as JSON, without the learner's token."""
    row, affiliate = life_of_ada(shop)
    told = shop.sdk.privacy.export(f" {ADA.upper()} ")
    text = json.dumps(told)
    assert {one["id"] for one in told["enrollments"]} > {row.id}
    assert told["grants"][0]["answers"] == {"why": f"I am {NAME}"}
    assert told["coupons"][0]["email"] == ADA
    assert told["affiliate"]["code"] == affiliate.code
    assert [line["kind"] for line in told["affiliate"]["ledger"]] == ["earned"]
    assert {one["state"] for one in told["jobs"]} == {str(JobState.DONE)}
    assert len(told["events"]) >= 1
    assert shop.row(row.id).token_hash not in text
    nobody = shop.sdk.privacy.export("nobody@example.com")
    assert nobody["affiliate"] is None
    assert {*map(len, (nobody["enrollments"], nobody["events"], nobody["jobs"]))} == {0}


def test_erasure_asks_for_words(shop):
    """Who erases, and why, is told; an address is an address."""
    for wrong in ({"actor": ""}, {"reason": " "}):
        with pytest.raises(ValidationError) as caught:
            shop.sdk.privacy.erase(ADA, **WORDS | wrong)
        assert caught.value.field == next(iter(wrong))
    with pytest.raises(ValidationError) as caught:
        shop.sdk.privacy.erase("nobody", **WORDS)
    assert caught.value.field == "email"

# SPDX-License-Identifier: MIT
"""Operators' commands for payments, against both sandboxes: quarantine to reconcile."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from support.cli import SECRET, lender, settings_of
from support.world import COURSE

from frappe_enroll_sandbox import LMSSandbox, StripeSandbox, sign
from frappe_enroll_sandbox._internal.lms_model import ENROLLMENT
from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import OffsetClock
from frappe_enroll_sdk.pair import Pair
from frappe_enroll_sdk.services.settle.effects import sync_key


WORDS = ("--actor", "op", "--reason", "because")


class Desk:
    """An operator's desk: the command, and the service that it is about."""

    def __init__(self, stripe, lms, run, sdk, clock) -> None:
        self.stripe, self.lms, self.run = stripe, lms, run
        self.sdk, self.clock = sdk, clock

    @property
    def account(self):
        """The Stripe account, with the customers' verbs."""
        return self.stripe.account

    def checkout(self, email):
        """Begin an enrollment; return its row."""
        answer = self.sdk.checkout(course_id=COURSE, email=email)
        return self.row(answer.enrollment_id)

    def row(self, name):
        """Return an enrollment."""
        return self.sdk.enrollments.get(name)

    def paid(self, email):
        """Return a row whose session is paid; no webhook came."""
        row = self.checkout(email)
        self.account.pay(row.session_id)
        return row

    def payment(self, row):
        """Return the payment of a row's session."""
        return self.account.sessions[row.session_id]["payment_intent"]

    def enrolled(self, email):
        """Return a row that is paid and enrolled."""
        row = self.paid(email)
        self.sdk.confirm_return(row.session_id)
        self.work()
        return self.row(row.id)

    def lose_an_insert(self, row):
        """Begin an insert whose answer is lost: it may land at any time."""
        jobs, now = self.sdk.storage.jobs, self.clock.now()
        job = jobs.find(sync_key(row.email, row.course_id))
        known = Pair().begin("lost", now).data
        jobs.enqueue(job.key, job.kind, job.payload, now, now=now, data=known)

    def work(self):
        """Let all that is due be done."""
        while self.sdk.run_jobs(limit=1000).claimed:
            pass

    def send(self, event):
        """Deliver an event, signed."""
        body = json.dumps(event).encode()
        header = sign(body, SECRET, int(self.clock.now().timestamp()))
        self.sdk.handle_webhook(body, {"Stripe-Signature": header})
        self.work()

    def trail(self, subject=None):
        """Return the audit trail's actions, oldest first."""
        entries = self.sdk.storage.audit.list(subject=subject).items
        assert {e.actor for e in entries} <= {"op"}
        assert {e.reason for e in entries} <= {"because"}
        return [(e.action, e.subject) for e in reversed(entries)]


@pytest.fixture
def desk(db_folder, capsys, monkeypatch):
    """Return a desk over a service that is set up."""
    clock = OffsetClock()
    with StripeSandbox(clock) as stripe, LMSSandbox(clock) as lms:
        lms.site.add_course(COURSE, 49.0, "USD", title="Python 101")
        for name, value in settings_of(stripe, lms, db_folder).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("FRAPPE_ENROLL_LMS_RATE_PER_S", "0")
        with EnrollSDK(Settings.from_env(), clock=clock) as sdk:
            sdk.setup()
            yield Desk(stripe, lms, lender(capsys, sdk), sdk, clock)


def test_quarantined_events_are_listed_accepted_and_dismissed(desk):
    """Each with its reason; the word is obeyed by a worker, and audited."""
    row = desk.checkout("ada@example.com")
    bob = desk.checkout("bob@example.com")
    events = {}
    for number, reason in enumerate(["foreign_session", "unknown_enrollment"]):
        session = dict(desk.account.session(row.session_id))
        session |= {"id": f"cs_{number}", "payment_intent": f"pi_{number}"}
        session |= {"status": "complete", "payment_status": "paid"}
        if reason == "unknown_enrollment":
            session["metadata"] = {"frappe_enroll_app": "frappe-enroll-sdk"}
        event = desk.account.emit("checkout.session.completed", session)
        desk.send(event)
        events[reason] = event["id"]
    listed = {i["id"]: i for i in desk.run("quarantine", "list").lines}
    assert {i["reason"]: i["id"] for i in listed.values()} == events
    assert listed[events["foreign_session"]]["enrollment_id"] == row.id
    nameless = events["unknown_enrollment"]
    assert desk.run("quarantine", "accept", nameless, *WORDS).code == 1
    said = desk.run("quarantine", "accept", nameless, "--enrollment", bob.id, *WORDS)
    assert said.code == 0
    other = events["foreign_session"]
    assert desk.run("quarantine", "dismiss", other, *WORDS).out == "dismissed\n"
    desk.work()
    assert desk.run("quarantine", "list").out == ""
    assert (desk.row(bob.id).status, desk.row(bob.id).payment_id) == (
        "enrolled",
        "pi_1",
    )
    assert desk.row(row.id).status == "awaiting_payment"
    assert desk.run("quarantine", "dismiss", other, *WORDS).code == 1
    assert sorted(desk.trail()) == sorted(
        [("accepted", nameless), ("accepted", bob.id), ("dismissed", other)]
    )


def test_missed_events_are_pulled_and_replayed_without_notifications(desk):
    """Twice, and nothing doubles; what is written by it is marked as quiet."""
    row = desk.paid("ada@example.com")
    since = (desk.clock.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    pull = ("events", "pull", "--since", since, "--no-notifications", *WORDS)
    (pulled,) = desk.run(*pull).lines
    assert (pulled["fed"] > 0, pulled["more"]) == (True, False)
    desk.work()
    history = desk.row(row.id).history
    assert desk.row(row.id).status == "enrolled"
    assert [e.detail.get("quiet") for e in history if e.fact == "paid"] == [True]
    (again,) = desk.run(*pull).lines
    assert (again["fed"], again["known"]) == (0, again["listed"])
    (event,) = [
        e
        for e in desk.run("events", "list", "--state", "done").lines
        if e["payload"]["type"] == "checkout.session.completed"
    ]
    said = desk.run("events", "replay", event["key"], "--no-notifications", *WORDS)
    assert (said.code, said.lines[0]["payload"]["quiet"]) == (0, True)
    desk.work()
    assert desk.row(row.id).history == history
    assert len(desk.lms.site.enrollments("ada@example.com", COURSE)) == 1
    assert [action for action, _ in desk.trail()] == [
        *("pull_events",) * 4,
        "replay_event",
    ]


def test_enrollment_is_reassigned_and_shown(desk):
    """The new row's id on stdout; the old one's verdict leads there."""
    row = desk.enrolled("ada@example.com")
    order = ("enrollments", "reassign", row.id, "--email", "bob@example.com")
    assert desk.run(*order).code == 2
    said = desk.run(*order, *WORDS)
    new = said.out.strip()
    assert desk.run(*order, *WORDS).out.strip() == new
    desk.work()
    assert (desk.row(row.id).status, desk.row(new).status) == ("revoked", "enrolled")
    assert desk.row(new).payment_id == row.payment_id
    shown = desk.run("enrollments", "show", row.id).out
    assert f"next: frappe-enroll enrollments show {new}" in shown
    assert desk.trail(row.id) == [("reassigned", row.id)]


def differences(said):
    """Return what a run in JSON found: subject → difference; and the counts."""
    *found, counts = said.lines
    assert all(one["cause"] for one in found)
    return {one["subject"]: one["difference"] for one in found}, counts


def test_reconcile_repairs_and_is_clean_after_it(desk):
    """Dry: a table, JSON, progress; repair: settled and audited; again: nothing."""
    lost = desk.paid("lost@example.com")
    late = desk.checkout("late@example.com")
    gone, twice, back = (
        desk.enrolled(f"{name}@example.com") for name in ("gone", "twice", "back")
    )
    desk.account.refund(desk.payment(back))
    site = desk.lms.site
    site.delete(ENROLLMENT, gone.lms_enrollment_id)
    desk.lose_an_insert(twice)
    site.insert(ENROLLMENT, {"member": twice.learner, "course": COURSE})
    site.add_user("stranger@example.com")
    row = {"member": "stranger@example.com", "course": COURSE}
    stranger = site.insert(ENROLLMENT, row)["name"]
    left_s = (late.session_expires_at - desk.clock.now()).total_seconds()
    desk.clock.advance(left_s + 120)
    wanted = {
        lost.id: "paid_not_confirmed",
        late.id: "session_open_past_expiry",
        gone.id: "confirmed_not_enrolled",
        twice.id: "lms_duplicates",
        back.id: "refunded_still_enrolled",
        stranger: "lms_without_enrollment",
    }
    dry = desk.run("reconcile", "--page", "2")
    assert dry.code == 1
    table = dry.out.splitlines()
    assert {line.split()[1]: line.split()[0] for line in table[:-1]} == wanted
    assert table[-1] == "6 differences"
    assert dry.err.splitlines()[0].startswith("compared 2 enrollments; ")
    assert len(dry.err.splitlines()) >= 5
    found, counts = differences(desk.run("reconcile", "--json"))
    assert found == wanted
    assert (counts["checked"]["enrollments"], counts["differ"]) == (5, 6)
    assert desk.row(lost.id).status == "awaiting_payment"
    assert desk.run("reconcile", "--repair").code == 2
    repaired = desk.run("reconcile", "--repair", "--json", *WORDS)
    assert differences(repaired)[0] == wanted
    assert desk.trail() == [("reconcile", "begin")] * 2
    desk.work()
    desk.clock.advance(200)
    desk.work()
    left, _ = differences(desk.run("reconcile", "--json"))
    assert left == {stranger: "lms_without_enrollment"}
    assert [desk.row(row.id).status for row in (lost, late, gone, twice, back)] == [
        *("enrolled", "expired", "enrolled", "enrolled", "revoked"),
    ]
    # The row that was named to us stays; what others have made is never removed.
    (kept,) = site.enrollments("twice@example.com", COURSE)
    assert kept["name"] == twice.lms_enrollment_id
    assert len(site.enrollments("stranger@example.com", COURSE)) == 1

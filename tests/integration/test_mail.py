# SPDX-License-Identifier: MIT
"""Mails over a real SMTP server: one per fact, whatever it answers."""

from __future__ import annotations

import socket

import attrs
import pytest
from support.mailbox import HANG_UP, Mailbox, self_signed
from support.size import with_the_first_python
from support.world import COURSE, World
from unit.test_mail_messages import enrolled

import frappe_enroll_mail.plugin
from frappe_enroll_mail.messages import compose
from frappe_enroll_mail.post import send
from frappe_enroll_mail.settings import PREFIX, MailSettings
from frappe_enroll_mail.templates import Templates
from frappe_enroll_sdk import Settings
from frappe_enroll_sdk.errors import ConfigurationError
from frappe_enroll_sdk.models import JobState
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.outcomes import Dead, Done, Retry
from frappe_enroll_sdk.plugins import Plugins
from frappe_enroll_sdk.services.alerts import raise_alert
from frappe_enroll_sdk.settings.plugins import load_part


TITLE = "Python-101"
ADA, OPERATOR = "ada@example.com", "ops@example.com"


def given(port, **more):
    """Return the variables of a deployment that sends to a port of loopback."""
    values = {
        "HOST": "127.0.0.1",
        "PORT": port,
        "SECURITY": "none",
        "FROM": "School <courses@example.com>",
        "OPERATORS": f"{OPERATOR},night@example.com",
    }
    return {f"{PREFIX}{name}": str(value) for name, value in (values | more).items()}


class School(World):
    """A world whose SDK mails."""

    def __init__(self, box, **settings) -> None:
        self.box = box
        mail = given(box.port)
        super().__init__(
            **{"commission_hold_days": 0, "plugin_settings": mail} | settings
        )
        self.it = self.sdk()

    @property
    def plugins(self):
        """Return the plugin under test."""
        return [frappe_enroll_mail.plugin]

    def work(self, *waits):
        """Let cron do what is due, now and after each wait."""
        for wait_s in (0, *waits):
            self.clock.advance(wait_s)
            while self.it.run_jobs(limit=1000).claimed:
                pass

    def told(self):
        """Return (to, subject) of each mail."""
        return [(m["To"], m["Subject"]) for m in self.box.mails()]

    def text(self, number=-1):
        """Return a mail's text."""
        return self.box.mails()[number].get_body(("plain",)).get_content()

    def order(self, email=ADA, **more):
        """Check out; return the enrollment's id."""
        return self.it.checkout(course_id=COURSE, email=email, **more).enrollment_id


@pytest.fixture
def box():
    """Return a server."""
    with Mailbox() as server:
        yield server


@pytest.fixture
def school(box):
    """Return a school that mails over it."""
    return School(box)


def test_learner_hears_of_the_enrolment(school):
    """Once, after it is written, however often time goes by."""
    enrollment_id = school.order(full_name="Ada Lovelace")
    school.work()
    assert school.told() == []
    school.deliver(school.it, school.pay(enrollment_id))
    school.work(130, 1000)
    school.let_time_pass()
    (mail,) = school.box.mails()
    assert mail["To"] == f"Ada Lovelace <{ADA}>"
    assert "49.00 USD" in school.text()


def test_learner_hears_of_a_decided_grant(school):
    """With the code that works, or with the reason."""
    grants = school.it.grants
    yes = grants.apply(course_id=COURSE, email=ADA, full_name="Ada")
    no = grants.apply(course_id=COURSE, email="bob@example.com")
    grants.approve(yes.id, "12.50", actor="op", reason="first of the year")
    grants.reject(no.id, actor="op", reason="No places are left")
    school.work(130, 1000)
    assert sorted(school.told()) == [
        (f"Ada <{ADA}>", f"Your grant for {COURSE}"),
        ("bob@example.com", f"Your application for a grant for {COURSE}"),
    ]
    texts = sorted(school.text(n) for n in (0, 1))
    code = grants.get(yes.id).code
    assert code in texts[0]
    assert "12.5 % off" in texts[0]
    assert "No places are left" in texts[1]
    assert school.it.coupons.preview(code, COURSE, ADA).discount.amount_minor == 613


def test_learner_hears_of_a_failed_payment(school):
    """A delayed one; an attempt that was only left is nobody's news."""
    school.order("eve@example.com")
    row = school.storage.enrollments.find(school.order())
    pay = school.payments
    school.deliver(school.it, pay.pay_delayed(row.session_id))
    school.deliver(school.it, pay.settle_delayed(row.session_id, ok=False))
    school.work(4000, 8000, 8000)
    assert school.told() == [(ADA, f"Your payment for {TITLE} has failed")]
    assert "49.00 USD" in school.text()


def test_learner_and_operators_hear_of_a_payment_that_fits_no_order(school):
    """The learner need not pay again, the operators have the next command."""
    enrollment_id = school.order()
    event = school.pay(enrollment_id, amount=Money(100, "usd"))
    for _ in range(3):
        school.deliver(school.it, event)
    school.work(130, 1000)
    about = f"amount_mismatch ({enrollment_id})"
    assert sorted(school.told()) == [
        (ADA, f"We are looking at your payment for {TITLE}"),
        (f"{OPERATOR}, night@example.com", f"[enroll] payment problem: {about}"),
    ]
    assert any("quarantine list" in school.text(n) for n in (0, 1))


def test_operators_hear_of_a_refund_that_failed(school):
    """The money did not go back; the learner has the course again, and is told."""
    enrollment_id = school.order()
    school.deliver(school.it, school.pay(enrollment_id))
    school.work()
    payment_id = school.it.enrollments.get(enrollment_id).payment_id
    refund, event = school.payments.play_refund(payment_id)
    school.deliver(school.it, event)
    school.work()
    school.deliver(school.it, school.payments.fail_refund(refund))
    school.work(130)
    subjects = [subject for _, subject in school.told()]
    assert subjects.count(f"You are enrolled in {TITLE}") == 2
    assert len(subjects) == 3
    assert f"[enroll] payment problem: refund_failed ({enrollment_id})" in subjects


def test_operators_hear_of_a_dead_letter(school):
    """With its key, its cause and how to retry it."""
    school.box.plan("RCPT", f"550 5.1.1 <{ADA}>: no such user")
    school.order(coupon_code=school.coupon())
    school.work(3, 3)
    ((to, subject),) = school.told()
    assert to == f"{OPERATOR}, night@example.com"
    assert subject == "[enroll] a job is dead: mail.enrolled"
    (dead,) = school.storage.jobs.list(kind="mail.enrolled").items
    assert dead.key in school.text()
    assert "550 5.1.1 …: no such user" in school.text()
    assert ADA not in school.text() + str(dead.errors)


def test_affiliate_hears_of_a_payout(school):
    """What was paid, and what is left."""
    school.it.affiliates.register("bob@example.com", code="bob", full_name="Bob")
    school.deliver(school.it, school.pay(school.order(affiliate="bob")))
    school.work()
    school.it.affiliates.pay_out(
        "bob", "usd", "op", "transfer 77", amount_minor=400, payout_id="p1"
    )
    school.it.affiliates.pay_out("bob", "usd", "op", "again", payout_id="p1")
    school.work(130)
    assert school.told()[1:] == [("Bob <bob@example.com>", "Your commission: 4.00 USD")]
    assert "transfer 77" in school.text()
    assert "Left to be paid out: 0.90 USD" in school.text()


def test_alert_goes_to_the_operators(school):
    """One mail per occasion, of a template that knows money from machines."""
    context = school.it.affiliates._context
    for code, subject in [("dispute_lost", "enr_1"), ("backend_down", "lms")] * 2:
        raise_alert(context, code, subject, 1)
    school.work()
    assert sorted(subject for _, subject in school.told()) == [
        "[enroll] backend_down (lms)",
        "[enroll] payment problem: dispute_lost (enr_1)",
    ]


def test_mail_goes_out_after_the_server_is_well_again(school):
    """A temporary failure counts a try and is told as its cause; then one mail."""
    school.box.plan("RCPT", f"451 4.7.1 <{ADA}> greylisted, come again")
    school.box.plan("DATA", "452 4.3.1 the disk is full")
    school.order(coupon_code=school.coupon())
    school.work(121, 241)
    ((to, _),) = school.told()
    assert to == ADA
    (job,) = school.storage.jobs.list(kind="mail.enrolled").items
    assert (job.state, job.tries, job.outcome) == (JobState.DONE, 3, "sent")
    assert [e.cause for e in job.errors] == [
        "the mail server said 451 4.7.1 … greylisted, come again",
        "the mail server said 452 4.3.1 the disk is full",
    ]


def sent(port, **more):
    """Send a mail of an enrolment; return the outcome."""
    told = Settings(plugin_settings=given(port, **more))
    settings = load_part(MailSettings, told, PREFIX)
    return send(compose(enrolled(), settings, Templates()), settings)


@pytest.mark.parametrize(
    ("step", "answer", "outcome", "taken"),
    [
        ("MAIL", "421 4.3.2 going down", Retry, 0),
        ("RCPT", "450 4.2.0 busy", Retry, 0),
        ("RCPT", "550 5.1.1 unknown", Dead, 0),
        ("DATA", "554 5.7.1 spam", Dead, 0),
        ("DATA", "451 4.3.0 later", Retry, 0),
        ("DATA", HANG_UP, Retry, 0),
        ("RCPT", 5.0, Retry, 0),
        ("250", HANG_UP, Retry, 1),
        ("250", 5.0, Retry, 1),
        ("250", 0.1, Done, 1),
        ("QUIT", HANG_UP, Done, 1),
        ("QUIT", "451 4.3.0 no", Done, 1),
        ("MAIL", "530 5.7.0 authentication required", ConfigurationError, 0),
    ],
)
def test_answer_decides_what_becomes_of_the_mail(box, step, answer, outcome, taken):
    """4xx and silence: again; 5xx: dead; a 250 holds whatever comes after it."""
    box.plan(step, answer)
    if outcome is ConfigurationError:
        with pytest.raises(ConfigurationError, match="530"):
            sent(box.port, TIMEOUT_S="0.5")
    else:
        assert isinstance(sent(box.port, TIMEOUT_S="0.5"), outcome)
    assert len(box.taken) == taken


def test_mail_that_some_recipients_refuse_is_sent_once(box):
    """Who took it has it; it is not sent again for the others."""
    told = Settings(plugin_settings=given(box.port))
    settings = load_part(MailSettings, told, PREFIX)
    letter = attrs.evolve(enrolled(), to=settings.operators)
    box.plan("RCPT", "250 OK", "550 unknown")
    box.script["RCPT"][0] = 0.0
    message = compose(letter, settings, Templates())
    assert send(message, settings) == Done("sent_to_some")
    box.plan("RCPT", "550 unknown", "450 busy")
    assert isinstance(send(message, settings), Retry)


def test_server_that_is_not_there_is_tried_again():
    """With words, and no traceback."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        outcome = sent(held.getsockname()[1])
    assert isinstance(outcome, Retry)
    assert "can't be reached: ConnectionRefusedError" in outcome.cause


@with_the_first_python
def test_mail_goes_over_tls(tmp_path):
    """STARTTLS with a login, or TLS from the first byte; a stranger gets nothing."""
    context, certificate = self_signed(tmp_path)
    login = {"USER": "courses", "PASSWORD": "right", "CA_FILE": certificate}
    with Mailbox(starttls=context, password="right") as box:
        assert sent(box.port, SECURITY="starttls", **login) == Done("sent")
        for wrong in ({"PASSWORD": "wrong"}, {"CA_FILE": ""}):
            with pytest.raises(ConfigurationError):
                sent(box.port, SECURITY="starttls", **login | wrong)
        assert len(box.taken) == 1
    with Mailbox(tls=context) as box:
        ours = {"SECURITY": "tls", "CA_FILE": certificate}
        assert sent(box.port, **ours) == Done("sent")
        with pytest.raises(ConfigurationError, match="certificate"):
            sent(box.port, SECURITY="tls")
    with Mailbox() as box, pytest.raises(ConfigurationError, match="STARTTLS"):
        sent(box.port, SECURITY="starttls")


def test_mail_waits_while_the_login_is_refused(school):
    """Nothing counts and nothing dies: it goes out once the settings are right."""
    school.box.plan("MAIL", *["535 5.7.8 wrong"] * 10)
    school.order(coupon_code=school.coupon())
    school.work(*[40] * 10)
    assert [subject for _, subject in school.told()] == [f"You are enrolled in {TITLE}"]
    (job,) = school.storage.jobs.list(kind="mail.enrolled").items
    assert (job.state, job.tries) == (JobState.DONE, 1)
    # What it waited for stays to be read; as a try, none of it is counted.
    assert {(e.try_number, e.code) for e in job.errors} == {(0, "configuration")}
    assert "535" in job.errors[-1].cause


def test_plugin_without_a_host_brings_nothing(box):
    """It is there and does nothing; one with a wrong setting is broken, with words."""

    def loaded(settings):
        return Plugins.from_settings(
            Settings(plugin_settings=settings),
            extra=[frappe_enroll_mail.plugin],
            discover=False,
        )

    idle, right, wrong = map(
        loaded, ({}, given(box.port), given(box.port, FROM="nobody"))
    )
    assert [p.infos[0].status for p in (idle, right, wrong)] == [
        "loaded",
        "loaded",
        "broken",
    ]
    assert "FRAPPE_ENROLL_MAIL_FROM" in wrong.infos[0].error
    assert [bool(p.job_kinds("enrolled")) for p in (idle, right, wrong)] == [
        False,
        True,
        False,
    ]

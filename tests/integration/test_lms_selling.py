# SPDX-License-Identifier: MIT
"""Roles of the API user, recorded payments, a site's own method, learners' accounts."""

from __future__ import annotations

import pytest
from support.lms_side import ADA, COURSE, TIMEOUT_S, rows

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sdk import EnrollSDK, Settings, hookimpl
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import (
    BackendRejectedError,
    LMSUnavailableError,
    SettingsError,
)
from frappe_enroll_sdk.models import JobState, LMSStatus, Sale, Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.settings.options import Secret
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


ADDRESS = "1 High Street, London, United Kingdom"
PAYMENT = "LMS Payment"


class Alerts:
    """A plugin that notes alerts."""

    def __init__(self) -> None:
        self.codes = []

    @hookimpl
    def on_alert(self, code):
        """Note one."""
        self.codes.append(code)


class Shop:
    """An SDK over a sandbox with the settings of a test."""

    def __init__(self, sandbox, **settings) -> None:
        self.clock = sandbox.clock
        self.sandbox, self.alerts = sandbox, Alerts()
        chosen = Settings(
            frappe_lms_url=sandbox.url,
            frappe_lms_api_key=Secret(sandbox.api_key),
            frappe_lms_api_secret=Secret(sandbox.api_secret),
            frappe_lms_timeout_s=TIMEOUT_S * 3,
            public_url="http://127.0.0.1:5000",
            inline_s=0,
            **settings,
        )
        self.payments = FakePayments(self.clock)
        storage = MemoryStorage(self.clock)
        self.sdk = EnrollSDK(
            chosen,
            storage=storage,
            payments=self.payments,
            lms=FrappeLMS.from_settings(chosen, self.clock),
            clock=self.clock,
            plugins=[self.alerts],
            discover=False,
        )

    def buy(self, percent_off=None, **more):
        """Let the learner pay (or redeem a grant); return the enrollment's id."""
        code = None
        if percent_off:
            code = self.sdk.coupons.create(percent_off, COURSE).code
        answer = self.sdk.checkout(
            course_id=COURSE, email=ADA, full_name="Ada King", coupon_code=code, **more
        )
        if answer.payment_url:
            row = self.sdk.enrollments.get(answer.enrollment_id)
            self.payments.pay(row.session_id)
            self.sdk.confirm_return(row.session_id)
        return answer.enrollment_id

    def work(self, seconds=600):
        """Run cron for a while."""
        for _ in range(0, seconds, 60):
            self.sdk.run_jobs()
            self.clock.advance(60)

    def job(self):
        """Return the sync job."""
        (job,) = self.sdk.storage.jobs.list().items
        return job


@pytest.fixture
def sandbox():
    """Return a running site with a course that is sold."""
    with LMSSandbox(FakeClock()) as server:
        server.site.add_course(COURSE, 49.0, "USD")
        yield server


@pytest.fixture
def shop(sandbox):
    """Return what makes shops; they are closed at the end."""
    made = []

    def make(**settings):
        made.append(Shop(sandbox, **settings))
        return made[-1]

    yield make
    for one in made:
        one.sdk.close()


class TestRoles:
    """Which role the API user needs."""

    @pytest.mark.parametrize("role", ["Moderator", "System Manager + Moderator"])
    def test_moderator_enrolls_in_a_paid_course(self, shop, sandbox, role):
        """The least that can, and more: no payment has to be recorded."""
        sandbox.site.role = role
        one = shop()
        assert one.sdk.check_lms() == "ok"
        row_id = one.buy()
        one.work()
        assert one.sdk.enrollments.get(row_id).status is Status.ENROLLED
        assert len(rows(sandbox)) == 1
        assert sandbox.site.tables[PAYMENT] == {}

    def test_system_manager_alone_is_refused_with_what_to_do(self, shop, sandbox):
        """417: dead at once; with the role Moderator, and a retry, it is done."""
        sandbox.site.role = "System Manager"
        one = shop()
        row_id = one.buy()
        one.work()
        assert one.job().state is JobState.DEAD
        assert "Moderator" in one.job().errors[-1].cause
        row = one.sdk.enrollments.get(row_id)
        assert (row.status, row.lms_status) == (Status.CONFIRMED, LMSStatus.DEAD)
        sandbox.site.role = "Moderator"
        one.sdk.admin.retry(row_id)
        one.work()
        assert one.sdk.enrollments.get(row_id).status is Status.ENROLLED

    def test_system_manager_enrolls_with_a_recorded_payment(self, shop, sandbox):
        """The payment is what makes the learner eligible there."""
        sandbox.site.role = "System Manager"
        one = shop(record_payment=True, payment_address=ADDRESS)
        row_id = one.buy()
        one.work()
        assert one.sdk.enrollments.get(row_id).status is Status.ENROLLED

    @pytest.mark.parametrize("role", ["Batch Evaluator", "LMS Student"])
    def test_key_that_can_not_see_fails_the_check(self, shop, sandbox, role):
        """It may not read courses: nobody finds out by a second enrolment."""
        sandbox.site.role = role
        assert shop().sdk.check_lms() == "backend_refused"

    def test_key_that_sees_none_of_our_rows_fails_the_check(self, shop, sandbox):
        """A known row that is not shown: the key is blind, whatever else it may."""
        one = shop()
        one.buy()
        one.work()
        assert one.sdk.check_lms() == "ok"
        sandbox.fail_next("GET .*LMS Enrollment", "empty", times=None)
        assert one.sdk.check_lms() == "blind_key"

    def test_key_that_may_not_create_users_waits(self, shop, sandbox):
        """403 is the backend's fault: the job waits, no try counts."""
        one = shop()
        row_id = one.buy()
        sandbox.site.role = "Course Creator"
        one.work(1800)
        assert one.job().state is JobState.DUE
        sandbox.site.role = "Moderator"
        # Its ping works, so the tries have counted; the schedule goes on.
        one.work(7200)
        assert one.sdk.enrollments.get(row_id).status is Status.ENROLLED


class TestRecordedPayments:
    """An LMS Payment before the enrolment, once per payment."""

    @pytest.fixture
    def one(self, shop):
        """Return a shop that records payments."""
        return shop(record_payment=True, payment_address=ADDRESS)

    def test_payment_stands_in_the_books(self, one, sandbox):
        """Whose, for what, how much, received, under the provider's id."""
        row_id = one.buy()
        one.work()
        row = one.sdk.enrollments.get(row_id)
        (payment,) = sandbox.site.tables[PAYMENT].values()
        told = {name: payment[name] for name in ("member", "amount", "currency")}
        assert told == {"member": ADA, "amount": 49.0, "currency": "USD"}
        assert payment["payment_id"] == row.payment_id
        assert (payment["order_id"], payment["payment_received"]) == (row_id, 1)
        assert (payment["billing_name"], payment["source"]) == ("Ada King", "Website")
        (address,) = sandbox.site.tables["Address"].values()
        assert payment["address"] == address["name"]
        assert address["country"] == "United Kingdom"
        assert rows(sandbox)[0]["payment"] == payment["name"]

    @pytest.mark.parametrize(
        "kind", ["commit_then_timeout", "commit_then_500", "reset"]
    )
    @pytest.mark.parametrize("what", ["LMS Payment", "LMS Enrollment", "Address"])
    def test_unclear_call_records_the_payment_once(self, one, sandbox, what, kind):
        """Whatever becomes of an answer: one payment, one enrolment."""
        row_id = one.buy()
        sandbox.fail_next(f"POST .*{what}", kind, seconds=2)
        one.work(3600)
        assert one.sdk.enrollments.get(row_id).status is Status.ENROLLED
        assert len(sandbox.site.tables[PAYMENT]) == 1
        assert len(rows(sandbox)) == 1

    def test_payment_that_somebody_recorded_is_used(self, one, sandbox):
        """The id is unique: the one that is there is linked."""
        sale = Sale(enrollment_id="e", amount=Money(4900, "usd"), payment_id="pi_1")
        one.sdk.lms.create_user(ADA, "Ada")
        first = one.sdk.lms.enroll(ADA, COURSE, sale)
        sandbox.site.delete("LMS Enrollment", first.name)
        one.sdk.lms.enroll(ADA, COURSE, sale)
        (payment,) = sandbox.site.tables[PAYMENT]
        assert rows(sandbox)[0]["payment"] == payment

    def test_payment_raced_for_is_looked_up(self, one, sandbox):
        """417 UniqueValidationError: somebody was faster, theirs is used."""
        sale = Sale(enrollment_id="e", amount=Money(4900, "usd"), payment_id="pi_1")
        one.sdk.lms.create_user(ADA, "Ada")
        one.sdk.lms.enroll(ADA, COURSE, sale)
        sandbox.fail_next("GET .*LMS Payment", "empty")
        one.sdk.lms.enroll(ADA, COURSE, sale)
        assert len(sandbox.site.tables[PAYMENT]) == 1

    def test_grant_records_no_payment(self, one, sandbox):
        """Where no money moved, nothing is in the books."""
        row_id = one.buy(percent_off=100, authenticated=True)
        one.work()
        assert one.sdk.enrollments.get(row_id).status is Status.ENROLLED
        assert sandbox.site.tables[PAYMENT] == {}

    def test_unknown_source_is_dead_with_a_cause(self, shop):
        """A site's LMS Source is a link: a word of ours is refused."""
        one = shop(
            record_payment=True, payment_address=ADDRESS, payment_source="Stripe"
        )
        one.buy()
        one.work()
        assert one.job().state is JobState.DEAD

    @pytest.mark.parametrize(
        ("more", "name", "setting"),
        [
            ({}, None, ""),
            ({"payment_source": "Stripe"}, "lms books: LMS Source", "PAYMENT_SOURCE"),
            # Countries are renamed, and leave the tables.
            (
                {"payment_address": "1 Main Road, Mbabane, Swaziland"},
                "lms books: Country",
                "PAYMENT_ADDRESS",
            ),
            (
                {"payment_address": "1 A, Prag, Tschechoslowakei/ÄÖ?#"},
                "lms books: Country",
                "PAYMENT_ADDRESS",
            ),
        ],
    )
    def test_check_looks_up_what_the_books_name(self, shop, more, name, setting):
        """Before money moves: the LMS would refuse each sale after it."""
        one = shop(record_payment=True, **{"payment_address": ADDRESS} | more)
        checks = one.sdk.examine()
        found = [c for c in checks if c.name.startswith("lms books")]
        assert len(found) == 2
        bad = [check for check in found if check.is_bad]
        assert [check.name for check in bad] == ([] if name is None else [name])
        assert all(setting in check.mend for check in bad)

    @pytest.mark.parametrize("address", ["", "London", "a, b", ", , "])
    def test_payments_need_an_address(self, address):
        """The setting is refused at the start, with its name."""
        with pytest.raises(SettingsError, match="FRAPPE_ENROLL_PAYMENT_ADDRESS"):
            Settings(record_payment=True, payment_address=address)


class TestOwnMethod:
    """A site with an enrolment method of its own."""

    METHOD = "academy.api.enroll"

    def install(self, sandbox, **answer):
        """Put a method onto the site; return what it is called with."""
        calls = []

        def enroll(fields):
            calls.append(fields)
            if answer:
                return answer
            row = sandbox.site.insert(
                "LMS Enrollment",
                {"member": fields["user_email"], "course": fields["course_id"]},
            )
            return {"success": True, "enrollment_id": row["name"]}

        sandbox.site.methods[self.METHOD] = enroll
        return calls

    def test_method_is_told_everything(self, shop, sandbox):
        """The fields that the replaced system sent; the row is read back."""
        calls = self.install(sandbox)
        one = shop(frappe_lms_enroll_method=self.METHOD)
        row_id = one.buy(percent_off=50, affiliate="bob")
        one.work()
        row = one.sdk.enrollments.get(row_id)
        assert calls == [
            {
                "user_email": ADA,
                "course_id": COURSE,
                "paid_status": True,
                "payment_id": row.payment_id,
                "amount": 24.5,
                "currency": "USD",
                "referral_code": "bob",
            }
        ]
        assert row.status is Status.ENROLLED
        assert row.lms_enrollment_id == rows(sandbox)[0]["name"]

    def test_method_that_refuses_is_dead_with_its_words(self, shop, sandbox):
        """But never the learner's address in them."""
        self.install(sandbox, success=False, error=f"{ADA} is not in the cohort")
        one = shop(frappe_lms_enroll_method=self.METHOD)
        one.buy(percent_off=100, authenticated=True)
        one.work()
        job = one.job()
        assert job.state is JobState.DEAD
        assert "is not in the cohort" in job.errors[-1].cause
        assert ADA not in job.errors[-1].cause

    @pytest.mark.parametrize("answer", [{"ok": 1}, {"success": "yes"}])
    def test_answer_of_another_shape_is_unclear(self, shop, sandbox, answer):
        """It may have enrolled all the same: look before any retry."""
        self.install(sandbox, **answer)
        lms = shop(frappe_lms_enroll_method=self.METHOD).sdk.lms
        sale = Sale(enrollment_id="e", amount=Money(0, "usd"))
        with pytest.raises(LMSUnavailableError) as caught:
            lms.enroll(ADA, COURSE, sale)
        assert caught.value.unclear

    def test_method_that_is_not_there_is_refused(self, shop):
        """417, as the site answers it: dead with a cause, not a retry for ever."""
        lms = shop(frappe_lms_enroll_method="no.such").sdk.lms
        sale = Sale(enrollment_id="e", amount=Money(0, "usd"))
        with pytest.raises(BackendRejectedError):
            lms.enroll(ADA, COURSE, sale)

    @pytest.mark.parametrize("path", ["enroll", "a/b.c", "a..b", "../x.y", "a.b?c"])
    def test_path_must_be_dotted(self, path):
        """Nothing that would lead elsewhere."""
        with pytest.raises(SettingsError, match="FRAPPE_LMS_ENROLL_METHOD"):
            Settings(frappe_lms_enroll_method=path)


class TestLearners:
    """Accounts: made, missing, disabled."""

    @pytest.mark.parametrize("wanted", [False, True])
    def test_welcome_mail_is_a_setting(self, shop, sandbox, wanted):
        """Off unless it is asked for; the username is one that nobody has."""
        sent = []
        insert = sandbox.site.insert

        def note(doctype, fields):
            sent.append((doctype, fields))
            return insert(doctype, fields)

        sandbox.site.insert = note
        one = shop(welcome_mail=wanted)
        one.buy(percent_off=100, authenticated=True)
        one.work()
        (user,) = [fields for doctype, fields in sent if doctype == "User"]
        assert user["send_welcome_email"] == int(wanted)
        assert (user["first_name"], user["last_name"]) == ("Ada", "King")
        assert user["username"].startswith("learner")

    def test_missing_account_may_be_refused(self, shop, sandbox):
        """Dead with what to do; once the learner has signed up, a retry does it."""
        one = shop(missing_learners="refuse")
        row_id = one.buy(percent_off=100, authenticated=True)
        one.work()
        assert "sign up" in one.job().errors[-1].cause
        assert (one.job().state, rows(sandbox)) == (JobState.DEAD, [])
        sandbox.site.add_user(ADA)
        one.sdk.admin.retry(row_id)
        one.work()
        assert len(rows(sandbox)) == 1

    @pytest.mark.parametrize("policy", ["enroll", "refuse"])
    def test_disabled_account_follows_the_policy(self, shop, sandbox, policy):
        """Enrolled with an alert, or dead with what to do."""
        sandbox.site.add_user(ADA)["enabled"] = 0
        one = shop(disabled_learners=policy)
        row_id = one.buy(percent_off=100, authenticated=True)
        one.work()
        enrolled = one.sdk.enrollments.get(row_id).status is Status.ENROLLED
        assert enrolled is (policy == "enroll")
        assert ("learner_disabled" in one.alerts.codes) is (policy == "enroll")
        if policy == "refuse":
            assert "disabled" in one.job().errors[-1].cause

    def test_nobody_is_enrolled_as_a_ghost(self, shop, sandbox):
        """Frappe 15 takes a row for an unknown member: the user comes first."""
        one = shop()
        one.buy(percent_off=100, authenticated=True)
        one.work()
        (row,) = rows(sandbox)
        assert row["member"] in sandbox.site.tables["User"]

    def test_question_for_an_account_has_two_answers(self, shop, sandbox):
        """The pre-payment question of the host's own code."""
        lms = shop().sdk.lms
        assert lms.find_user(ADA) is None
        sandbox.site.add_user(ADA)
        assert lms.find_user(ADA.upper()).name == ADA

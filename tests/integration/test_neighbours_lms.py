# SPDX-License-Identifier: MIT
"""What hangs on the LMS's rows, what the key may do, and who else is at work there."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from support.lms_side import ADA, COURSE, INSERT, new_lms, rows

from frappe_enroll_cli._internal.verdict import verdict_of
from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sdk import EnrollSDK, Settings, hookimpl
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import (
    BackendRejectedError,
    LMSUnavailableError,
)
from frappe_enroll_sdk.models import JobState, LMSStatus, Status
from frappe_enroll_sdk.services.lms.sync import USER_PERMITS
from frappe_enroll_sdk.settings.options import Secret
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


BOOKS = {
    "record_payment": True,
    "payment_address": "1 High Street, London, United Kingdom",
}
PAYMENT = "LMS Payment"


class Shop:
    """An SDK over the sandbox, with its alerts."""

    def __init__(self, sandbox, **settings) -> None:
        self.clock, self.site = sandbox.clock, sandbox.site
        self.alerts = []
        chosen = Settings(
            frappe_lms_url=sandbox.url,
            frappe_lms_api_key=Secret(sandbox.api_key),
            frappe_lms_api_secret=Secret(sandbox.api_secret),
            public_url="http://127.0.0.1:5000",
            **{"inline_s": 0, "retry_jitter": 0} | settings,
        )
        self.payments = FakePayments(self.clock)
        self.sdk = EnrollSDK(
            chosen,
            storage=MemoryStorage(self.clock),
            payments=self.payments,
            lms=FrappeLMS.from_settings(chosen, self.clock),
            clock=self.clock,
            plugins=[self],
            discover=False,
        )

    @hookimpl
    def on_alert(self, code, detail):
        """Note one."""
        self.alerts.append((code, detail))

    def buy(self, email=ADA):
        """Let a learner pay; return the enrollment's id."""
        made = self.sdk.checkout(course_id=COURSE, email=email)
        row = self.sdk.enrollments.get(made.enrollment_id)
        self.payments.pay(row.session_id)
        self.sdk.confirm_return(row.session_id)
        return made.enrollment_id

    def work(self, *waits_s):
        """Let cron work, now and after each wait."""
        for wait_s in (0, *waits_s):
            self.clock.advance(wait_s)
            # While a gate is closed, what is due is claimed and put back for ever.
            for _ in range(10):
                if not self.sdk.run_jobs().claimed:
                    break

    def row(self, name):
        """Return an enrollment."""
        return self.sdk.enrollments.get(name)

    def sync(self):
        """Return the sync job that was written last."""
        jobs = self.sdk.storage.jobs.list(kind="sync").items
        return max(jobs, key=lambda job: job.updated_at)

    def codes(self):
        """Return the codes of the alerts."""
        return [code for code, _ in self.alerts]


@pytest.fixture
def sandbox():
    """Return a site with a course that is sold, and a learner."""
    with LMSSandbox(FakeClock()) as server:
        server.site.add_course(COURSE, 49.0, "USD")
        server.site.add_course("other-1")
        server.site.add_user(ADA)
        yield server


@pytest.fixture
def shop(sandbox):
    """Return what makes shops over the site."""
    made = []

    def make(**settings):
        made.append(Shop(sandbox, **settings))
        return made[-1]

    yield make
    for one in made:
        one.sdk.close()


def certify(site):
    """Give the learner a certificate: a document of its own."""
    return "certificate " + site.add_certificate(ADA, COURSE)["name"]


def join_batch(site):
    """Let the learner join a batch that holds the course: our row is kept for it."""
    site.add_batch("autumn", COURSE, "other-1")
    site.insert("LMS Batch Enrollment", {"member": ADA, "batch": "autumn"})
    return "batch autumn"


def join_program(site):
    """Let the learner be in a program that holds the course."""
    site.add_program("Track One", COURSE, members=[ADA])
    return "program Track One"


HOLDS = [certify, join_batch, join_program]


class TestWhatHangsOnARow:
    """Documents that Frappe lets go with the row, and nobody gets back."""

    @pytest.mark.parametrize("hold", HOLDS)
    def test_row_stays_and_an_operator_is_told(self, shop, sandbox, hold):
        """A refund takes the right; the row waits for a word, with what hangs on it."""
        one = shop()
        row_id = one.buy()
        one.work()
        name = rows(sandbox)[0]["name"]
        what = hold(sandbox.site)
        one.sdk.enrollments.revoke(row_id, "op", "refunded by hand")
        one.work(60, 3600)
        assert [row["name"] for row in rows(sandbox)] == [name]
        assert one.alerts == [("lms_row_not_removable", {"row": name, "why": what})]
        row = one.row(row_id)
        assert (row.status, row.lms_status) == (Status.REVOKED, LMSStatus.SYNCED)
        assert (row.lms_enrollment_id, row.lms_row_ours, row.lms_left) == (
            name,
            True,
            what,
        )
        verdict, command = verdict_of(row, row)
        assert name in verdict
        assert what in verdict
        assert command.startswith(f"jobs retry {row_id}")

    @pytest.mark.parametrize("hold", HOLDS)
    @pytest.mark.parametrize("by_hand", [True, False])
    def test_next_step_ends_it(self, shop, sandbox, hold, by_hand):
        """An operator removes the row, or what hangs on it, and looks again."""
        one = shop()
        row_id = one.buy()
        one.work()
        hold(sandbox.site)
        one.sdk.enrollments.revoke(row_id, "op", "refunded")
        one.work(60)
        tables = ("LMS Certificate", "LMS Batch Enrollment", "LMS Program Member")
        for table in ("LMS Enrollment",) if by_hand else tables:
            sandbox.site.tables[table].clear()
        one.sdk.admin.retry(row_id, actor="op", reason="decided in the LMS")
        one.work(60)
        row = one.row(row_id)
        assert (row.lms_left, row.lms_enrollment_id, rows(sandbox)) == (None, None, [])

    @pytest.mark.parametrize("hold", HOLDS)
    def test_reinstatement_and_a_later_refund_still_know_it(self, shop, sandbox, hold):
        """The row that stayed is the learner's again; without the document it goes."""
        one = shop()
        row_id = one.buy()
        one.work()
        name = rows(sandbox)[0]["name"]
        hold(sandbox.site)
        one.sdk.enrollments.revoke(row_id, "op", "by mistake")
        one.work(60)
        one.sdk.enrollments.reinstate(row_id, "op", "it was one")
        one.work(60)
        row = one.row(row_id)
        assert (row.status, row.lms_enrollment_id, row.lms_left) == (
            Status.ENROLLED,
            name,
            None,
        )
        for table in ("LMS Certificate", "LMS Batch Enrollment", "LMS Program Member"):
            sandbox.site.tables[table].clear()
        one.sdk.enrollments.revoke(row_id, "op", "this time for good")
        one.work(60)
        assert rows(sandbox) == []
        row = one.row(row_id)
        assert (row.lms_enrollment_id, row.lms_left) == (None, None)

    def test_documents_of_others_protect_nothing(self, shop, sandbox):
        """Another learner's certificate, another course's batch and program."""
        site = sandbox.site
        site.add_certificate("bob@example.com", COURSE)
        site.add_certificate(ADA, "other-1")
        site.add_batch("winter", "other-1")
        site.insert("LMS Batch Enrollment", {"member": ADA, "batch": "winter"})
        site.add_batch("spring", COURSE)
        site.add_program("Track", "other-1", members=[ADA])
        site.add_program("Track Two", COURSE, members=["bob@example.com"])
        assert new_lms(sandbox).find_holds(ADA, COURSE) == ()
        one = shop()
        row_id = one.buy()
        one.work()
        one.sdk.enrollments.revoke(row_id, "op", "refunded")
        one.work(60)
        assert (rows(sandbox), one.alerts) == ([], [])

    def test_row_that_is_not_ours_is_told_not_awaited(self, shop, sandbox):
        """Enrolled by hand, paid all the same, refunded: the row is not ours."""
        one = shop()
        made = one.sdk.checkout(course_id=COURSE, email=ADA)
        row = sandbox.site.insert("LMS Enrollment", {"member": ADA, "course": COURSE})
        row["modified_by"] = "admin@example.com"
        session = one.row(made.enrollment_id).session_id
        one.payments.pay(session)
        one.sdk.confirm_return(session)
        one.work()
        one.sdk.enrollments.revoke(made.enrollment_id, "op", "refunded")
        one.work(60)
        told = one.row(made.enrollment_id)
        assert len(rows(sandbox)) == 1
        assert (told.lms_status, told.lms_left) == (LMSStatus.SYNCED, "it is not ours")
        assert (told.lms_enrollment_id, told.lms_row_ours) == (row["name"], False)

    def test_right_that_went_before_the_sync_leaves_nothing_pending(
        self, shop, sandbox
    ):
        """Nothing was ever made: the enrollment says so."""
        one = shop()
        row_id = one.buy()
        one.sdk.enrollments.revoke(row_id, "op", "at once")
        one.work(60)
        row = one.row(row_id)
        assert (row.lms_status, row.lms_enrollment_id) == (LMSStatus.SYNCED, None)
        assert rows(sandbox) == []


class TestBooks:
    """LMS Payments say whether a sale stands: else the door stays open."""

    @pytest.fixture
    def received(self, sandbox):
        """Return what the LMS's payments say, and the writes that said it."""

        def told():
            rows = sandbox.site.tables[PAYMENT].values()
            puts = sum(
                method == "PUT"
                and PAYMENT.replace(" ", "%20") in path.replace(" ", "%20")
                for method, path in sandbox.requests
            )
            return [row["payment_received"] for row in rows], puts

        return told

    def test_removal_closes_the_door_and_reinstatement_opens_it(
        self, shop, sandbox, received
    ):
        """Each once, however often the sync looks."""
        one = shop(**BOOKS)
        row_id = one.buy()
        one.work(60)
        assert received() == ([1], 0)
        one.sdk.enrollments.revoke(row_id, "op", "refunded")
        one.work(60, 60)
        assert received() == ([0], 1)
        sandbox.site.role = "LMS Student"
        with pytest.raises(BackendRejectedError):
            new_lms(sandbox).insert_enrollment(ADA, COURSE)
        sandbox.site.role = "Moderator"
        one.sdk.enrollments.reinstate(row_id, "op", "not after all")
        one.work(60, 60)
        assert received() == ([1], 2)
        assert one.row(row_id).status is Status.ENROLLED
        for _ in range(3):
            one.sdk.admin.reconcile(repair=True)
            one.work(60)
        assert received() == ([1], 2)

    def test_door_closes_though_the_row_stays(self, shop, sandbox, received):
        """A certificate protects the row, and no payment."""
        one = shop(**BOOKS)
        row_id = one.buy()
        one.work()
        certify(sandbox.site)
        one.sdk.enrollments.revoke(row_id, "op", "refunded")
        one.work(60)
        assert received() == ([0], 1)
        assert len(rows(sandbox)) == 1

    def test_second_purchase_leaves_the_first_one_closed(self, shop, sandbox, received):
        """Refunded, then bought again: two payments, one of which stands."""
        one = shop(**BOOKS)
        first = one.buy()
        one.work()
        one.sdk.enrollments.revoke(first, "op", "refunded")
        one.work(60)
        one.buy()
        one.work(60, 60)
        assert received() == ([0, 1], 1)


class TestCheck:
    """`frappe-enroll check` tries or reads each right, and names the cause."""

    @pytest.mark.parametrize(
        ("role", "bad"),
        [
            ("System Manager", {"lms role"}),
            ("LMS Student + Course Creator", {"lms role", "lms right: User: create"}),
            (
                "LMS Student + Batch Evaluator",
                {"lms key", "lms role", "lms right: User: create"},
            ),
            ("LMS Student", {"lms key", "lms role", "lms right: User: create"}),
        ],
    )
    def test_key_that_cannot_sell_is_told(self, shop, sandbox, role, bad):
        """Before the first learner pays; nothing is written by it."""
        sandbox.site.role = role
        found = {c.name: c for c in shop().sdk.examine() if c.is_bad}
        assert {name for name in found if name.startswith("lms")} == bad
        assert "Moderator" in found["lms role"].mend
        assert sandbox.site.enrollments() == []
        assert list(sandbox.site.tables["User"]) == [ADA]

    @pytest.mark.parametrize("role", ["Moderator", "System Manager + Moderator"])
    @pytest.mark.parametrize("version", ["15", "newer"])
    def test_key_that_can_sell_is_well(self, shop, sandbox, role, version):
        """Payments too, where they are recorded."""
        sandbox.site.role = role
        if version == "newer":
            sandbox.site.become_newer()
        bad = [c.name for c in shop(**BOOKS).sdk.examine() if c.is_bad]
        assert [name for name in bad if name.startswith("lms")] == []
        assert sandbox.site.tables[PAYMENT] == {}

    def test_learners_who_are_not_created_need_no_right(self, shop, sandbox):
        """What no flow needs is not asked for."""
        names = [c.name for c in shop(missing_learners="refuse").sdk.examine()]
        assert "lms right: User: create" not in names

    def test_blocked_endpoints_are_named(self, shop, sandbox):
        """A setting of the LMS that closes documents to all but System Users."""
        sandbox.site.blocks_endpoints = True
        found = {c.name: c for c in shop().sdk.examine() if c.is_bad}
        assert "block_endpoints" in found["lms access"].cause
        assert "System User" in found["lms access"].mend
        sandbox.site.role = "System Manager + Moderator"
        assert not [c for c in shop().sdk.examine() if c.name == "lms access"]

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            ({"kind": "redirect"}, "redirects: set FRAPPE_LMS_URL"),
            ({"kind": "html", "status": 404}, "FRAPPE_LMS_SITE"),
            ({"kind": "foreign", "status": 404}, "what stands in front of it?"),
            ({"kind": "error", "status": 401}, "FRAPPE_LMS_API_KEY"),
        ],
    )
    def test_cause_is_in_words(self, shop, sandbox, fault, words):
        """Not only that its ping fails."""
        sandbox.fail_next("GET .*", fault.pop("kind"), times=None, **fault)
        (check,) = [c for c in shop().sdk.examine() if c.name == "lms"]
        assert words in check.cause

    def test_redirect_tells_its_target(self, shop, sandbox):
        """Where to, and nothing of the path that was asked for."""
        sandbox.fail_next("GET .*", "redirect", times=None)
        (check,) = [c for c in shop().sdk.examine() if c.name == "lms"]
        assert sandbox.url in check.cause
        assert "elsewhere" not in check.cause


class TestReconcile:
    """Rows of the LMS that nobody of ours made."""

    def test_rows_of_others_are_counted_not_alarmed(self, shop, sandbox):
        """Self-enrolments, batches: a site is full of them."""
        one = shop()
        for number in range(3):
            row = {"member": f"s{number}@example.com", "course": "other-1"}
            sandbox.site.insert("LMS Enrollment", row)["modified_by"] = row["member"]
        ours = sandbox.site.insert(
            "LMS Enrollment", {"member": ADA, "course": "other-1"}
        )
        report = one.sdk.admin.reconcile(cursor="lms:")
        assert report.checked == {"lms": 4, "lms_not_ours": 3}
        assert [(f.difference, f.subject) for f in report.findings] == [
            ("lms_without_enrollment", ours["name"])
        ]

    @pytest.mark.parametrize("hours", [24, 100, 720])
    def test_since_bounds_them(self, shop, sandbox, hours):
        """What is older than the moment (and the farthest zone) is not listed."""
        one = shop()
        row = {"member": ADA, "course": "other-1"}
        sandbox.site.insert("LMS Enrollment", row)
        sandbox.clock.advance(hours * 3600)
        sandbox.site.insert("LMS Enrollment", row)
        now = sandbox.clock.now()
        for back, count in ((hours + 1, 2), (hours - 13, 1)):
            since = now - timedelta(hours=back)
            report = one.sdk.admin.reconcile(since=since, cursor="lms:")
            assert report.checked["lms"] == count, back

    def test_schedule_is_silent_on_a_site_with_self_enrolments(self, shop, sandbox):
        """No alert at every interval."""
        one = shop(reconcile_every_s=3600)
        for number in range(3):
            row = {"member": f"s{number}@example.com", "course": "other-1"}
            sandbox.site.insert("LMS Enrollment", row)["modified_by"] = row["member"]
        one.work(3601, 3601)
        assert one.alerts == []


class TestUserCreation:
    """Permits, and creates that Frappe still works on."""

    def test_permit_is_kept_while_the_outcome_is_not_known(self, shop, sandbox):
        """A create that timed out waits for the same lock as the next ones would."""
        one = shop(frappe_lms_timeout_s=0.4, verify_after_s=1)
        create = "POST .*/User$"
        sandbox.fail_next(create, "hang", times=None)
        for number in range(5):
            one.buy(f"new{number}@example.com")
        began = sum(
            path.endswith("/User") for m, path in sandbox.requests if m == "POST"
        )
        one.sdk.run_jobs()
        made = sum(
            path.endswith("/User") for m, path in sandbox.requests if m == "POST"
        )
        assert made - began == USER_PERMITS
        one.clock.advance(60)
        one.sdk.run_jobs()
        again = sum(
            path.endswith("/User") for m, path in sandbox.requests if m == "POST"
        )
        assert again - began == USER_PERMITS
        sandbox.heal()
        one.work(130, 200, 600, 1200)
        assert len(sandbox.site.enrollments(course=COURSE)) == 5

    @pytest.mark.parametrize(
        "fault",
        [
            {
                "kind": "error",
                "status": 403,
                "headers": {"exc_type": "PermissionError"},
            },
            {
                "kind": "error",
                "status": 500,
                "headers": {"exc_type": "QueryTimeoutError"},
            },
            {"kind": "throttled"},
        ],
    )
    def test_permit_is_given_back_once_it_is_known(self, shop, sandbox, fault):
        """A refusal, a lock that was waited for in vain, a bound per hour."""
        one = shop()
        kind = fault.pop("kind")
        sandbox.fail_next("POST .*/User$", kind, times=USER_PERMITS, **fault)
        for number in range(USER_PERMITS + 1):
            one.buy(f"new{number}@example.com")
        one.work()
        assert len(sandbox.site.enrollments(course=COURSE)) == 1
        assert one.sdk.storage.gates.hold("lms.users", "x", USER_PERMITS, *span(one))

    def test_slow_is_not_out_of_reach(self, sandbox):
        """Whoever was reached has maybe written."""
        sandbox.fail_next("POST .*/User$", "hang")
        with pytest.raises(
            LMSUnavailableError, match="was reached and is slow"
        ) as slow:
            new_lms(sandbox).create_user("n@example.com", "N", timeout_s=0.3)
        assert slow.value.unclear
        sandbox.stop()
        with pytest.raises(LMSUnavailableError, match="can't be reached") as gone:
            new_lms(sandbox).create_user("n@example.com", "N", timeout_s=2)
        assert not gone.value.unclear

    def test_no_create_begins_with_less_time_than_it_takes(self, shop, sandbox):
        """Inline, a second before the end: the worker does it."""
        one = shop(inline_s=3)
        began = threading.Event()
        insert = sandbox.site._insert_user
        sandbox.site._insert_user = lambda fields: began.set() or insert(fields)
        sandbox.fail_next("GET .*User", "latency", seconds=1.8, times=None)
        made = one.sdk.checkout(course_id=COURSE, email="new@example.com")
        session = one.row(made.enrollment_id).session_id
        one.payments.pay(session)
        one.sdk.confirm_return(session)
        assert not began.is_set()
        assert one.sync().state is JobState.DUE
        sandbox.heal()
        one.work(1)
        assert one.row(made.enrollment_id).status is Status.ENROLLED


def span(one):
    """Return now and a moment later, for a permit."""
    return one.clock.now(), one.clock.now() + timedelta(seconds=1)


class TestRequeue:
    """Refused syncs, and those that only wait."""

    def test_refusal_is_filed_under_its_own_code_and_goes_on_at_once(
        self, shop, sandbox
    ):
        """`jobs requeue --code backend_rejected` finds it; nothing is waited for."""
        one = shop()
        sandbox.fail_next(
            INSERT, "error", status=417, headers={"exc_type": "ValidationError"}
        )
        row_id = one.buy()
        one.work()
        job = one.sync()
        assert (job.state, job.errors[-1].code) == (JobState.DEAD, "backend_rejected")
        assert one.sdk.admin.requeue(10, kind="sync", actor="op", reason="mended") == 1
        one.sdk.run_jobs()
        assert one.row(row_id).status is Status.ENROLLED

    @pytest.mark.parametrize(
        ("settings", "setup", "code"),
        [
            (
                {"missing_learners": "refuse"},
                lambda site: site.tables["User"].clear(),
                "no_account",
            ),
            (
                {"disabled_learners": "refuse"},
                lambda site: site.tables["User"][ADA].update(enabled=0),
                "learner_disabled",
            ),
        ],
    )
    def test_learner_who_cannot_be_enrolled_has_a_code(
        self, shop, sandbox, settings, setup, code
    ):
        """Each cause by its own word."""
        one = shop(**settings)
        one.buy()
        setup(sandbox.site)
        one.work()
        assert one.sync().errors[-1].code == code

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            (
                (
                    "POST .*/User$",
                    "error",
                    {"status": 417, "headers": {"exc_type": "ValidationError"}},
                ),
                "limits new users",
            ),
            ((INSERT, "throttled", {"headers": {"Retry-After": "40"}}), "slow down"),
            (("GET .*Enrollment", "throttled", {}), "slow down"),
        ],
    )
    def test_wait_leaves_a_trace(self, shop, sandbox, fault, words):
        """In the job, in the timeline; no try counts, and it ends well."""
        one = shop()
        pattern, kind, more = fault
        row_id = one.buy("new@example.com")
        planned = sandbox.fail_next(pattern, kind, times=3, **more)
        one.work(*[3600] * 3)
        assert planned.seen == 3
        job = one.sync()
        assert [error.code for error in job.errors] == ["throttled"] * 3
        assert {error.try_number for error in job.errors} == {0}
        assert words in job.errors[0].cause
        told = one.sdk.admin.timeline(row_id).moments
        assert any(m.kind == "try" and words in m.text for m in told)
        assert (job.state, one.row(row_id).status) == (JobState.DONE, Status.ENROLLED)


class TestSomebodyElsesPage:
    """A proxy's or a gateway's answer is no word of the LMS's."""

    @pytest.mark.parametrize("status", [400, 402, 404, 409, 417])
    def test_json_without_frappes_class_waits_and_counts_nothing(
        self, shop, sandbox, status
    ):
        """Nobody is created, no course is called unknown, no job is dead."""
        one = shop()
        row_id = one.buy()
        planned = sandbox.fail_next(".*", "foreign", status=status, times=None)
        one.work(120, 600, 3600)
        job = one.sync()
        assert planned.seen
        assert (job.state, job.tries) == (JobState.DUE, 0)
        sandbox.heal()
        one.work(3600, 60, 60)
        assert one.row(row_id).status is Status.ENROLLED

    @pytest.mark.parametrize("status", [405, 413, 403, 502])
    def test_pages_of_a_proxy_wait_too(self, shop, sandbox, status):
        """A static page for maintenance answers a POST with 405, for instance."""
        one = shop()
        row_id = one.buy()
        sandbox.fail_next(".*", "page", status=status, times=None)
        one.work(120, 600)
        assert (one.sync().state, one.sync().tries) == (JobState.DUE, 0)
        sandbox.heal()
        one.work(3600, 60, 60)
        assert one.row(row_id).status is Status.ENROLLED

    @pytest.mark.parametrize("verb", ["get_course", "find_user", "delete_enrollment"])
    def test_missing_is_said_by_the_lms_only(self, sandbox, verb):
        """A gateway's 404 is neither "no such course" nor "nobody" nor "gone"."""
        sandbox.fail_next(".*", "foreign", status=404, times=None)
        with pytest.raises(LMSUnavailableError):
            getattr(new_lms(sandbox), verb)("name")


@pytest.mark.parametrize("progress", ["half", None, [], "NaN"])
def test_row_whose_progress_cannot_be_read_is_left_alone(shop, sandbox, progress):
    """It stops nothing, and is not removed."""
    one = shop()
    row_id = one.buy()
    one.work()
    rows(sandbox)[0]["progress"] = progress
    report = one.sdk.admin.reconcile(cursor="lms:")
    assert (report.findings, report.checked) == ((), {"lms": 1})
    one.sdk.enrollments.revoke(row_id, "op", "refunded")
    one.work(60)
    kept = [] if progress in (None, []) else [progress]
    assert [row["progress"] for row in rows(sandbox)] == kept

# SPDX-License-Identifier: MIT
"""The admin API: what operators see, and what they mend."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import attrs
import pytest
from support.site import ADMIN, EMAIL, OPERATOR, VIEWER, Site, check_problem
from support.world import COURSE

from frappe_enroll_sdk.errors import BackendRejectedError
from frappe_enroll_sdk.models import PaymentStatus, SessionStatus
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.services.payments import replay


@pytest.fixture
def site():
    """Return a site whose admin surface is on."""
    return Site(**ADMIN)


@pytest.fixture
def paid(site):
    """Return a site with one learner who has paid with a coupon, and the row."""
    code = site.world.coupon(50)
    made = site.checkout(coupon_code=code, full_name="Ada L").json
    site.deliver(site.world.pay(made["enrollment_id"]))
    (row,) = site.world.rows()
    return site, row


def ids(answer):
    """Return the ids of a page."""
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json["items"]]


def find(site, **fields):
    """Search; a POST, so that no address stands in a URL."""
    return site.admin("POST", "/enrollments/search", VIEWER, json=fields)


def test_search_finds_by_whatever_is_at_hand(paid):
    """Id, session, payment, event, e-mail in any case, code, course."""
    site, row = paid
    event = site.world.events[0].id
    site.checkout(email="bob@example.com")
    for text in (row.id, row.session_id, row.payment_id, event, EMAIL.upper()):
        assert ids(find(site, q=text)) == [row.id]
    code = row.coupon_code.lower()
    assert ids(find(site, q=code)) == [row.id]
    course = find(site, q=COURSE)
    by_filter = find(site, email=EMAIL, coupon_code=code, status="enrolled")
    assert ids(by_filter) == [row.id]
    assert len(ids(course)) == 2
    for text in ("enr_none", "cs_none", "pi_none", "evt_none", "no@x.org", "NONE"):
        assert ids(find(site, q=text)) == []


def test_filters_and_cursor_page_through(site):
    """Every row once; filters hold together."""
    for number in range(5):
        site.checkout(email=f"l{number}@example.com")
    query, seen = {"limit": 2, "course_id": COURSE}, []
    while True:
        page = site.admin("GET", "/enrollments", query=query)
        seen += ids(page)
        if page.json["next_cursor"] is None:
            break
        query["cursor"] = page.json["next_cursor"]
    assert len(seen) == len(set(seen)) == 5
    one = find(site, email="l3@example.com", status="awaiting_payment")
    assert len(ids(one)) == 1
    assert ids(site.admin("GET", "/enrollments", query={"status": "enrolled"})) == []


@pytest.mark.parametrize(
    "query",
    [
        {"status": "none"},
        {"limit": 0},
        {"limit": 201},
        {"limit": "ten"},
        {"cursor": "nonsense"},
        {"stat": "enrolled"},
        {"q": "x"},
        {"email": "ada@example.com"},
        {"coupon_code": "CODE-1"},
        {"status": ["enrolled", "expired"]},
    ],
    ids=str,
)
def test_query_that_is_none_is_refused(site, query):
    """A filter with a slip of the pen never means "everything"."""
    answer = site.admin("GET", "/enrollments", query=query)
    assert (answer.status_code, answer.json["code"]) == (400, "validation")


def test_timeline_tells_what_happened(paid):
    """Coupon, session, event, tries, operators' words: in order, nothing secret."""
    site, row = paid
    site.order(f"/enrollments/{row.id}/revoke", reason="asked by mail")
    told = site.admin("GET", f"/enrollments/{row.id}").json
    titles = [moment["title"] for moment in told["moments"]]
    for title in ("opened", "reserved", "paid", "enrolled", "revoked"):
        assert title in titles
    moments = [moment["at"] for moment in told["moments"]]
    assert moments == sorted(moments)
    (event,) = told["events"]
    assert (event["state"], event["deliveries"]) == ("done", 1)
    assert told["coupon"]["redeemed"] == 1
    assert told["seat"]["state"] == "redeemed"
    assert [job["kind"] for job in told["jobs"]] == ["sync"]
    (audit,) = [m for m in told["moments"] if m["kind"] == "audit"]
    assert (audit["subject"], audit["text"]) == ("olga", "asked by mail")
    for secret in (row.token_hash, row.payment_url, "token_hash"):
        assert secret not in site.admin("GET", f"/enrollments/{row.id}").text


def test_timeline_shows_the_cause_of_a_dead_job(site):
    """The words that an operator needs, and the way out."""
    error = BackendRejectedError("course x is not published: publish it")
    site.world.lms.faults.add("insert_enrollment", error)
    made = site.checkout(coupon_code=site.world.coupon(100)).json
    path = f"/enrollments/{made['enrollment_id']}"
    told = site.admin("GET", path).json
    assert told["enrollment"]["lms_status"] == "dead"
    (lost,) = [m for m in told["moments"] if m["kind"] == "try"]
    assert "publish it" in lost["text"]
    assert site.order(f"{path}/retry").json == {"due": True}
    site.sdk.run_jobs()
    (note,) = [
        m for m in site.admin("GET", path).json["moments"] if m["kind"] == "audit"
    ]
    assert (note["title"], note["text"]) == ("retry_job", "because")
    site.world.clock.advance(130)  # the look after a refused insert
    site.sdk.run_jobs()
    assert site.admin("GET", path).json["enrollment"]["status"] == "enrolled"


def test_export_streams_every_row(site):
    """All pages, the filters, and no cell that a spreadsheet would run."""
    for number in range(3):
        site.checkout(email=f"l{number}@example.com", full_name="=cmd()")
    answer = site.admin("GET", "/enrollments.csv", query={"course_id": COURSE})
    assert answer.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    emails = {row["email"] for row in rows}
    assert emails == {f"l{number}@example.com" for number in range(3)}
    assert {row["full_name"] for row in rows} == {"'=cmd()"}
    assert {(row["price"], row["currency"]) for row in rows} == {("4900", "usd")}
    none = site.admin("GET", "/enrollments.csv", query={"status": "enrolled"})
    assert len(none.text.splitlines()) == 1
    bad = site.admin("GET", "/enrollments.csv", query={"status": "nonsense"})
    assert bad.status_code == 400


def test_payload_of_an_event_is_for_operators(paid):
    """A viewer sees that it came, not what it says."""
    site, _ = paid
    key = site.world.events[0].id
    seen = site.admin("GET", f"/events/{key}", VIEWER).json
    assert seen["payload"] is None
    assert site.admin("GET", f"/events/{key}", OPERATOR).json["payload"]["body"]
    assert [e["key"] for e in site.admin("GET", "/events").json["items"]] == [key]
    assert site.admin("GET", "/events/evt_none").status_code == 404


def test_records_of_requests_are_no_events(site):
    """What Idempotency-Key keeps does not stand among payments."""
    site.checkout(key="key-1")
    assert site.admin("GET", "/events").json["items"] == []


def test_replay_doubles_nothing(paid):
    """The same event again: the same row, one enrolment."""
    site, row = paid
    key = site.world.events[0].id
    assert site.order(f"/events/{key}/replay").json["state"] == "done"
    loud = site.sdk.storage.events.find(key).payload["quiet"]
    assert site.order(f"/events/{key}/replay", notify=False).json["payload"]["quiet"]
    assert (loud, site.sdk.storage.events.find(key).payload["quiet"]) == (False, True)
    assert len(site.world.lms.rows_of(EMAIL, COURSE)) == 1
    assert site.order("/events/evt_none/replay").status_code == 404
    assert site.world.rows()[0].version == row.version


def test_dead_jobs_are_retried_and_requeued(site):
    """One by its key, all in bulk; a key that is none is a 404."""
    codes = [site.world.coupon(100) for _ in range(2)]
    error = BackendRejectedError("not published")
    site.world.lms.faults.add("insert_enrollment", error, times=2)
    for number, code in enumerate(codes):
        site.checkout(email=f"l{number}@example.com", coupon_code=code)
    dead = site.admin("GET", "/jobs", query={"state": "dead"}).json["items"]
    assert len(dead) == 2
    shown = site.admin("GET", f"/jobs/{dead[0]['key']}", VIEWER).json
    assert shown["payload"] is None
    assert shown["errors"][0]["cause"]
    assert site.order(f"/jobs/{dead[0]['key']}/retry").json == {"due": True}
    assert site.order("/jobs/none/retry").status_code == 404
    assert site.order("/jobs/requeue", limit=5.0).json == {"requeued": 1}
    actions = [entry.action for entry in site.sdk.admin.audit().items]
    assert sorted(actions) == ["requeue_jobs", "requeue_jobs", "retry_job"]
    site.sdk.run_jobs()
    assert site.admin("GET", "/jobs", query={"state": "dead"}).json["items"] == []


def test_coupons_are_made_and_disabled(site):
    """With their terms; a percentage is exact."""
    made = site.order("/coupons", percent_off=33.3, course_id=COURSE, max_redemptions=3)
    assert made.status_code == 201
    code = made.json["code"]
    assert (made.json["percent_off"], made.json["max_redemptions"]) == ("33.3", 3)
    assert site.order("/coupons/disable", code=code).json["disabled"] is True
    assert (
        site.admin("POST", "/coupons/find", json={"code": code}).json["disabled"]
        is True
    )
    (only,) = site.admin("GET", "/coupons").json["items"]
    assert only["code"] == code
    assert site.order("/coupons/disable", code="NO-SUCH").status_code == 404
    for terms in (
        {"percent_off": 0, "course_id": COURSE},
        {"percent_off": 50, "any_course": True},
        {"percent_off": 50, "expires_at": "soon"},
        {"percent_off": 50, "expires_at": "2030-01-01T00:00:00"},
    ):
        check = site.order("/coupons", **terms)
        assert (check.status_code, check.json["code"]) == (400, "validation"), terms


def test_quarantine_has_two_ways_out(site):
    """Accept enrolls; dismiss ends; both are told why."""
    rows = []
    for number in range(2):
        made = site.checkout(email=f"l{number}@example.com").json
        forged = site.world.pay(made["enrollment_id"], amount=Money(1, "usd"))
        site.deliver(forged)
        rows.append(made["enrollment_id"])
    held = site.admin("GET", "/quarantine").json["items"]
    assert {item["id"] for item in held} == set(rows)
    assert {item["reason"] for item in held} == {"amount_mismatch"}
    accepted = site.order(f"/enrollments/{rows[0]}/accept").json
    assert accepted["status"] in {"confirmed", "enrolled"}
    dismissed = site.order(f"/enrollments/{rows[1]}/dismiss").json
    assert dismissed["status"] not in {"on_hold", "confirmed", "enrolled"}
    again = site.order(f"/enrollments/{rows[1]}/accept")
    check_problem(again, 409, "transition")


def test_every_change_is_audited_with_actor_and_reason(paid):
    """Who, what, on what, why; without a reason nothing happens."""
    site, row = paid
    code = row.coupon_code
    orders = [
        (f"/enrollments/{row.id}/revoke", {}),
        (f"/enrollments/{row.id}/reinstate", {}),
        (f"/events/{site.world.events[0].id}/replay", {}),
        ("/coupons", {"percent_off": 10, "course_id": COURSE}),
        ("/coupons/disable", {"code": code}),
        ("/retention", {"events_days": 60}),
        ("/breaker/lms/probe", {}),
    ]
    for number, (path, fields) in enumerate(orders):
        site.world.clock.advance(1)
        assert site.order(path, reason="").status_code == 400
        assert site.order(path, reason="  ").status_code == 400
        answer = site.order(path, reason=f"reason {number}", **fields)
        assert answer.status_code < 300, answer.text
    audit = site.admin("GET", "/audit", VIEWER).json["items"]
    done = [e["reason"] for e in audit if e["detail"].get("phase") != "begun"]
    # Retention prunes events and jobs: two lines of one reason.
    assert [*dict.fromkeys(done[::-1])] == [f"reason {n}" for n in range(len(orders))]
    assert {entry["actor"] for entry in audit} == {"olga"}
    mine = site.admin("GET", "/audit", query={"subject": row.id}).json["items"]
    assert [entry["action"] for entry in mine] == ["reinstated", "revoked"]


def test_breaker_is_shown_and_probed(site):
    """A closed gate opens when its backend answers, and stays closed when not."""
    site.world.lms.is_down = True
    assert site.order("/breaker/lms/probe").json == {"backend": "lms", "open": False}
    told = {
        g["backend"]: g["open"] for g in site.admin("GET", "/breaker").json["items"]
    }
    assert told == {"lms": False, "payments": True}
    site.world.lms.is_down = False
    assert site.order("/breaker/lms/probe").json == {"backend": "lms", "open": True}
    assert site.order("/breaker/none/probe").status_code == 404


def test_config_and_plugins_are_told_without_secrets(site):
    """Masked, with where each value comes from."""
    config = site.admin("GET", "/config", VIEWER)
    values = {item["variable"]: item["value"] for item in config.json["items"]}
    assert values["FRAPPE_ENROLL_SECRET_KEY"] == "***"
    assert ADMIN["secret_key"] not in config.text
    assert site.admin("GET", "/plugins", VIEWER).json == {"items": []}


def test_stats_are_told(paid):
    """The queue's numbers as the SDK has them."""
    site, _ = paid
    told = site.admin("GET", "/stats", VIEWER).json
    assert told["gates"] == {"lms": True, "payments": True}
    assert told["events"]["counts"]["done"] == 1


def test_reconcile_pages_over_the_three_sides(site):
    """Page by page until there is no cursor; only a repair changes something."""
    made = site.checkout().json
    site.world.pay(made["enrollment_id"])
    found, fields = [], {}
    while True:
        told = site.order("/reconcile", **fields).json
        found += told["findings"]
        if told["next_cursor"] is None:
            break
        fields = {"cursor": told["next_cursor"]}
    assert "paid_not_confirmed" in {one["difference"] for one in found}
    assert site.sdk.enrollments.get(made["enrollment_id"]).status == "awaiting_payment"
    site.order("/reconcile", repair=True)
    row = site.sdk.enrollments.get(made["enrollment_id"])
    assert row.status in {"confirmed", "enrolled"}


def test_metrics_are_for_the_admin_token(site):
    """404 while the host has none; then text for Prometheus, and only with a token."""
    bearer = {"Authorization": f"Bearer {VIEWER}"}
    assert site.call("GET", "/metrics").status_code == 401
    assert site.call("GET", "/metrics", headers=bearer).status_code == 404
    site.sdk._metrics = type("M", (), {"render": lambda _: ("text/plain", b"up 1")})()
    assert site.call("GET", "/metrics", headers=bearer).text == "up 1"


@pytest.fixture
def odd(site):
    """Return an open enrollment, and two signed events of payments that it has not."""
    made = site.checkout().json["enrollment_id"]
    row = site.sdk.enrollments.get(made)
    event = site.world.pay(made)
    opened = attrs.evolve(
        event.session, status=SessionStatus.OPEN, payment_status=PaymentStatus.UNPAID
    )
    site.world.payments.sessions[row.session_id] = opened
    names = []
    for name in ("one", "two"):
        session = attrs.evolve(event.session, id=f"cs_{name}", payment_id=f"pi_{name}")
        foreign = attrs.evolve(
            event,
            id=f"evt_{name}",
            object_id=session.id,
            session_id=session.id,
            payment_id=session.payment_id,
            session=session,
        )
        answer = site.deliver(foreign)
        assert (answer.status_code, answer.json["outcome"]) == (200, "quarantined")
        names.append(foreign.id)
    return row, names


def test_quarantined_events_have_two_ways_out(site, odd):
    """Counted and listed with their reason; accepted or dismissed once, and audited."""
    row, (first, second) = odd
    assert site.admin("GET", "/stats").json["quarantined"] == 2
    items = {i["id"]: i for i in site.admin("GET", "/quarantine", VIEWER).json["items"]}
    assert items.keys() == {first, second}
    told = items[first]
    assert (told["kind"], told["reason"]) == ("event", "foreign_session")
    assert (told["enrollment_id"], told["payment_id"]) == (row.id, "pi_one")
    assert told["paid"] == {"amount_minor": 4900, "currency": "usd"}
    gone = site.order(f"/quarantine/{second}/dismiss", reason="another shop's")
    assert gone.json == {"id": second, "state": "dismissed"}
    site.world.clock.advance(1)
    taken = site.order(f"/quarantine/{first}/accept", reason="paid by link").json
    assert (taken["id"], taken["status"]) == (row.id, "enrolled")
    assert taken["payment_id"] == "pi_one"
    assert site.admin("GET", "/quarantine").json["items"] == []
    assert site.admin("GET", "/stats").json["quarantined"] == 0
    for verb in ("accept", "dismiss"):
        for name in (first, second):
            check_problem(site.order(f"/quarantine/{name}/{verb}"), 409, "transition")
    assert site.order("/quarantine/evt_none/accept").status_code == 404
    trail = site.admin("GET", "/audit").json["items"]
    told = sorted((e["actor"], e["action"], e["subject"], e["reason"]) for e in trail)
    assert told == [
        ("olga", "accepted", row.id, "paid by link"),
        ("olga", "accepted", first, "paid by link"),
        ("olga", "dismissed", second, "another shop's"),
    ]


def test_event_is_accepted_for_whom_the_operator_names(site, odd):
    """The one that it names is somebody else's; without a reason nothing happens."""
    row, (first, _) = odd
    bob = site.checkout(email="bob@example.com").json["enrollment_id"]
    path = f"/quarantine/{first}/accept"
    none = site.order(path, enrollment_id="enr_none")
    assert (none.status_code, none.json["code"]) == (404, "enrollment_not_found")
    assert site.order(path, enrollment_id=bob, reason=" ").status_code == 400
    assert site.order(path, VIEWER, enrollment_id=bob).status_code == 403
    assert site.admin("GET", "/audit").json["items"] == []
    # What waits for a word is never pruned, however long it waits.
    site.world.clock.advance(40 * 86400)
    assert site.order("/retention", events_days=1).json["events"] == 0
    assert site.order(path, enrollment_id=bob).json["id"] == bob
    assert site.sdk.enrollments.get(bob).status == "enrolled"
    assert site.sdk.enrollments.get(row.id).status not in {"confirmed", "enrolled"}


def test_event_is_not_accepted_while_the_own_payment_is_under_way(site, odd):
    """A delayed method may still pay the own session: 409, and the event waits on."""
    row, (first, _) = odd
    site.world.payments.pay_delayed(row.session_id)
    path = f"/quarantine/{first}/accept"
    check_problem(site.order(path), 409, "transition")
    assert site.sdk.enrollments.get(row.id).status == "awaiting_payment"
    assert first in ids(site.admin("GET", "/quarantine"))
    site.deliver(site.world.payments.settle_delayed(row.session_id, ok=False))
    assert site.order(path).json["status"] == "enrolled"


def test_enrollment_is_reassigned(paid):
    """Another learner gets the course and the payment; audited; not to oneself."""
    site, row = paid
    path = f"/enrollments/{row.id}/reassign"
    new = site.order(path, email="Bob@Example.com", reason="typo").json
    assert (new["email"], new["status"]) == ("bob@example.com", "enrolled")
    assert new["payment_id"] == row.payment_id
    old = site.sdk.enrollments.get(row.id)
    assert (old.status, old.moved_to) == ("revoked", new["id"])
    assert site.order(path, email="bob@example.com", reason="again").json == new
    check_problem(site.order(path, email="eve@example.com"), 409, "transition")
    assert site.order(path, email="nobody").status_code == 400
    told = site.admin("GET", "/audit", query={"subject": row.id}).json["items"]
    assert (told[-1]["action"], told[-1]["reason"]) == ("reassigned", "typo")
    assert told[-1]["detail"] == {"moved_to": new["id"]}


@pytest.mark.parametrize("page", [1, 100])
def test_missed_events_are_pulled_without_notifications(site, monkeypatch, page):
    """No webhook came; pulled once, quietly; a pull that is repeated gets further."""
    monkeypatch.setattr(replay, "_A_PAGE", page)
    made = site.checkout().json["enrollment_id"]
    site.world.pay(made)
    since = (site.world.clock.now() - timedelta(hours=1)).isoformat()
    told = site.order("/events/pull", since=since, notify=False, limit=10).json
    assert (told["fed"], told["more"]) == (1, False)
    row = site.sdk.enrollments.get(made)
    assert row.status == "enrolled"
    quiet = {e.fact for e in row.history if e.detail.get("quiet")}
    assert "paid" in quiet
    again = site.order("/events/pull", since=since).json
    assert (again["fed"], again["known"]) == (0, again["listed"])
    for number in range(3):
        made = site.checkout(email=f"l{number}@example.com").json["enrollment_id"]
        site.world.pay(made)
    pulls = [site.order("/events/pull", since=since, limit=1).json for _ in range(4)]
    told = [(pull["fed"], pull["more"]) for pull in pulls]
    # The end of a page may be the end of the list: it takes a look.
    assert told == [(1, True), (1, True), (1, page == 1), (0, False)]
    assert {row.status for row in site.world.rows()} == {"enrolled"}
    for wrong in ("2001-01-01T00:00:00+00:00", "soon", "2026-01-01T00:00:00"):
        assert site.order("/events/pull", since=wrong).status_code == 400, wrong

# SPDX-License-Identifier: MIT
"""One damaged row of our own never hides the readable rest."""

from __future__ import annotations

import contextlib
import sqlite3

import attrs
import pytest
from support.browser import Browser
from support.cli import lender
from support.site import ADMIN, VIEWER, Site, check_problem
from support.size import with_the_first_python
from support.world import COURSE, World

from frappe_enroll_sdk.models import GatePolicy, JobState
from frappe_enroll_sql.storage import SQLStorage


@with_the_first_python
@pytest.mark.parametrize(
    "damage",
    [
        "history = '[]'",
        "amount_currency = 'no money'",
        "status = 'unheard of'",
        "override = 5",
        "price_minor = price_minor + 0",
    ],
)
def test_list_and_reconcile_go_on_beside_a_damaged_row(db_folder, damage):
    """Over pages of one, wherever it stands; it is reported, nothing else is."""
    path = db_folder / "store.sqlite3"
    world = World(lambda: SQLStorage(f"sqlite:///{path}"))
    names = []
    for number in range(3):
        names.append(
            world.sdk()
            .checkout(course_id="python-101", email=f"u{number}@x.example")
            .enrollment_id
        )
        world.clock.advance(1)
    with contextlib.closing(sqlite3.connect(path)) as file:
        write = f"UPDATE enrollments SET {damage} WHERE key = ?"  # noqa: S608  above
        file.execute(write, (names[1],))
        file.commit()
    found, unreadable, cursor = [], [], None
    while True:
        page = world.storage.enrollments.list(limit=1, cursor=cursor)
        found += [row.id for row in page.items]
        unreadable += page.unreadable
        cursor = page.next_cursor
        if cursor is None:
            break
    is_whole = "+ 0" in damage
    wanted = names[::-1] if is_whole else [names[2], names[0]]
    assert found == wanted
    assert [text.partition(": ")[0] for text in unreadable] == (
        [] if is_whole else [names[1]]
    )
    report = world.sdk().admin.reconcile()
    assert {f.subject for f in report.findings if f.difference == "unreadable"} == (
        set() if is_whole else {names[1]}
    )


#: A row of each table, and what no version of ours has ever written there.
DAMAGE = {
    "audit": "detail = '{'",
    "coupons": "percent_off = 'much'",
    "enrollments": "history = '[]'",
    "events": "updated_at = 9000000000000000000",
    "gates": "permits = '{'",
    "grants": "status = 'unheard of'",
    "jobs": "errors = '['",
    "affiliates": "percent = 'much'",
    "ledger": "totals = '{'",
    "workers": "detail = '{'",
}


class Shop:
    """A site over a file with three of everything, and one row of a table damaged."""

    def __init__(self, folder):
        self.path = folder / "store.sqlite3"
        self.site = Site(
            open_storage=lambda: SQLStorage(f"sqlite:///{self.path}"), **ADMIN
        )
        self.world, self.sdk = self.site.world, self.site.sdk
        register = self.sdk.affiliates.register
        self.affiliates = [register(f"a{n}@x.example").code for n in range(3)]
        for number in range(3):
            by = {"actor": "olga", "reason": "a gift"}
            code = self.sdk.coupons.create(100, COURSE, max_redemptions=2, **by).code
            for fields in (
                {"email": f"free{number}@x.example", "coupon_code": code},
                {
                    "email": f"paid{number}@x.example",
                    "affiliate": self.affiliates[0],
                },
            ):
                made = self.sdk.checkout(course_id=COURSE, **fields)
                self.world.clock.advance(1)
            self.world.deliver(self.sdk, self.world.pay(made.enrollment_id))
            self.sdk.grants.apply(course_id=COURSE, email=f"g{number}@x.example")
        self.sdk.run_jobs()

    def damage(self, table, key=None):
        """Damage one row, past the store's own writes; return its key."""
        with contextlib.closing(sqlite3.connect(self.path)) as file:
            keys = [key for (key,) in file.execute(f"SELECT key FROM {table}")]  # noqa: S608  ours
            chosen = key or sorted(keys)[len(keys) // 2]
            write = f"UPDATE {table} SET {DAMAGE[table]} WHERE key = ?"  # noqa: S608  above
            file.execute(write, (chosen,))
            file.commit()
        return chosen


@pytest.fixture
def shop(db_folder):
    """Return a shop that has sold and given away."""
    shop = Shop(db_folder)
    yield shop
    shop.sdk.close()


@with_the_first_python
@pytest.mark.parametrize(
    ("table", "path"),
    [
        ("audit", "/audit"),
        ("coupons", "/coupons"),
        ("enrollments", "/enrollments"),
        ("events", "/events"),
        ("grants", "/grants"),
        ("jobs", "/jobs"),
        ("affiliates", "/affiliates"),
    ],
)
def test_each_door_names_the_damaged_row_and_lists_the_rest(shop, table, path, capsys):
    """Command line, API and dashboard; of a coupon a viewer learns no code."""
    before = len(shop.site.admin("GET", path).json["items"])
    key, run = shop.damage(table), lender(capsys, shop.sdk)
    lost = 0 if table in {"jobs", "events"} else 1  # these show what can be read
    answer = shop.site.admin("GET", path)
    assert len(answer.json["items"]) == before - lost
    assert len(answer.json["unreadable"]) == lost
    assert key in answer.text
    browser = Browser(shop.site)
    assert key in browser.get(path).text
    assert browser.get("/").status_code == 200
    if table != "audit":
        said = run(path[1:], "list")
        assert said.code == 0
        assert len(said.lines) == before - lost
        assert key in said.out + said.err
    if table == "coupons":
        seen = shop.site.admin("GET", path, VIEWER)
        assert len(seen.json["unreadable"]) == 1
        assert key not in seen.text
        said = run("coupons", "export")
        assert said.err.splitlines()[0].startswith(f"unreadable: {key}: ")
        assert said.err.splitlines()[-1] == "2 coupons"


@with_the_first_python
def test_ledger_is_told_without_its_damaged_row(shop, capsys):
    """The statement has the others, and says which one it has not."""
    key = shop.damage("ledger")
    said = lender(capsys, shop.sdk)("affiliates", "statement", shop.affiliates[0])
    assert said.code == 0
    assert f"unreadable: {key}: " in said.err
    assert len(said.out.splitlines()) == 3
    page = Browser(shop.site).get(f"/affiliates/{shop.affiliates[0]}")
    assert key in page.text


@with_the_first_python
def test_overview_and_check_do_without_gates_and_workers_that_are_damaged(shop, capsys):
    """What remembers for minutes begins anew: nobody has to mend it."""
    gate = shop.damage("gates")
    shop.damage("workers")
    run = lender(capsys, shop.sdk)
    assert run("stats").code == 0
    assert run("check", "--json").lines
    gates, now = shop.world.storage.gates, shop.world.clock.now()
    policy = GatePolicy()
    assert gates.is_open(gate)
    assert gates.report(gate, ok=False, now=now, policy=policy)
    assert not gates.is_open(gate)
    assert gates.report(gate, ok=True, now=now, policy=policy)
    assert gates.is_open(gate)


@with_the_first_python
def test_reconcile_goes_on_beside_a_damaged_row_of_the_same_pair(shop):
    """Whether the pair is entitled nobody knows: it is named, and nothing is done."""
    (row,) = shop.sdk.enrollments.list(email="paid1@x.example").items
    other = shop.sdk.checkout(course_id=COURSE, email="new@x.example").enrollment_id
    with contextlib.closing(sqlite3.connect(shop.path)) as file:
        # (An attempt of before: it would not be opened beside an entitled one.)
        write = (
            "UPDATE enrollments SET email = ?, mailbox = ?, sync_at = created_at "
            "WHERE key = ?"
        )
        file.execute(write, (row.email, row.email, other))
        file.commit()
    shop.damage("enrollments", other)
    shop.world.clock.advance(100_000)
    rows_of = shop.world.lms.find_enrollments
    before = rows_of(row.email, COURSE)
    report = shop.sdk.admin.reconcile(repair=True, actor="olga", reason="a look")
    found = {f.subject for f in report.findings if str(f.difference) == "unreadable"}
    assert found == {other, row.id}
    assert rows_of(row.email, COURSE) == before != ()


@with_the_first_python
def test_erasure_and_export_name_what_they_could_not_read(shop):
    """The rest is told, and erased; what is left is no secret of the store's."""
    email = "paid1@x.example"
    (row,) = shop.sdk.enrollments.list(email=email).items
    shop.sdk.enrollments.revoke(row.id, "olga", "asked for it")
    shop.sdk.run_jobs()
    other = shop.sdk.checkout(course_id=COURSE, email=email).enrollment_id
    shop.damage("enrollments", other)
    told = shop.sdk.privacy.export(email)
    assert [one["id"] for one in told["enrollments"]] == [row.id]
    assert [text.partition(": ")[0] for text in told["unreadable"]] == [other]
    done = shop.sdk.privacy.erase(email, actor="olga", reason="asked for it")
    assert done.enrollments == 1
    assert [text.partition(": ")[0] for text in done.unreadable] == [other]


@with_the_first_python
@pytest.mark.parametrize("marked", [True, False])
def test_news_of_a_damaged_row_is_kept_and_the_job_says_which(shop, marked):
    """Stripe is answered 200; the event is dead, with the row's name as its cause."""
    made = shop.sdk.checkout(course_id=COURSE, email="late@x.example")
    event = shop.world.pay(made.enrollment_id)
    session = attrs.evolve(event.session, ours=marked)
    event = attrs.evolve(event, session=session, ours=marked)
    key = shop.damage("enrollments", made.enrollment_id)
    assert shop.site.deliver(event).status_code == 200
    job = shop.sdk.admin.job(event.id)
    assert job.state is JobState.DEAD
    assert key in job.errors[-1].cause
    shown = shop.site.admin("GET", f"/enrollments/{key}")
    check_problem(shown, 500, "damaged_row")


@with_the_first_python
def test_damaged_affiliate_keeps_nobody_from_buying(shop):
    """The sale goes on; its commission waits until somebody has mended the row."""
    code = shop.damage("affiliates")
    made = shop.sdk.checkout(course_id=COURSE, email="b@x.example", affiliate=code)
    shop.world.deliver(shop.sdk, shop.world.pay(made.enrollment_id))
    shop.sdk.run_jobs()
    assert shop.world.lms.find_enrollments("b@x.example", COURSE)
    assert shop.sdk.enrollments.get(made.enrollment_id).effects_owed

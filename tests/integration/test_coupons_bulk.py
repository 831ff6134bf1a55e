# SPDX-License-Identifier: MIT
"""Coupons in bulk: made, imported, exported, counted, limited per learner."""

from __future__ import annotations

import io
import re
import threading

import pytest
from support.world import COURSE, World

from frappe_enroll_sdk.errors import (
    AlreadyEnrolledError,
    ConflictError,
    CouponExhaustedError,
    CouponExpiredError,
    CouponUnavailableError,
    ValidationError,
)
from frappe_enroll_sdk.ids import CODE_ALPHABET
from frappe_enroll_sdk.models import ReserveOutcome
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.services.coupons import batches as coupon_batches
from frappe_enroll_sdk.services.coupons import files as coupon_files


@pytest.fixture
def world():
    """Return a world with two courses."""
    world = World(inline_s=0)
    world.lms.add_course("rust-101", Money(4900, "usd"))
    return world


def read(world, text, **options):
    """Import a CSV text."""
    return world.sdk().coupons.import_csv(io.StringIO(text), **options)


def codes_of(world):
    """Return all codes."""
    return [c.code for c in world.storage.coupons.list(limit=10_000).items]


def test_many_codes_differ_and_have_their_form(world):
    """Prefix and pattern as asked, letters that nobody confuses, progress is told."""
    told = []
    made = world.sdk().coupons.create_many(
        2500,
        20,
        COURSE,
        prefix="spring-26",
        pattern="###-x-#####",
        per_learner=1,
        max_redemptions=3,
        on_progress=told.append,
    )
    letter = f"[{CODE_ALPHABET}]"
    form = re.compile(f"SPRING-26-{letter}{{3}}-X-{letter}{{5}}")
    assert len({coupon.code for coupon in made}) == 2500
    assert all(form.fullmatch(coupon.code) for coupon in made)
    assert told == [1000, 2000, 2500]
    assert codes_of(world) == sorted(coupon.code for coupon in made)
    assert {(c.per_learner, c.max_redemptions, c.course_id) for c in made} == {
        (1, 3, COURSE)
    }


def test_many_codes_replace_those_that_are_taken(world, monkeypatch):
    """A code that exists is left alone, and another takes its place."""
    world.coupon(code="A-2222", max_redemptions=9)
    codes = iter(["A-2222", "A-3333", "A-4444", "A-5555", "A-6666"])
    monkeypatch.setattr(coupon_batches.Codes, "new", lambda _self: next(codes))
    made = world.sdk().coupons.create_many(2, 20, any_course=True)
    # The first one is drawn to check the terms.
    assert [coupon.code for coupon in made] == ["A-3333", "A-4444"]
    codes = iter(["A-9999", *["A-2222"] * 30])
    with pytest.raises(ConflictError):
        world.sdk().coupons.create_many(1, 20, any_course=True)
    kept = world.storage.coupons.find("A-2222")
    assert kept.max_redemptions == 9


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pattern": "####"}, "pattern"),
        ({"pattern": "no-blanks-at-all"}, "pattern"),
        ({"pattern": "ä########"}, "pattern"),
        ({"prefix": "#"}, "pattern"),
        ({"prefix": "?"}, "pattern"),
        ({"count": 0}, "count"),
        ({"count": 10**9}, "count"),
        ({"percent_off": 0}, "percent_off"),
        ({"per_learner": True}, "per_learner"),
        ({"per_learner": 0}, "per_learner"),
    ],
)
def test_many_codes_of_bad_terms_are_refused(world, changes, field):
    """Nothing is written, and the field is named; guessable forms are refused too."""
    terms = {"count": 10, "percent_off": 20, "any_course": True} | changes
    with pytest.raises(ValidationError) as caught:
        world.sdk().coupons.create_many(terms.pop("count"), **terms)
    assert caught.value.field == field
    assert codes_of(world) == []


def test_window_is_kept_and_must_be_one(world):
    """Before its start a code is unknown, after its end it is over."""
    now = world.clock.now()
    tomorrow, later = now.replace(year=now.year + 1), now.replace(year=now.year + 2)
    with pytest.raises(ValidationError):
        world.coupon(starts_at=later, expires_at=tomorrow)
    code = world.coupon(starts_at=tomorrow, expires_at=later)
    sdk = world.sdk()
    with pytest.raises(CouponUnavailableError):
        sdk.checkout(course_id=COURSE, email="a@example.com", coupon_code=code)
    world.clock.advance((tomorrow - now).total_seconds())
    assert sdk.checkout(course_id=COURSE, email="a@example.com", coupon_code=code)
    world.clock.advance((later - tomorrow).total_seconds())
    with pytest.raises(CouponExpiredError):
        sdk.checkout(course_id=COURSE, email="b@example.com", coupon_code=code)


def test_learner_gets_no_more_seats_than_one_may_have(world):
    """The second course is refused at preview and checkout; others are not."""
    sdk = world.sdk()
    code = sdk.coupons.create(
        100, any_course=True, max_redemptions=9, per_learner=1
    ).code
    ask = {"email": "ada@example.com", "coupon_code": code}
    assert sdk.coupons.preview(code, COURSE, "ada@example.com").amount.amount_minor == 0
    sdk.checkout(course_id=COURSE, **ask)
    with pytest.raises(AlreadyEnrolledError):
        sdk.checkout(course_id=COURSE, **ask)
    with pytest.raises(CouponExhaustedError):
        sdk.coupons.preview(code, "rust-101", "ada@example.com")
    with pytest.raises(CouponExhaustedError):
        sdk.checkout(course_id="rust-101", **ask)
    found = sdk.coupons.get(code)
    assert (found.reserved, found.redeemed) == (0, 1)
    sdk.checkout(course_id="rust-101", email="bob@example.com", coupon_code=code)
    assert sdk.coupons.get(code).redeemed == 2


def test_seat_that_is_given_back_counts_no_more(world):
    """A learner whom the host vouches for, and who cancels, may use it elsewhere."""
    sdk = world.sdk()
    code = sdk.coupons.create(
        50, any_course=True, max_redemptions=9, per_learner=1
    ).code
    ask = {"email": "ada@example.com", "coupon_code": code, "authenticated": True}
    first = sdk.checkout(course_id=COURSE, **ask)
    with pytest.raises(CouponExhaustedError):
        sdk.checkout(course_id="rust-101", **ask)
    sdk.cancel(first.enrollment_id, first.token)
    assert sdk.checkout(course_id="rust-101", **ask).payment_url


def test_race_of_one_learner_takes_one_seat(world):
    """Two checkouts that reserve before either looks: never two seats at rest."""
    world_sdk = world.sdk()
    code = world_sdk.coupons.create(
        100, any_course=True, max_redemptions=9, per_learner=1
    ).code
    store, both = world.storage.coupons, threading.Barrier(2)
    reserve = store.reserve

    def together(*given):
        answer = reserve(*given)
        assert answer.outcome is ReserveOutcome.RESERVED
        both.wait(60)
        return answer

    store.reserve = together

    def ask(course):
        try:
            world_sdk.checkout(
                course_id=course, email="ada@example.com", coupon_code=code
            )
        except CouponExhaustedError:
            answers.append("exhausted")
        else:
            answers.append("enrolled")

    answers = []
    racers = [
        threading.Thread(target=ask, args=(course,)) for course in (COURSE, "rust-101")
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    found = world_sdk.coupons.get(code)
    assert len(answers) == 2
    assert (found.reserved, found.redeemed) == (0, answers.count("enrolled"))
    assert found.redeemed <= 1


_FILE = f"""code,percent_off,course_id,any_course,email,max_redemptions,per_learner
one-1,50,{COURSE},,,1,
TWO-2,12.5,,yes,Ada@Example.com,7,2
,100,{COURSE},no,,,
"""
_BAD = f"""percent_off,course_id,code,max_redemptions,expires_at
50,{COURSE},GOOD-1,1,
0,{COURSE},BAD-1,1,
50,nowhere,BAD-2,1,
50,{COURSE},"BAD
3",1,
50,{COURSE},BAD-4,many,
50,{COURSE},BAD-5,1,tomorrow
50,{COURSE},BAD-6,1,2027-01-01
50,{COURSE},BAD-7
50,{COURSE},TAKEN,1,
50,{COURSE},"BAD"-8,1,
50,{COURSE},GOOD-2,1,
50,{COURSE},"BAD-9,1,
"""


def test_file_is_imported_and_imported_again(world):
    """What is there with the same terms is known: a second run creates nothing bad."""
    report = read(world, _FILE.replace(",100,", "free-3,100,"))
    assert (report.created, report.known, report.bad) == (3, 0, 0)
    two = world.sdk().coupons.get("TWO-2")
    assert (str(two.percent_off), two.course_id, two.email) == (
        "12.5",
        None,
        "ada@example.com",
    )
    assert (two.max_redemptions, two.per_learner) == (7, 2)
    again = read(world, _FILE.replace(",100,", "free-3,100,"), all_or_nothing=True)
    assert (again.created, again.known, again.bad) == (0, 3, 0)
    assert len(codes_of(world)) == 3


def test_file_tells_moments_in_any_time_zone(world):
    """They are kept in UTC."""
    until = "2027-02-01T00:00:00+01:00"
    read(world, f"code,percent_off,any_course,expires_at\nA-1,9,yes,{until}\n")
    found = world.sdk().coupons.get("A-1")
    assert found.expires_at.isoformat() == "2027-01-31T23:00:00+00:00"


def test_file_names_each_bad_row_by_its_line(world):
    """Good rows are created, the others told with line, column and cause."""
    world.coupon(code="TAKEN", max_redemptions=5)
    told = []
    report = read(world, _BAD, on_problem=told.append)
    assert (report.created, report.known, report.bad) == (2, 0, 10)
    assert sorted((p.line, p.field) for p in told) == [
        (3, "percent_off"),
        (4, "course_id"),
        (6, "code"),
        (7, "max_redemptions"),
        (8, "expires_at"),
        (9, "expires_at"),
        (10, "row"),
        (11, "code"),
        (12, "row"),
        (14, "row"),
    ]
    assert report.problems == told
    assert codes_of(world) == ["GOOD-1", "GOOD-2", "TAKEN"]


def test_file_is_imported_whole_or_not_at_all(world):
    """With one bad row, or a code that stands twice, nothing is written."""
    report = read(world, _BAD, all_or_nothing=True)
    assert report.created == 0
    assert report.bad == 9
    twice = "code,percent_off,any_course\nA-1,50,yes\na-1,50,yes\n"
    report = read(world, twice, all_or_nothing=True)
    assert [(p.line, p.text) for p in report.problems] == [
        (3, "appears twice in the file")
    ]
    assert codes_of(world) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",,\n",
        "code\n",
        "percent_off,percent_off\n",
        "percent_off,colour\n",
        "code;percent_off;any_course\nA-1;50;yes\n",
        "code\tpercent_off\nA-1\t50\n",
        "percent_off,any_course\n".encode("utf-16").decode("utf-8", "surrogateescape"),
        "percent_off,any_course\n".encode("utf-16-le").decode(),
        "sep=;\ncode;percent_off\n",
    ],
)
def test_file_without_a_header_is_refused(world, text):
    """Nothing is guessed about columns."""
    with pytest.raises(ValidationError) as caught:
        read(world, text)
    assert caught.value.field == "header"


def test_export_is_what_import_reads(world):
    """A file goes out and comes in elsewhere with the same terms, counts beside."""
    read(world, _FILE)
    world.sdk().checkout(course_id=COURSE, email="bob@example.com", coupon_code="ONE-1")
    out = io.StringIO(newline="")
    assert world.sdk().coupons.export_csv(out) == 3
    other = World()
    report = read(other, out.getvalue())
    assert (report.created, report.bad) == (3, 0)
    again = io.StringIO(newline="")
    other.sdk().coupons.export_csv(again)
    mine, theirs = out.getvalue().splitlines(), again.getvalue().splitlines()
    assert [line.split(",")[:9] for line in mine] == [
        line.split(",")[:9] for line in theirs
    ]
    row = next(line for line in mine if line.startswith("ONE-1"))
    assert row.endswith(",1,0")


def test_export_and_usage_follow_a_prefix(world, monkeypatch):
    """Only what begins so, over pages, with the counts of what became of it."""
    monkeypatch.setattr(coupon_batches, "BATCH", 2)
    sdk = world.sdk()
    for code in ("A-1", "AB-1", "AB-2", "AB-3", "ABC", "AC-1", "B-1"):
        sdk.coupons.create(100, COURSE, code=code, max_redemptions=2)
    sdk.checkout(course_id=COURSE, email="a@example.com", coupon_code="AB-1")
    sdk.coupons.disable("AB-2")
    sdk.coupons.create(
        50, COURSE, code="AB-9", expires_at=world.clock.now().replace(year=2000)
    )
    assert [c.code for c in sdk.coupons.each(prefix="ab-")] == [
        "AB-1",
        "AB-2",
        "AB-3",
        "AB-9",
    ]
    usage = sdk.coupons.usage(prefix="AB-")
    assert (usage.coupons, usage.disabled, usage.expired) == (4, 1, 1)
    assert (usage.seats, usage.reserved, usage.redeemed) == (7, 0, 1)
    assert (usage.unused, usage.used_up) == (3, 0)
    assert sdk.coupons.usage().coupons == 8
    assert sdk.coupons.usage(course_id="rust-101").coupons == 0


HEADER = "code,percent_off,any_course"


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{HEADER}\r\nA-01,50,yes\r\n",
        '\ufeff"code","percent_off","any_course"\r\n"A-01","50","yes"\r\n',
        f"{HEADER}\rA-01,50,yes\r",
        f"{HEADER},,\r\nA-01,50,yes,,\r\n,,,,\r\n,,,,\r\n",
        f"{HEADER}\r\nA-01,50,yes,,,\r\n , ,\r\n\r\n",
        f"sep=,\r\n{HEADER}\r\nA-01,50,TRUE\r\n",
        f"\r\n{HEADER}\r\n\u00a0A-01 ,50\u00a0, yes\r\n",
        "code,,percent_off,,any_course\nA-01,,50,,yes\n",
        f"{HEADER}\nA-01,050,1",
    ],
    ids=[
        *("mark", "mark_and_quotes", "old_mac", "empty_columns", "empty_rows"),
        *("hint", "blanks", "columns_between", "no_last_end"),
    ],
)
@pytest.mark.parametrize("all_or_nothing", [False, True])
def test_file_of_a_spreadsheet_is_read_as_it_was_meant(world, text, all_or_nothing):
    """What it adds at the begin, the end and the right says nothing."""
    source = io.StringIO(text, newline="")
    report = world.sdk().coupons.import_csv(source, all_or_nothing=all_or_nothing)
    assert (report.created, report.bad) == (1, 0)
    found = world.sdk().coupons.get("A-01")
    assert (str(found.percent_off), found.course_id) == ("50", None)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("1.23E+12,50,yes", "code"),
        ("A-01,50%,yes", "percent_off"),
        ('A-01,"12,5",yes', "percent_off"),
        ("A-01,50,yes,more", "row"),
        ("A-01,50", "row"),
        ("A\udce9-01,50,yes", "code"),
        ("A-01,50,\udce9", "any_course"),
        ("A-01\0,50,yes", "code"),
        ("A-\u200b01,50,yes", "code"),
    ],
)
def test_cell_that_a_spreadsheet_has_changed_is_told(world, row, field):
    """By its line and column; the rows around it are good."""
    text = f"{HEADER}\nB-01,50,yes\n{row}\nB-02,50,yes\n"
    report = world.sdk().coupons.import_csv(io.StringIO(text, newline=""))
    assert [(p.line, p.field) for p in report.problems] == [(3, field)]
    assert codes_of(world) == ["B-01", "B-02"]


def test_file_of_another_encoding_is_read_up_to_there(world):
    """Where a host has opened it strictly: what was read is made, and told."""
    raw = f"{HEADER}\n".encode() + b"".join(b"A-%05d,50,yes\n" % n for n in range(3000))
    source = io.TextIOWrapper(io.BytesIO(raw + b"CAF\xc9,50,yes\n"), "utf-8")
    report = world.sdk().coupons.import_csv(source)
    (problem,) = report.problems
    assert (problem.field, report.bad) == ("file", 1)
    assert report.created == len(codes_of(world)) == problem.line - 2


def test_export_reads_back_with_the_same_meaning(world):
    """Whatever the terms hold: a formula's begin, quotes, commas, other letters."""
    odd = [
        '=1+1, "x"',
        "-minus",
        "Ünïcode 課程",
        "O'Reilly",
        "'=quoted",
        "+plus",
        "@at",
    ]
    for number, name in enumerate(odd):
        world.lms.add_course(name, Money(4900, "usd"))
        world.sdk().coupons.create(50, name, code=f"00{number}-E5")
    out = io.StringIO(newline="")
    world.sdk().coupons.export_csv(out)
    other = World()
    for name in odd:
        other.lms.add_course(name, Money(4900, "usd"))
    again = f"\ufeff{out.getvalue()}"
    report = other.sdk().coupons.import_csv(io.StringIO(again, newline=""))
    assert (report.created, report.bad) == (len(odd), 0)
    terms = [
        [(c.code, c.percent_off, c.course_id) for c in one.storage.coupons.list().items]
        for one in (world, other)
    ]
    assert terms[0] == terms[1]


def test_import_reports_what_it_did_whatever_ends_it(world, monkeypatch):
    """The caller's own report is filled in as the work goes on."""
    monkeypatch.setattr("frappe_enroll_sdk.services.coupons.files.BATCH", 2)
    text = HEADER + "\n" + "".join(f"A-{n:02},50,yes\n" for n in range(9))
    report = coupon_files.Imported()

    def stop(behind):
        if behind == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.sdk().coupons.import_csv(
            io.StringIO(text), on_progress=stop, report=report
        )
    assert report.created == len(codes_of(world)) == 4
    again = read(world, text)
    assert (again.created, again.known) == (5, 4)

# SPDX-License-Identifier: MIT
"""The decision table of one look at the LMS."""

from __future__ import annotations

from datetime import timedelta

import pytest
from unit.rows import NOW, later

from frappe_enroll_sdk.models import LMSEnrollment
from frappe_enroll_sdk.pair import Pair, judge_rows, must_know_user


US, ADMIN = "api@example.com", "admin@example.com"


def row(name, **changes):
    """Return a row that our key has just made."""
    stamp = f"{NOW + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}.{int(name[1:]):06d}"
    given = {"creation": stamp, "modified": stamp, "modified_by": US} | changes
    return LMSEnrollment(name=name, learner="a@b.example", course_id="c", **given)


def begun(*inserts):
    """Return a pair of which only the beginning of these inserts is known."""
    pair = Pair()
    for insert in inserts:
        pair = pair.begin(insert, NOW)
    return pair


def judged(pair, *found, wanted=True, **more):
    """Return (kept, removed, told) by name."""
    judgement = judge_rows(pair, found, wanted=wanted, **{"user": US} | more)
    told = (*judgement.stay, *judgement.strange)
    keep = judgement.keep.name if judgement.keep else None
    return keep, [r.name for r in judgement.remove], [r.name for r in told]


def test_late_row_beside_the_known_one_is_removed():
    """Nobody remembers its name: one insert is open, and it explains one row."""
    pair = begun("a", "b").answer("b", "r2")
    assert judged(pair, row("r1"), row("r2")) == ("r2", ["r1"], [])
    assert judged(pair, row("r1"), row("r2"), wanted=False) == (None, ["r1", "r2"], [])


def test_second_row_without_an_open_insert_is_told():
    """Our key made it by another hand: nothing of ours explains it."""
    pair = begun("b").answer("b", "r2")
    assert judged(pair, row("r1"), row("r2")) == ("r2", [], ["r1"])
    assert judged(pair, row("r1"), row("r2"), wanted=False) == (None, ["r2"], [])


def test_more_rows_than_inserts_prove_nothing():
    """One of the two may be ours, and nobody can say which: both stay, and are told."""
    assert judged(begun("a"), row("r1"), row("r2"), wanted=False) == (
        None,
        [],
        ["r1", "r2"],
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"modified_by": ADMIN}, []),
        ({"modified": "2026-01-02 00:00:00.000000"}, ["r1"]),
        ({"modified": "2026-01-02 00:00:00", "modified_by": ADMIN}, ["r1"]),
        ({"batch": "autumn"}, ["r1"]),
        ({"certificate": "c1"}, ["r1"]),
        ({"creation": "2020-01-01 00:00:00", "modified": "2020-01-01 00:00:00"}, []),
        ({"creation": "", "modified": ""}, []),
    ],
)
def test_row_that_does_not_prove_itself_stays_after_a_refund(changes, told):
    """It is told where an insert of ours may have made it, and never removed."""
    assert judged(begun("a"), row("r1", **changes), wanted=False) == (None, [], told)


def test_nothing_is_proved_while_the_keys_user_is_unknown():
    """A site that does not tell it: names that were answered are ours, no others."""
    pair = begun("a", "b").answer("b", "r2")
    assert judged(pair, row("r1"), row("r2"), user="") == ("r2", [], ["r1"])


def test_row_with_progress_is_kept_then_the_known_one_then_the_oldest():
    """The learner's work counts most."""
    pair = begun("a", "b", "c").answer("b", "r2")
    assert judged(pair, row("r1", progress=5.0), row("r2"))[0] == "r1"
    assert judged(pair, row("r1"), row("r2"))[0] == "r2"
    assert judged(begun("a", "b"), row("r2"), row("r1")) == ("r1", ["r2"], [])
    assert judged(begun("a", "b"), row("r2"), row("r1"), named=["r2"])[0] == "r2"


def test_stamp_of_a_site_twelve_hours_behind_is_not_taken_for_an_older_row():
    """Stamps are in the site's own time zone, which nobody tells."""
    behind = f"{NOW - timedelta(hours=11):%Y-%m-%d %H:%M:%S}"
    stamps = {"creation": behind, "modified": behind}
    assert judged(begun("a"), row("r1", **stamps), wanted=False) == (None, ["r1"], [])


def test_row_that_our_enrollment_names_accounts_for_the_insert():
    """The end of the try was lost after the enrollment was told: nothing is open."""
    touched = row("r1", modified="2026-06-01 00:00:00")
    after = judge_rows(begun("a"), [touched], wanted=True, user=US, owned=["r1"]).pair
    assert after.left == 0


def test_late_answer_after_a_look_took_the_row_counts_once():
    """One insert, one row, by whichever way it was learned."""
    seen = judge_rows(begun("a", "b"), [row("r1")], wanted=True, user=US).pair
    assert seen.left == 1
    assert seen.answer("a", "r1").left == 1
    assert seen.answer("a", "r1").answer("b", "r2").left == 0


def test_user_is_asked_for_only_where_it_matters():
    """Not in the life of a pair whose inserts were all answered."""
    assert must_know_user(begun("a"), [row("r1")])
    assert not must_know_user(begun("a"), [])
    assert not must_know_user(begun("a").answer("a", "r1"), [row("r1"), row("r2")])
    assert not must_know_user(begun("a").refuse("a"), [row("r1")])


def test_key_that_never_showed_a_named_row_is_blind():
    """A row that was shown once and is gone has been deleted."""
    named = begun("a").answer("a", "r1")
    assert named.is_blind
    assert not judge_rows(named, [row("r1")], wanted=True).pair.is_blind


def test_looks_count_from_the_end_of_the_call():
    """As far as anybody knows it: else from when it must have ended."""
    late = NOW + timedelta(seconds=400)
    assert begun("a").next_look(NOW, 120, 15) == NOW + timedelta(seconds=135)
    assert begun("a").end("a", late).next_look(late, 120, 15) == late + timedelta(
        seconds=120
    )
    waits = []
    now = NOW
    while (look := begun("a").next_look(now, 120, 0)) is not None:
        waits.append((look - NOW).total_seconds())
        now = look
    assert waits == [120, 480, 1920, 7680, 30720, 86400]


def test_moments_of_a_clock_ahead_count_from_when_that_is_seen():
    """Looks come in their time, and a row that was made before them is still ours."""
    day = timedelta(days=1)
    ahead = Pair().begin("a", NOW + day).end("a", NOW + day)
    pair = ahead.cap(NOW)
    assert pair.cap(NOW + timedelta(hours=1)) == pair
    assert pair.next_look(NOW, 60, 15) == NOW + timedelta(seconds=60)
    late = f"{NOW + timedelta(seconds=5):%Y-%m-%d %H:%M:%S}"
    found = row("r1", creation=late, modified=late)
    assert judged(pair, found, wanted=False) == (None, ["r1"], [])
    assert judged(ahead, found, wanted=False, user=US)[1] == []
    assert begun("a").cap(NOW) == begun("a")


def test_removal_that_may_still_land_is_looked_for():
    """Until it is answered, or a look finds the row gone; for a day at the most."""
    pair = Pair().remove("row-1", NOW)
    assert pair.leaving == {"row-1"}
    assert pair.next_look(NOW, 300, 15) == later(315)
    assert pair.next_look(later(2 * 86_400), 300, 15) is None
    assert pair.miss(["row-1"]).next_look(NOW, 300, 15) is None
    gone = judge_rows(pair, (), wanted=True).pair
    assert (gone.leaving, gone.next_look(NOW, 300, 15)) == (frozenset(), None)

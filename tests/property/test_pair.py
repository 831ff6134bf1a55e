# SPDX-License-Identifier: MIT
"""What is known of a pair, united in any order, and what a look makes of it."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from unit.rows import NOW

from frappe_enroll_sdk.models import LMSEnrollment
from frappe_enroll_sdk.pair import LOOKED_FOR, Pair, judge_rows
from frappe_enroll_sdk.stores.queue import united


US, ADMIN = "api@example.com", "admin@example.com"
VERIFY_S, CALL_S = 120, 15
names = st.sampled_from([f"r{number}" for number in range(6)])
inserts = st.sampled_from([f"i{number}" for number in range(4)])
moments = st.integers(0, 90_000).map(lambda s: NOW + timedelta(seconds=s))
steps = st.one_of(
    st.tuples(st.just("begin"), inserts, moments),
    st.tuples(st.just("end"), inserts, moments),
    st.tuples(st.just("refuse"), inserts),
    st.tuples(st.just("answer"), inserts, names),
    st.tuples(st.just("see"), st.lists(names, max_size=2)),
)


def told(given_steps):
    """Return a pair of which all this was told."""
    pair = Pair()
    for name, *arguments in given_steps:
        pair = getattr(pair, name)(*arguments)
    return pair


pairs = st.lists(steps, max_size=8).map(told)
data = pairs.map(lambda pair: pair.data)


@st.composite
def rows(draw):
    """Return rows of the pair: ours, somebody else's, touched, of a batch, older."""
    found = []
    for name in sorted(draw(st.sets(names))):
        created = draw(st.sampled_from([NOW, NOW - timedelta(days=3)]))
        stamp = f"{created:%Y-%m-%d %H:%M:%S}.000001"
        touched = draw(st.booleans())
        row = LMSEnrollment(
            name=name,
            learner="ada@example.com",
            course_id="c",
            creation=stamp,
            modified=stamp + ("2" if touched else ""),
            modified_by=draw(st.sampled_from([US, ADMIN])),
            batch=draw(st.sampled_from([None, None, "autumn"])),
            progress=draw(st.sampled_from([0.0, 0.0, 40.0])),
        )
        found.append(row)
    return found


@given(data, data, data)
def test_union_is_the_same_in_any_order_and_number(one, two, three):
    """Commutative, associative, idempotent; nothing that was known gets lost."""
    assert united(one, two) == united(two, one)
    assert united(united(one, two), three) == united(one, united(two, three))
    both = united(one, two)
    assert united(both, one) == both == united(both, both)
    for known in (one, two):
        for name, words in known.items():
            assert set(words) <= set(both[name])


@given(pairs, rows(), st.booleans(), st.sets(names, max_size=2))
def test_look_takes_no_more_rows_than_inserts(pair, found, wanted, owned):
    """One for one: what is taken was explained by an insert that nobody else claims."""
    judged = judge_rows(pair, found, wanted=wanted, user=US, owned=owned)
    new = judged.pair.made - pair.made
    assert len(new) <= pair.left
    assert judged.pair.left == pair.left - len(new)
    by_name = {row.name: row for row in found}
    for name in new - owned:
        row = by_name[name]
        assert (row.modified_by, row.untouched, row.removable) == (US, True, True)
        assert row.creation.startswith(f"{NOW:%Y-%m-%d}")
    assert judged.ours <= pair.made | owned | new


@given(pairs, rows(), st.booleans(), st.sets(names, max_size=2))
def test_only_what_is_ours_and_plain_is_removed(pair, found, wanted, owned):
    """Every row is kept, removed, or told; never two of them, never one of others."""
    judged = judge_rows(pair, found, wanted=wanted, user=US, owned=owned)
    for row in judged.remove:
        assert row.name in judged.ours
        assert row.removable
    told_of = [*judged.remove, *judged.stay, *judged.strange]
    if judged.keep is not None:
        told_of.append(judged.keep)
    assert len({row.name for row in told_of}) == len(told_of)
    if wanted:
        assert {row.name for row in told_of} == {row.name for row in found}
        best = max((row.progress for row in found), default=0.0)
        assert not found or judged.keep.progress == best
    else:
        ours = [row.name for row in found if row.name in judged.ours]
        assert {*ours} <= {row.name for row in told_of}


@given(pairs, rows(), st.booleans(), st.sets(names, max_size=2))
def test_look_again_says_the_same(pair, found, wanted, owned):
    """A second worker, or the same one a minute later, judges alike."""
    once = judge_rows(pair, found, wanted=wanted, user=US, owned=owned)
    again = judge_rows(once.pair, found, wanted=wanted, user=US, owned=owned)
    assert again == once


@given(pairs, pairs, rows())
def test_what_somebody_else_knows_takes_no_row_from_us(pair, other, found):
    """A worker that wakes up late adds what it knows: what was ours stays so."""
    ours = judge_rows(pair, found, wanted=False, user=US).ours
    both = Pair(
        united(judge_rows(pair, found, wanted=False, user=US).pair.data, other.data)
    )
    assert ours <= judge_rows(both, found, wanted=False, user=US).ours


@given(pairs, moments)
def test_looks_come_less_and_less_often_and_end_after_a_day(pair, now):
    """Each later than now; none without an insert that may still land."""
    looks = []
    while (look := pair.next_look(now, VERIFY_S, CALL_S)) is not None:
        assert look > now
        looks.append(look)
        now = look
        assert len(looks) < 60
    assert bool(looks) <= bool(pair.left)
    settles_at = pair.settles_at(VERIFY_S, CALL_S)
    assert (settles_at is not None) == bool(pair.left)
    if looks:
        end = settles_at - timedelta(seconds=VERIFY_S)
        assert looks[-1] == end + LOOKED_FOR

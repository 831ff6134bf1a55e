# SPDX-License-Identifier: MIT
"""
What is known of one learner and course in the LMS, and what one look makes of it: pure.

The knowledge stands in the ``data`` of the pair's sync job, as sets of words that only
grow and are united with every write (``queue.united``), so that neither a completion,
nor an enqueue, nor a worker that wakes up late takes anything out of it.

An insert is *begun* (written down before the call), and then accounted for: *refused*
(the LMS made no row), *answered* (it named the row), or *seen* (a look found a row that
nobody else can have made). An insert that is none of these may land at any time.

So may a removal that is *removing* (written down before the call) and not *removed*
(answered, or a look finds the row gone): a right that has come back loses its row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import attrs

from .codec import moment_of, text_of
from .models import Job, LMSEnrollment
from .stores.bounds import is_ahead
from .stores.queue import united


__all__: tuple[str, ...] = ()  # internal


#: How long to look for an unaccounted insert; its record stays.
LOOKED_FOR = timedelta(days=1)
#: Each wait between looks is this many times longer than the one before.
_WIDER = 4
#: The LMS's timestamps are in the site's zone, at most 12 hours behind UTC.
_FURTHEST_ZONE = timedelta(hours=12)


@attrs.frozen
class Pair:
    """
    What is known of a pair.

    Attributes:
        data: The sets, by name: ``begun`` and ``ended`` (an insert's id and a moment),
            ``refused`` (ids), ``answered`` (an id and the row's name), ``seen`` (names
            of our rows that a look has found), ``before`` (names of rows that existed
            before our first insert), ``removing`` (a row's name and a moment),
            ``removed`` (names) and ``capped`` (an insert's id or a row's name, and the
            moment at which its recorded moments were found to lie in the future).
    """

    data: Mapping[str, Collection[str]] = attrs.field(factory=dict)

    def begin(self, insert: str, at: datetime) -> Pair:
        """Return what is known once an insert is about to be sent."""
        return self._with("begun", f"{insert} {text_of(at)}")

    def end(self, insert: str, at: datetime) -> Pair:
        """Return what is known after its call ended without an answer."""
        return self._with("ended", f"{insert} {text_of(at)}")

    def refuse(self, insert: str) -> Pair:
        """Return what is known after the LMS said that it created no row."""
        return self._with("refused", insert)

    def answer(self, insert: str, name: str) -> Pair:
        """Return what is known after the LMS named the row."""
        return self._with("answered", f"{insert} {name}")

    def see(self, names: Iterable[str]) -> Pair:
        """Return what is known after a look found our rows."""
        return self._with("seen", *names)

    def remove(self, name: str, at: datetime) -> Pair:
        """Return what is known once a removal is about to be sent."""
        return self._with("removing", f"{name} {text_of(at)}")

    def miss(self, names: Iterable[str]) -> Pair:
        """Return what is known once rows are gone."""
        return self._with("removed", *names)

    def cap(self, now: datetime) -> Pair:
        """Return what is known once moments of a clock that ran ahead are noted."""
        late = {
            one
            for name in ("begun", "ended", "removing")
            for one, moment in self._moments(name).items()
            if is_ahead(moment, now)
        }
        return self._with("capped", *(f"{one} {text_of(now)}" for one in sorted(late)))

    def _with(self, name: str, *words: str) -> Pair:
        return Pair(united(self.data, {name: words} if words else {}))

    def _words(self, name: str) -> frozenset[str]:
        return frozenset(self.data.get(name, ()))

    def _of_inserts(self, name: str) -> dict[str, str]:
        """Return each insert's recorded value; of several, the last in sort order."""
        words = self.data.get(name)
        if not words:
            return {}
        split = (word.partition(" ") for word in sorted(words))
        return {insert: rest for insert, _, rest in split}

    def _moments(self, name: str) -> dict[str, datetime]:
        """Return the moment of each insert, capped where it is known to lie ahead."""
        texts = self._of_inserts(name)
        capped = self._of_inserts("capped") if texts else {}
        return {
            one: moment_of(min(text, capped.get(one, text)))
            for one, text in texts.items()
        }

    @property
    def before(self) -> frozenset[str]:
        """Rows that existed before our first insert: never ours."""
        return self._words("before")

    @property
    def answered(self) -> frozenset[str]:
        """Row names that the LMS has returned."""
        words = self._words("answered")
        return frozenset(word.partition(" ")[2] for word in words)

    @property
    def made(self) -> frozenset[str]:
        """Rows that we have created."""
        return self.answered | self._words("seen")

    @property
    def open(self) -> frozenset[str]:
        """Inserts whose answer is unknown."""
        known = self._words("refused") | self._of_inserts("answered").keys()
        return frozenset(self._of_inserts("begun").keys() - known)

    @property
    def left(self) -> int:
        """How many of them are not accounted for by a row."""
        return max(len(self.open) - len(self._words("seen") - self.answered), 0)

    @property
    def is_blind(self) -> bool:
        """Whether the LMS has named a row that no look has ever found."""
        return not self.answered <= self._words("seen")

    def began(self) -> datetime | None:
        """Return when the earliest insert that may still land began."""
        begun = self._moments("begun")
        return min((begun[one] for one in self.open), default=None)

    def _ends(self, call_s: float) -> list[datetime]:
        """Return when the call of each such insert ended, as far as is known."""
        if not self.left:
            return []
        begun, ended = self._moments("begun"), self._moments("ended")
        call = timedelta(seconds=call_s)
        return [ended[one] if one in ended else begun[one] + call for one in self.open]

    @property
    def leaving(self) -> frozenset[str]:
        """Rows whose removal may still land."""
        return frozenset(self._of_inserts("removing").keys() - self._words("removed"))

    def _removals(self, call_s: float) -> list[datetime]:
        begun, call = self._moments("removing"), timedelta(seconds=call_s)
        return [begun[name] + call for name in self.leaving]

    def settles_at(self, verify_s: float, call_s: float) -> datetime | None:
        """Return from when a look that finds nothing allows another insert."""
        ends = self._ends(call_s)
        return max(ends) + timedelta(seconds=verify_s) if ends else None

    def next_look(
        self, now: datetime, verify_s: float, call_s: float
    ) -> datetime | None:
        """
        Return when the LMS has to be looked at again, or None.

        `verify_s` after the end of each unaccounted insert and removal, then after four
        times as long each time, for the last time after a day.
        """
        ends = [*self._ends(call_s), *self._removals(call_s)]
        looks = [_after(end, now, verify_s) for end in ends]
        return min((look for look in looks if look is not None), default=None)


def _after(end: datetime, now: datetime, verify_s: float) -> datetime | None:
    """Return the first look after now at an insert that ended then."""
    if now >= end + LOOKED_FOR:
        return None
    wait = timedelta(seconds=max(verify_s, 1.0))
    while end + wait <= now:
        wait *= _WIDER
    return end + min(wait, LOOKED_FOR)


@attrs.frozen(kw_only=True)
class Judgement:
    """
    What a look at the LMS means.

    Attributes:
        pair: What is known after it.
        ours: Names of the rows that are ours by the evidence.
        keep: The row that stays, if one is wanted.
        remove: Our rows that are to be removed.
        stay: Our rows that are in further use, and stay: an operator decides.
        strange: Rows that can't be shown to be ours, and stay: an operator decides.
    """

    pair: Pair
    ours: frozenset[str]
    keep: LMSEnrollment | None
    remove: tuple[LMSEnrollment, ...] = ()
    stay: tuple[LMSEnrollment, ...] = ()
    strange: tuple[LMSEnrollment, ...] = ()

    def keep_all(self) -> Judgement:
        """Return the judgement for rows in use by other documents: remove none."""
        return attrs.evolve(self, remove=(), stay=(*self.stay, *self.remove))


def must_know_user(pair: Pair, rows: Sequence[LMSEnrollment]) -> bool:
    """Tell whether it matters which LMS user our key belongs to."""
    return pair.left > 0 and any(row.name not in pair.made for row in rows)


def judge_rows(
    pair: Pair,
    rows: Sequence[LMSEnrollment],
    *,
    wanted: bool,
    user: str = "",
    owned: Iterable[str] = (),
    named: Iterable[str] = (),
) -> Judgement:
    """
    Decide which rows are ours, which one to keep and which to remove.

    Args:
        pair: What is known.
        rows: What the look found.
        wanted: Whether there should be exactly one row, or none of ours.
        user: The LMS's name for our key's user, or "" if unknown.
        owned: Rows that our enrollments record as ours.
        named: Rows that our enrollments mention, ours or not.
    """
    owned, named = frozenset(owned), frozenset(named)
    after = _account(pair, rows, owned, user)
    ours = (owned | after.made) - (after.before - owned - after.answered)
    keep = None
    if wanted and rows:
        known = after.answered | named
        # A learner's progress counts most, then a row that an enrollment mentions.
        keep = min(
            rows, key=lambda r: (-r.progress, r.name not in known, r.creation, r.name)
        )
    others = [row for row in rows if row is not keep]
    mine = [row for row in others if row.name in ours]
    strange = [row for row in others if row.name not in ours]
    if not wanted:
        strange = [row for row in strange if after.left and _may_be(row, after, user)]
    return Judgement(
        pair=after,
        ours=ours,
        keep=keep,
        remove=tuple(row for row in mine if row.removable),
        stay=tuple(row for row in mine if not row.removable),
        strange=tuple(strange),
    )


def _account(
    pair: Pair, rows: Sequence[LMSEnrollment], owned: frozenset[str], user: str
) -> Pair:
    """
    Match rows with inserts, one to one.

    More rows than inserts prove nothing about any of them: then only those that our
    enrollments record as ours are matched.
    """
    after = pair.miss(pair.leaving - {row.name for row in rows})
    after = after.see(row.name for row in rows if row.name in pair.answered)
    new = [row for row in rows if row.name not in pair.made | pair.before]
    ours = [row.name for row in new if row.name in owned]
    after = after.see(ours[: after.left])
    plain = [
        row.name for row in new if row.name not in owned and _is_proof(row, after, user)
    ]
    return after.see(plain) if len(plain) <= after.left else after


def _is_proof(row: LMSEnrollment, pair: Pair, user: str) -> bool:
    """Tell whether, by all that it shows, only an insert of ours explains a row."""
    by_us = bool(user) and row.untouched and row.modified_by == user
    return by_us and row.removable and _follows(row, pair)


def _may_be(row: LMSEnrollment, pair: Pair, user: str) -> bool:
    """Tell whether an insert of ours may have created a row, without proof."""
    by_others = bool(user) and row.untouched and row.modified_by != user
    return not by_others and row.name not in pair.before and _follows(row, pair)


def _follows(row: LMSEnrollment, pair: Pair) -> bool:
    """Tell whether a row may have been created after our insert began."""
    began = pair.began()
    try:
        created = datetime.fromisoformat(row.creation)
    except ValueError:
        return False
    if created.tzinfo is None:
        created = created.replace(tzinfo=UTC) + _FURTHEST_ZONE
    return began is not None and created >= began


#: The fields of a sync job's `data` before schema 5 (MongoDB: 3).
_EARLIER = ("known_before", "inserted", "unclear_at")


def from_earlier(job: Job) -> Job:
    """
    Return a sync job with its earlier data turned into sets; sets stay unchanged.

    The earlier data was cleared with each completion and held one unclear insert at a
    time; what a try had created after losing its lease was in the payload.
    """
    data, payload = job.data, dict(job.payload or {})
    sets = {name: words for name, words in data.items() if name not in _EARLIER}
    inserted = [*(data.get("inserted") or ()), *payload.pop("suspects", ())]
    unclear_at = data.get("unclear_at")
    found: dict[str, list[str]] = {
        "before": list(data.get("known_before") or ()),
        "answered": [f"earlier-{name} {name}" for name in inserted],
        "begun": [f"earlier {unclear_at}"] if unclear_at else [],
    }
    known = united(sets, {name: words for name, words in found.items() if words})
    return attrs.evolve(
        job, data=known, payload=None if job.payload is None else payload
    )

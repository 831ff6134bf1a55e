# SPDX-License-Identifier: MIT
"""The promises at rest: what must be so once nothing goes wrong any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from simulation.actors import SPY, STRANGER
from simulation.world import COURSE, PARTNER, World, all_of

from frappe_enroll_sdk.ids import token_matches
from frappe_enroll_sdk.models import (
    Dispute,
    DisputeStatus,
    Enrollment,
    JobState,
    Override,
    SeatState,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.services.settle.decide_slot import (
    may_begin,
    may_promote,
    was_freed_by_money,
)
from frappe_enroll_sdk.states import ENTITLED, FINISHED, UNPAID, is_allowed
from frappe_enroll_sdk.stores.ledger import level_of, was_entitled
from frappe_enroll_sdk.stores.seats import FREE, seat_of
from frappe_enroll_sdk.stores.seats import all_of as all_seats_of


#: A kind of violation, and what was seen.
Violation = tuple[str, str]


#: Somebody who looks at a world.
Judge = Callable[[World], Iterable[Violation]]


def soon(world: World) -> Iterator[Violation]:
    """
    Nobody waits for long: an attempt that is not paid has ended (P8).

    But for a delayed payment: days may pass until it is known, and none ends by time.
    """
    for row in world.rows():
        waits = row.reason == "processing" and _is_foreign(world, row.session_id or "")
        if row.status in UNPAID and not waits:
            yield "stuck", f"{row.id} {row.status} {row.reason}"


def at_rest(world: World) -> list[Violation]:
    """Return what is not as promised once time alone has done its work."""
    rows = world.rows()
    parts = (
        _errors,
        _due,
        _histories,
        _seats,
        _slots,
        _access,
        _money,
        _pairs,
        _ledger,
        _identity,
        _beside,
    )
    return [found for part in parts for found in part(world, rows)]


def reconciled(world: World) -> list[Violation]:
    """Return the same, and what people have done in the LMS by hand."""
    return [*at_rest(world), *_by_hand(world)]


def _errors(world: World, _rows: list[Enrollment]) -> Iterator[Violation]:
    """Whatever happens is told by an error of ours."""
    for text in world.hub.unexpected:
        yield "unexpected", text


def _due(world: World, rows: list[Enrollment]) -> Iterator[Violation]:
    """Nothing waits for ever (P3, P8)."""
    for row in rows:
        if row.effects_owed or row.due_at is not None or row.status in UNPAID:
            yield "due", f"{row.id} {row.status} {row.due_at} {row.effects_owed}"
    storage = world.storage
    for store in (storage.jobs, storage.events):
        for job in all_of(store):
            if job.state not in FINISHED:
                yield "due", f"{job.key} {job.state} {job.due_at} {job.errors[-1:]}"
            elif job.state is JobState.DEAD:
                yield "dead", f"{job.key} {job.outcome} {job.errors[-1:]}"


def _histories(_world: World, rows: list[Enrollment]) -> Iterator[Violation]:
    """A history is legal, and without gaps (P2)."""
    for row in rows:
        versions = [entry.version for entry in row.history]
        if versions != list(range(1, row.version + 1)):
            yield "history", f"{row.id} {versions}"
        if row.history[-1].status is not row.status:
            yield "history", f"{row.id} ends with {row.history[-1].status}"
        for before, entry in zip(row.history, row.history[1:], strict=False):
            if not is_allowed(before.status, entry.status):
                yield "history", f"{row.id} {before.status} → {entry.status}"
        facts = Counter(entry.fact for entry in row.history)
        for fact in ("opened", "paid", "coupon_redeemed", "paid_late"):
            if facts[fact] > 1:
                yield "history", f"{row.id} {fact} {facts[fact]} times"


def _was_entitled(row: Enrollment) -> bool:
    return any(entry.status in ENTITLED for entry in row.history)


def _seats(world: World, rows: list[Enrollment]) -> Iterator[Violation]:
    """Seats stay within the limit, and are as the enrollments say (P1)."""
    store = world.storage.coupons
    for coupon in store.list(limit=1000).items:
        code = coupon.code
        taken = store.seats.each(all_seats_of(code))
        found = [seat_of(row) for row in taken if row.cells["state"] != FREE]
        seats = {seat.holder: seat for seat in found}
        if len(seats) > coupon.max_redemptions:
            yield "seats", f"{code} {len(seats)} > {coupon.max_redemptions}"
        users = {row.id: row for row in rows if row.coupon_code == code}
        for holder, seat in seats.items():
            if seat.state is SeatState.HELD and seat.until <= world.hub.now():
                # Whoever asks next has it: a held seat lapses by time alone.
                continue
            row = users.get(holder)
            spent = row is not None and ("code_spent", row.id) in world.told
            held = row is not None and row.status is Status.ON_HOLD
            loses = held and row.held_for == "paid_twice"
            if row is None or not (_was_entitled(row) or (held and not loses) or spent):
                yield "seats", f"{code} {seat.state} by {holder} {row and row.status}"
        for row in users.values():
            seat = seats.get(row.id)
            redeemed = seat is not None and seat.state is SeatState.REDEEMED
            honoured = any(("coupon_gone", row.id) == told for told in world.told)
            words = {"accepted_by_operator", "reinstated_by_operator", "promoted"}
            by_word = any(entry.fact in words for entry in row.history)
            if honoured and not by_word:
                yield "seats", f"{row.id} has lost its seat, and nobody took it"
            if row.status in ENTITLED and not redeemed and not honoured:
                yield "seats", f"{row.id} is {row.status} without its seat"


def _slots(_world: World, rows: list[Enrollment]) -> Iterator[Violation]:
    """One row of a learner and course has the slot, and one is entitled."""
    held = Counter((row.email, row.course_id) for row in rows if row.holds_slot)
    entitled = Counter(
        (row.email, row.course_id) for row in rows if row.status in ENTITLED
    )
    for what, counts in (("hold the slot", held), ("are entitled", entitled)):
        for pair, count in counts.items():
            if count > 1:
                yield "slots", f"{count} rows of {pair[0]} {what}"


def _access(world: World, rows: list[Enrollment]) -> Iterator[Violation]:
    """Nobody is in without a reason (P5)."""
    for row in rows:
        if row.status not in ENTITLED:
            continue
        if row.override in {Override.ACCEPTED, Override.REINSTATED}:
            continue
        if row.amount:
            session = world.payments.sessions.get(row.session_id or "")
            if session is None or not session.paid:
                yield "access", f"{row.id} is {row.status} and not paid"
        elif world.storage.coupons.find_seat(row.coupon_code or "", row.id) is None:
            yield "access", f"{row.id} is {row.status} without a coupon"


def _back(world: World, payment_id: str) -> int:
    refunds = world.payments.refunds.values()
    return sum(
        refund.amount.amount_minor
        for refund in refunds
        if refund.payment_id == payment_id and refund.counts
    )


def _money(world: World, rows: list[Enrollment]) -> Iterator[Violation]:
    """No money is silent: who paid is in, held, or had it back (P2, P7)."""
    by_id = {row.id: row for row in rows}
    waiting = {
        ((job.payload or {}).get("event") or {}).get("session_id")
        for job in all_of(world.storage.events)
        if job.state is JobState.QUARANTINED
    }
    kept: Counter[str] = Counter()
    for session in world.payments.sessions.values():
        if not session.paid or _is_foreign(world, session.id):
            continue
        row = by_id.get(session.enrollment_id or "")
        if row is None:
            yield "money", f"{session.id} is paid and has no enrollment"
            continue
        row, gone = _last_of(row, by_id), _is_gone(world, session)
        if row.payment_id != session.payment_id:
            if not gone and session.id not in waiting:
                yield "money", f"{session.id} is paid, {row.id} is not by it"
            continue
        kept[row.email] += row.status in ENTITLED and not gone
        wrong = _wrong_of(world, row, gone=gone)
        if wrong:
            yield "money", f"{session.id} is paid, {row.id} {row.status}: {wrong}"
        if row.override in {Override.DISMISSED, Override.REVOKED}:
            # A word took the right away: what went back changes nothing.
            continue
        if row.refunded_minor != _refunded(world, session):
            yield "money", f"{row.id} knows of {row.refunded_minor} given back"
    for email, count in kept.items():
        if count > 1:
            yield "money", f"{email} paid {count} times without a word"


def _is_foreign(world: World, session_id: str) -> bool:
    """Tell whether a session was made under another account, by a wrong key."""
    here = world.payments.account, world.payments.livemode
    return world.payments._made_under.get(session_id, here) != here


def _disputes(world: World, payment_id: str) -> list[Dispute]:
    every = world.payments.disputes.values()
    return [dispute for dispute in every if dispute.payment_id == payment_id]


def _is_gone(world: World, session) -> bool:
    """Tell whether the money of a session is not ours any more."""
    back = _back(world, session.payment_id) >= session.amount.amount_minor
    disputes = _disputes(world, session.payment_id)
    return back or any(d.status is DisputeStatus.LOST for d in disputes)


def _wrong_of(world: World, row: Enrollment, *, gone: bool) -> str | None:
    """Name what is wrong with the status of a row that was paid, or None."""
    if row.status in ENTITLED:
        honoured = row.override is Override.REINSTATED
        return "given back" if gone and not honoured else None
    if row.status is Status.ON_HOLD:
        told = row.held_for is None or (row.held_for, row.id) in world.told
        return None if told else f"nobody was told of {row.held_for}"
    if gone:
        return None
    words = {Override.REVOKED, Override.DISMISSED}
    return None if row.override in words else "stays paid, and nobody said so"


def _refunded(world: World, session) -> int:
    prevented = [
        d
        for d in _disputes(world, session.payment_id)
        if d.status is DisputeStatus.PREVENTED
    ]
    return _back(world, session.payment_id) + sum(
        d.amount.amount_minor for d in prevented
    )


def _last_of(row: Enrollment, by_id: dict[str, Enrollment]) -> Enrollment:
    """Return who holds the right of an enrollment now."""
    while row.moved_to is not None and row.moved_to in by_id:
        row = by_id[row.moved_to]
    return row


def _pairs(world: World, rows: list[Enrollment]) -> Iterator[Violation]:
    """The LMS holds one row of each entitled pair, none of ours else (P3, P4)."""
    entitled = {row.email: row for row in rows if row.status in ENTITLED}
    gone = world.foreign - world.lms.rows.keys()
    if gone:
        yield "lms_foreign", f"{sorted(gone)} were removed and are not ours"
    people = {row.email for row in rows} | {
        row.learner for row in world.lms.rows.values()
    }
    for email in sorted(people):
        found = [row.name for row in world.lms.rows_of(email, COURSE)]
        ours = [name for name in found if name not in world.foreign]
        foreign = [name for name in found if name in world.foreign]
        row = entitled.get(email)
        if row is None:
            if ours:
                yield "lms_left", f"{email} has {ours} and no right"
            continue
        if row.status is Status.CONFIRMED:
            yield "lms_behind", f"{row.id} is confirmed, the LMS has {found}"
        if not found:
            yield "lms_none", f"{row.id} is {row.status}, the LMS has no row"
        if len(ours) > 1:
            yield "lms_double", f"{email} has {ours} (and {foreign})"
        if foreign and not ours and row.amount and not row.history[0].detail:
            told = ("paid_but_already_enrolled", row.id) in world.told
            if not told:
                yield "money", f"{row.id} was paid and had {foreign}: nobody was told"


def _by_hand(world: World) -> Iterator[Violation]:
    """Somebody hears of a row that is not ours beside one that is (P4)."""
    for email in sorted({row.learner for row in world.lms.rows.values()}):
        found = {row.name for row in world.lms.rows_of(email, COURSE)}
        told = any(code.startswith("lms_") for code, _ in world.told)
        if found & world.foreign and found - world.foreign and not told:
            yield "lms_silent", f"{email} has {sorted(found)}: nobody was told"


def _ledger(world: World, rows: list[Enrollment]) -> Iterator[Violation]:
    """The ledger is a chain, and its sums are those of the facts."""
    store = world.storage.affiliates
    for affiliate in filter(None, map(store.find, (PARTNER, SPY))):
        chain = store.list_rows(affiliate.code, limit=1000).items
        if [row.n for row in chain] != list(range(1, len(chain) + 1)):
            yield "ledger", f"{[row.n for row in chain]}"
        for row in rows:
            known = store.rows_of(affiliate.code, row.id)
            net = sum(one.held_minor + one.available_minor for one in known)
            mine = row.affiliate == affiliate.code and was_entitled(row)
            due = level_of(row, affiliate.percent) if mine else 0
            if net != due:
                yield "ledger", f"{row.id} {row.status}: {net} written, {due} due"


def _identity(world: World, rows: list[Enrollment]) -> Iterator[Violation]:
    """What a stranger says under a learner's address stays with his attempt (P7)."""
    for text in world.wrong:
        yield "identity", text
    for row in rows:
        if row.id not in world.opened:
            continue
        token, whose, terms = world.opened[row.id]
        if row.affiliate != terms.get("affiliate"):
            yield "identity", f"{row.id} of {whose} has come by {row.affiliate}"
        if row.full_name not in {None, terms["full_name"]}:
            yield "identity", f"{row.id} of {whose} is called {row.full_name}"
        if not token_matches(token, row.token_hash):
            yield "identity", f"{row.id} of {whose} has another token"
    for email, user in world.lms.users.items():
        if user.full_name == STRANGER:
            own = [row for row in rows if row.email == email and _was_entitled(row)]
            if not any(row.payment_id and row.full_name == STRANGER for row in own):
                yield "identity", f"the LMS calls {email} {user.full_name}"


def _beside(world: World, rows: list[Enrollment]) -> Iterator[Violation]:
    """Who pays beside another has the free slot, or the money back, once (P7)."""
    made = [r for key, r in world.payments.refunds.items() if ":back:" in key]
    for payment_id, count in Counter(one.payment_id for one in made).items():
        if count > 1:
            yield "back", f"{payment_id} was given back {count} times by itself"
    for session in world.payments.sessions.values():
        if session.payment_id and session.amount:
            if _back(world, session.payment_id) > session.amount.amount_minor:
                yield "back", f"{session.id} was given back twice"
    yield from _promoted(rows)
    policy = world.calm()._services.context.settle_policy
    entitled = {row.email for row in rows if row.status in ENTITLED}
    for row in rows:
        mine = [one for one in rows if one.email == row.email]
        if row.email in entitled:
            every = world.payments.refunds.values()
            known = [one for one in every if one.payment_id == row.payment_id]
            fresh = row.refund_begun_at is None
            if fresh and may_begin(row, known, world.hub.now(), policy):
                yield "back", f"{row.id} is held, and nobody gives it back"
        elif may_promote(row) and was_freed_by_money(mine):
            yield "promote", f"{row.id} is held, and the slot is free"


def _periods(row: Enrollment) -> Iterator[tuple[datetime, datetime | None, str]]:
    """Yield from when until when a row was entitled, and what ended it."""
    began = None
    for entry in row.history:
        if began is None and entry.status in ENTITLED:
            began = entry.at
        elif began is not None and entry.status not in ENTITLED:
            yield began, entry.at, entry.fact
            began = None
    if began is not None:
        yield began, None, ""


def _promoted(rows: list[Enrollment]) -> Iterator[Violation]:
    """A held payment lost to a right, not to a claim, and follows money, not a word."""
    by_id = {row.id: row for row in rows}
    for row in rows:
        for entry in row.history:
            other = by_id.get(entry.detail.get("other", ""))
            if entry.fact == "paid_twice" and other and not _was_entitled(other):
                yield "claims", f"{row.id} is held for {other.id}, a mere claim"
            if entry.fact != "promoted":
                continue
            left = [
                (end, fact)
                for one in rows
                if one.email == row.email and one.id != row.id
                for _, end, fact in _periods(one)
                if end is not None and end <= entry.at
            ]
            if not left or max(left)[1].endswith("_by_operator"):
                yield "promote", f"{row.id} was promoted, and no money had gone"


def waits(world: World) -> bool:
    """Tell whether a payment is still under way."""
    return any(
        s.status is SessionStatus.COMPLETE and not s.paid and not s.payment_failed
        for s in world.payments.sessions.values()
    )

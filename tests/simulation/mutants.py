# SPDX-License-Identifier: MIT
"""
Broken promises: each mutant takes one line out of the code, and has to be found.

A mutant that no history finds says that the simulator plays past that promise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import attrs
from simulation.play import Run, run

from frappe_enroll_sdk.models import Enrollment, RefundStatus, Status
from frappe_enroll_sdk.services import checkout
from frappe_enroll_sdk.services.jobs import runner
from frappe_enroll_sdk.services.lms import sync
from frappe_enroll_sdk.services.settle import (
    beside,
    decide,
    decide_money,
    effects,
    settle,
)
from frappe_enroll_sdk.services.settle.effects import EffectKind
from frappe_enroll_sdk.stores import queue
from frappe_enroll_sdk.stores.enrollments import Enrollments


Patch = tuple[Any, str, Any]


def _without(kind: EffectKind) -> Patch:
    """Let one kind of effect be forgotten."""

    def effects_of(row):
        return tuple(e for e in effects.effects_of(row) if e.kind is not kind)

    return settle, "effects_of", effects_of


def _unfenced() -> Patch:
    """decide: between reserve and redeem the row is not written."""
    known = decide._advance_with_coupon

    def advance(row, facts, policy):
        if facts.reservation is not None and facts.reservation.seat is not None:
            facts = attrs.evolve(facts, fenced=True)
        return known(row, facts, policy)

    return decide, "_advance_with_coupon", advance


def _late_payment_lost() -> Patch:
    """decide: money that reaches an ended attempt is not looked at."""
    known = decide._decide_exit

    def at_exit(row, facts, policy):
        return known(row, attrs.evolve(facts, wish=decide.Wish.DUE), policy)

    return decide, "_decide_exit", at_exit


def _refunds_forgotten() -> Patch:
    """decide: a refund in full takes no right away."""
    known = decide_money.sums_of

    def sums_of(refunds, disputes, currency):
        return known((), disputes, currency)

    return decide_money, "sums_of", sums_of


def _unbound() -> Patch:
    """decide: the seat of somebody who is sent to pay is not bound."""
    known = decide._use_seat

    def use(row, facts, policy):
        return known(row, attrs.evolve(facts, bound=True), policy)

    return decide, "_use_seat", use


def _failed_refund_counts() -> Patch:
    """decide: a refund that has failed after all counts as given back."""
    known = decide_money.sums_of

    def sums_of(refunds, disputes, currency):
        done = [attrs.evolve(r, status=RefundStatus.SUCCEEDED) for r in refunds]
        return known(done, disputes, currency)

    return decide_money, "sums_of", sums_of


def _no_first_look() -> Patch:
    """sync: a try inserts without looking first."""
    known = sync._Run._find

    def find(self):
        return known(self) if self._claim.made else ()

    return sync._Run, "_find", find


def _nothing_removed() -> Patch:
    """sync: a row stays after its right is gone."""
    return sync._Run, "_delete", lambda self, row: None


def _seq_ignored() -> Patch:
    """queue: news that comes while a job runs is taken for done with it."""
    known = queue.completed

    def completed(job, end, now):
        return known(job, attrs.evolve(end, seq=job.seq), now)

    return queue, "completed", completed


def _not_revived() -> Patch:
    """queue: news of a job that has ended does not make it due again."""
    known = queue.enqueued

    def enqueued(job, payload, due_at, now):
        ended = job.state is queue.JobState.DONE
        return job if ended else known(job, payload, due_at, now)

    return queue, "enqueued", enqueued


def _no_compare() -> Patch:
    """settle: a write does not compare the version."""
    known = Enrollments.transition

    def transition(self, enrollment_id, version, *args):
        row = self.find(enrollment_id)
        return known(self, enrollment_id, row.version if row else version, *args)

    return Enrollments, "transition", transition


def _effects_not_redone() -> Patch:
    """settle: what a dead writer owed is not done by the next reader."""

    def read(self, enrollment_id):
        return self._context.storage.enrollments.find(enrollment_id)

    return settle.Settle, "_read", read


def _lost_try_done() -> Patch:
    """queue: a try whose store failed is taken for done."""
    known = runner.Runner._try

    def one_try(self, claim):
        verdict = known(self, claim)
        if verdict.end == "retry":
            return attrs.evolve(verdict, end=runner.End.DONE, code="done")
        return verdict

    return runner.Runner, "_try", one_try


def _no_slot() -> Patch:
    """stores: no row has a slot, so none is taken."""
    return Enrollment, "holds_slot", property(lambda self: False)


def _claims_count() -> Patch:
    """decide: a mere claim keeps the slot from money."""
    known = decide._lose

    def lose(row, facts, policy, write, holder):
        holder = attrs.evolve(holder, status=Status.CONFIRMED)
        return known(row, facts, policy, write, holder)

    return decide, "_lose", lose


def _anybody_resumes() -> Patch:
    """checkout: whoever names the address goes on with what there is."""
    known = checkout.Checkouts._own

    def own(self, request):
        store = self._context.storage.enrollments
        rows = store.list_unpaid(request.email, request.course_id, limit=1)
        return known(self, request) or next(iter(rows), None)

    return checkout.Checkouts, "_own", own


def _strangers_name() -> Patch:
    """checkout: a stranger's name reaches the LMS by a public code."""
    known = checkout.Checkouts._new_row

    def new_row(self, *args, public):
        return known(self, *args, public=False)

    return checkout.Checkouts, "_new_row", new_row


def _always_promoted() -> Patch:
    """beside: a held payment follows an operator's word, too."""
    return beside, "was_freed_by_money", lambda rows: True


def _never_promoted() -> Patch:
    """beside: nobody follows money that has gone."""
    return beside, "was_freed_by_money", lambda rows: False


def _seat_kept() -> Patch:
    """effects: whoever is held beside another keeps the seat."""
    return effects, "TAKEN", frozenset()


#: Name → what it takes out.
MUTANTS: dict[str, Callable[[], Patch]] = {
    "decide: no write between reserve and redeem": _unfenced,
    "decide: late payments unseen": _late_payment_lost,
    "decide: refunds forgotten": _refunds_forgotten,
    "decide: seats of payers unbound": _unbound,
    "decide: failed refunds count": _failed_refund_counts,
    "sync: no look before the insert": _no_first_look,
    "sync: nothing is removed": _nothing_removed,
    "queue: news of a running job lost": _seq_ignored,
    "queue: a job that ended is not revived": _not_revived,
    "queue: a failed try is done": _lost_try_done,
    "stores: the slot is not unique": _no_slot,
    "decide: a claim holds the slot": _claims_count,
    "effects: a loser keeps the seat": _seat_kept,
    "beside: words promote": _always_promoted,
    "beside: nobody is promoted": _never_promoted,
    "checkout: anybody resumes": _anybody_resumes,
    "checkout: a stranger's name": _strangers_name,
    "settle: no pair is owed": lambda: _without(EffectKind.PAIR),
    "settle: no sync is owed": lambda: _without(EffectKind.SYNC),
    "settle: no seat is released": lambda: _without(EffectKind.RELEASE),
    "settle: writes compare no version": _no_compare,
    "settle: owed effects are not done again": _effects_not_redone,
}

#: Those that only several things in a row bring to light: minutes of one core.
RARE = frozenset({"decide: a claim holds the slot"})
#: Where a hunt begins that has no minutes. Look for it anew (``--mutants``) when the
#: histories have changed.
SEEDS = {
    "decide: no write between reserve and redeem": 1771,
    "decide: seats of payers unbound": 896,
    "checkout: anybody resumes": 389,
}


@contextmanager
def broken(name: str) -> Iterator[None]:
    """Break one promise."""
    target, attribute, value = MUTANTS[name]()
    known = target.__dict__[attribute]
    setattr(target, attribute, value)
    try:
        yield
    finally:
        setattr(target, attribute, known)


def hunt(name: str, *, first: int = 1, seconds: float = 60.0) -> tuple[Run, float]:
    """
    Look for a mutant; return what was played, and how many seconds of CPU it took.

    What the whole code breaks, too, says nothing of the mutant.
    """
    began, total, seeds = time.process_time(), Run(), count(first)
    while time.process_time() - began < seconds:
        with broken(name):
            part = run(seeds, seconds=seconds, most_found=1)
        total.histories += part.histories
        if part.found and not run([part.found[0].seed]).found:
            total.found = part.found
            break
    return total, time.process_time() - began

# SPDX-License-Identifier: MIT
"""
The scenarios of the demo and what each must leave in all three systems.

Each scenario returns (expected, observed); what was observed comes from the store, the
provider and the LMS, never from answers alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from frappe_enroll_sandbox import sign
from frappe_enroll_sdk.money import Money

from .stage import COURSE, WEBHOOK_SECRET, Stage, call


Facts = dict[str, Any]
Say = Callable[[str], None]
Scenario = Callable[[Stage, Say], tuple[Facts, Facts]]

_RACERS, _COPIES = 50, 20


def _seen(stage: Stage, email: str, enrollment_id: str) -> Facts:
    """Return the state of one enrollment in all three systems."""
    row = stage.sdk.enrollments.get(enrollment_id)
    session = stage.stripe.account.sessions.get(row.session_id or "")
    return {
        "enrollment": str(row.status),
        "session": session["payment_status"] if session else None,
        "lms_rows": stage.lms_rows(email),
    }


def paid_enrollment(stage: Stage, say: Say) -> tuple[Facts, Facts]:
    """Pay for a course and be enrolled."""
    answer = stage.checkout("ada@example.com").body
    say(f"checkout: {Money(**answer['amount'])}, to pay at {answer['payment_url']}")
    stage.press_pay(answer["payment_url"])
    say("the learner pays; Stripe delivers the signed webhook")
    stage.wait_status(answer["enrollment_id"], "enrolled")
    expected = {"enrollment": "enrolled", "session": "paid", "lms_rows": 1}
    return expected, _seen(stage, "ada@example.com", answer["enrollment_id"])


def full_grant(stage: Stage, say: Say) -> tuple[Facts, Facts]:
    """Use a 100 % coupon and be enrolled at once, without a payment."""
    code = stage.sdk.coupons.create(100, COURSE).code
    answer = stage.checkout("grace@example.com", code).body
    say(f"a full grant is redeemed: {answer['status']} without a payment")
    stage.wait_status(answer["enrollment_id"], "enrolled")
    coupon = stage.sdk.coupons.get(code)
    seen = _seen(stage, "grace@example.com", answer["enrollment_id"])
    expected = {"enrollment": "enrolled", "session": None, "lms_rows": 1, "redeemed": 1}
    return expected, seen | {"redeemed": coupon.redeemed}


def partial_grant(stage: Stage, say: Say) -> tuple[Facts, Facts]:
    """Use a 40 % coupon, pay the rest and be enrolled."""
    code = stage.sdk.coupons.create(40, COURSE).code
    answer = stage.checkout("edsger@example.com", code).body
    off, price, due = (Money(**answer[n]) for n in ("discount", "price", "amount"))
    say(f"40 % off: {off} off {price}, {due} due")
    stage.press_pay(answer["payment_url"])
    stage.wait_status(answer["enrollment_id"], "enrolled")
    seen = _seen(stage, "edsger@example.com", answer["enrollment_id"])
    paid = [
        s
        for s in stage.stripe.account.sessions.values()
        if s["client_reference_id"] == answer["enrollment_id"]
    ]
    expected = {
        "enrollment": "enrolled",
        "session": "paid",
        "lms_rows": 1,
        "paid_minor": 2940,
        "redeemed": 1,
    }
    observed = seen | {
        "paid_minor": paid[0]["amount_total"],
        "redeemed": stage.sdk.coupons.get(code).redeemed,
    }
    return expected, observed


def race_for_one_code(stage: Stage, say: Say) -> tuple[Facts, Facts]:
    """Let 50 learners race for one code: one wins, 49 get a clear refusal."""
    code = stage.sdk.coupons.create(100, COURSE).code
    emails = [f"racer{n}@example.com" for n in range(_RACERS)]
    with ThreadPoolExecutor(_RACERS) as pool:
        answers = list(pool.map(lambda email: stage.checkout(email, code), emails))
    statuses = Counter(answer.status for answer in answers)
    summary = ", ".join(f"{count} × {status}" for status, count in statuses.items())
    say(f"{_RACERS} learners at once: {summary}")
    coupon = stage.sdk.coupons.get(code)
    winners = [a.body["enrollment_id"] for a in answers if a.status == 201]  # noqa: PLR2004
    for winner in winners:
        stage.wait_status(winner, "enrolled")
    rows = sum(stage.lms_rows(email) for email in emails)
    return (
        {"won": 1, "refused_409": _RACERS - 1, "redeemed": 1, "held": 0, "lms_rows": 1},
        {
            "won": statuses[201],
            "refused_409": statuses[409],
            "redeemed": coupon.redeemed,
            "held": coupon.reserved,
            "lms_rows": rows,
        },
    )


def same_event_in_parallel(stage: Stage, say: Say) -> tuple[Facts, Facts]:
    """Deliver one event 20 times at once: it takes effect once, every answer is 2xx."""
    answer = stage.checkout("barbara@example.com").body
    stage.stripe.webhooks.held = True
    stage.press_pay(answer["payment_url"])
    stage.stripe.webhooks.drop()
    stage.stripe.webhooks.held = False
    event = next(reversed(stage.stripe.account.events.values()))
    body = json.dumps(event).encode()
    header = sign(body, WEBHOOK_SECRET, int(stage.clock.now().timestamp()))
    with ThreadPoolExecutor(_COPIES) as pool:
        answers = list(
            pool.map(
                lambda _: stage.post("/webhooks/stripe", body, Stripe_Signature=header),
                range(_COPIES),
            )
        )
    outcomes = Counter(a.body["outcome"] for a in answers)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    say(f"one event, {_COPIES} deliveries at once: {summary}")
    stage.wait_status(answer["enrollment_id"], "enrolled")
    history = stage.sdk.enrollments.history(answer["enrollment_id"])
    seen = _seen(stage, "barbara@example.com", answer["enrollment_id"])
    expected = {
        "enrollment": "enrolled",
        "session": "paid",
        "lms_rows": 1,
        "answers_2xx": _COPIES,
        "times_confirmed": 1,
    }
    observed = seen | {
        "answers_2xx": sum(a.status == 200 for a in answers),  # noqa: PLR2004
        "times_confirmed": sum(e.fact == "paid" for e in history),
    }
    return expected, observed


def forged_event(stage: Stage, say: Say) -> tuple[Facts, Facts]:
    """Forge a payment: a wrong signature, then a valid one with a wrong amount."""
    answer = stage.checkout("mallory@example.com").body
    row = stage.sdk.enrollments.get(answer["enrollment_id"])
    forged = stage.stripe.account.sessions[row.session_id or ""]
    fields = {k: v for k, v in forged.items() if not k.startswith("_")} | {
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": "pi_forged",
        "amount_total": 1,
    }
    event = {
        "id": "evt_forged",
        "object": "event",
        "type": "checkout.session.completed",
        "created": int(stage.clock.now().timestamp()),
        "livemode": False,
        "data": {"object": fields},
    }
    body = json.dumps(event).encode()
    now_s = int(stage.clock.now().timestamp())
    wrong = sign(body, "whsec_not_the_secret", now_s)
    first = stage.post("/webhooks/stripe", body, Stripe_Signature=wrong)
    right = sign(body, WEBHOOK_SECRET, now_s)
    second = stage.post("/webhooks/stripe", body, Stripe_Signature=right)
    # The worker may have claimed it before the request that delivered it.
    stage.wait_status(answer["enrollment_id"], "on_hold")
    stage.wait(lambda: _event_state(stage, "evt_forged") == "quarantined")
    kept = _event_state(stage, "evt_forged")
    say(f"wrong signature: {first.status}; amount of 0.01: {second.status}, {kept}")
    expected = {
        "forged_status": 400,
        "mismatch": "quarantined",
        "enrollment": "on_hold",
        "lms_rows": 0,
    }
    observed = {
        "forged_status": first.status,
        "mismatch": kept,
        "enrollment": stage.status(answer["enrollment_id"]),
        "lms_rows": stage.lms_rows("mallory@example.com"),
    }
    return expected, observed


def _event_state(stage: Stage, event_id: str) -> str | None:
    event = stage.sdk.storage.events.find(event_id)
    return str(event.state) if event else None


def lms_outage(stage: Stage, say: Say) -> tuple[Facts, Facts]:
    """Take the LMS down while a learner pays, then bring it back."""
    answer = stage.checkout("radia@example.com").body
    stage.lms.stop()
    say("the LMS goes down; the learner pays")
    stage.press_pay(answer["payment_url"])
    during = stage.wait_status(answer["enrollment_id"], "confirmed")
    owed = stage.lms_rows("radia@example.com")
    # If it came back too early, the ping after the failed attempt would succeed.
    stage.wait(lambda: not stage.sdk.storage.gates.is_open("lms"))
    stage.lms.start()
    stage.clock.advance(120)
    say("the LMS is back; the clock is moved forward by two minutes")
    stage.wait_status(answer["enrollment_id"], "enrolled")
    seen = _seen(stage, "radia@example.com", answer["enrollment_id"])
    expected = {
        "enrollment": "enrolled",
        "session": "paid",
        "lms_rows": 1,
        "during": "confirmed",
        "lms_rows_during": 0,
    }
    return expected, seen | {"during": during, "lms_rows_during": owed}


def killed_process(stage: Stage, say: Say) -> tuple[Facts, Facts]:
    """Kill a process between payment and enrollment; time alone recovers the work."""
    answer = stage.checkout("margaret@example.com").body
    # Nobody may take over the victim's work before it is dead.
    stage.stop_worker()
    victim = stage.start_process()
    try:
        # The LMS writes the row, but its answer never arrives.
        fault = stage.lms.fail_next(
            "POST .*Enrollment", "commit_then_timeout", seconds=30
        )
        stage.stripe.webhooks.held = True
        stage.press_pay(answer["payment_url"])
        stage.stripe.webhooks.drop()
        stage.stripe.webhooks.held = False
        event = next(reversed(stage.stripe.account.events.values()))
        body = json.dumps(event).encode()
        header = sign(body, WEBHOOK_SECRET, int(stage.clock.now().timestamp()))
        url = f"{victim.url}/webhooks/stripe"
        headers = {"Stripe-Signature": header}
        with ThreadPoolExecutor(1) as pool:
            delivery = pool.submit(_deliver_quietly, url, body, headers)
            stage.wait(
                lambda: fault.seen > 0 and stage.lms_rows("margaret@example.com") > 0
            )
            before = stage.status(answer["enrollment_id"])
            code = victim.kill()
            stage.lms.heal()
            delivery.result(30)
    finally:
        if victim.process.poll() is None:
            victim.kill()
    say(f"the process was killed (exit {code}) while the row was {before}")
    stage.clock.advance(400)
    stage.start_worker()
    say("the clock is moved past the lease; the worker takes over and looks first")
    stage.wait_status(answer["enrollment_id"], "enrolled")
    seen = _seen(stage, "margaret@example.com", answer["enrollment_id"])
    expected = {
        "enrollment": "enrolled",
        "session": "paid",
        "lms_rows": 1,
        "at_death": "confirmed",
    }
    return expected, seen | {"at_death": before}


def _deliver_quietly(url: str, body: bytes, headers: dict[str, str]) -> None:
    try:
        call(url, body, headers)
    except OSError:
        # The server was killed, so no answer is expected.
        return


SCENARIOS: list[tuple[str, Scenario]] = [
    ("paid enrollment", paid_enrollment),
    ("full grant", full_grant),
    ("partial grant, paid", partial_grant),
    ("50 learners race for one code", race_for_one_code),
    ("one event delivered 20 times at once", same_event_in_parallel),
    ("forged event", forged_event),
    ("LMS outage and recovery", lms_outage),
    ("process killed between payment and enrollment", killed_process),
]

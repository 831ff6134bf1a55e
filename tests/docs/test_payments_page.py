# SPDX-License-Identifier: MIT
"""The table of payment events says what the plugin does with each of them."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from frappe_enroll_sdk.models import Fact
from frappe_enroll_stripe import records


PAGE = Path(__file__).parents[2] / "docs" / "payments.md"
#: Words of the page's column of actions, for each fact.
WORDS = {
    Fact.PAID: "confirms",
    Fact.FAILED: "ends the attempt as `failed`",
    Fact.EXPIRED: "ends the attempt of that very session",
    Fact.REFUNDED: "lists the payment's refunds and disputes again",
    Fact.DISPUTED: "the same",
    Fact.FLAGGED: "alert, a line in the audit trail; holds",
    Fact.NOTED: "a line in the audit trail",
}
FACTS = records._SESSION_FACTS | records._PAYMENT_FACTS
#: What Stripe's facts ask for, by their own rows, in the words of the code.
ASKED = {
    "checkout.session.completed": Fact.PAID,
    "checkout.session.async_payment_succeeded": Fact.PAID,
    "checkout.session.async_payment_failed": Fact.FAILED,
    "checkout.session.expired": Fact.EXPIRED,
    "payment_intent.succeeded": Fact.NOTED,
    "charge.refunded": Fact.REFUNDED,
    "refund.created": Fact.REFUNDED,
    "charge.dispute.created": Fact.DISPUTED,
    "charge.dispute.funds_withdrawn": Fact.NOTED,
    "radar.early_fraud_warning.created": Fact.FLAGGED,
}


def documented():
    """Return the page's rows: the events of each, and what it does."""
    text = PAGE.read_text(encoding="utf-8")
    block = re.search(r"\| Event \|.*?\n\|[-|]+\n((?:\|.*\n)+)", text)[1]
    for line in block.splitlines():
        events, action = line.strip("| ").split(" | ", 1)
        yield re.findall(r"`([a-z_.]+)`", events), action


def spelled_out(cell):
    """Return the types of a cell like ``charge.dispute.created/updated/closed``."""
    found, stem = [], ""
    for word in re.split(r"\s*[,/]\s*", cell.strip()):
        name = word if "." in word else f"{stem}.{word}"
        stem = name.rpartition(".")[0]
        found.append(name)
    return found


def test_every_event_is_documented_with_its_action():
    """No event of the code is left out, none is made up, each row says its action."""
    said = defaultdict(set)
    for events, action in documented():
        for event in events:
            assert event in FACTS, event
            assert action.startswith(WORDS[FACTS[event]]) or (
                event == "checkout.session.completed"
                and action.startswith("paid: confirms. Unpaid")
            ), (event, action)
            said[event].add(action)
    assert set(said) == set(FACTS)
    assert all(len(actions) == 1 for actions in said.values())


def test_every_event_of_the_provider_has_its_action(shared_data):
    """Each type of the written-down facts does what its row asks for."""
    text = (shared_data / "facts/stripe.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z_]+\.[^|]+?) \| ", text, re.MULTILINE)
    types = [spelled_out(row) for row in rows]
    assert len(types) == 10
    assert {row[0] for row in types} == set(ASKED)
    for row in types:
        for name in row:
            wanted = ASKED[row[0]]
            # What ended is no new flag: the trail tells how.
            wanted = Fact.NOTED if name == "review.closed" else wanted
            assert FACTS[name] is wanted, name


@pytest.mark.parametrize("kind", ["charge.captured", "customer.created", "nonsense"])
def test_other_events_are_nothing_to_us(kind):
    """Anything else has no fact, so that it is counted and ignored."""
    inner = {"id": "x_1", "object": "charge", "payment_intent": "pi_1"}
    event = {"id": "evt_1", "type": kind, "created": 1, "data": {"object": inner}}
    assert records.event_of(event).fact is None

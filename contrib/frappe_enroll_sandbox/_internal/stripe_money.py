# SPDX-License-Identifier: MIT
"""Refunds, disputes and fraud warnings of a sandbox account, without HTTP."""

from __future__ import annotations

import abc
import threading
from typing import Any, NoReturn

import attrs

from . import stripe_objects as objects


Json = dict[str, Any]


@attrs.define
class StripeRefusal(Exception):
    """An error in Stripe's format."""

    status: int
    type: str
    message: str
    code: str | None = None
    param: str | None = None


def invalid(
    message: str, param: str | None = None, code: str | None = None
) -> NoReturn:
    """Raise an invalid_request_error."""
    raise StripeRefusal(400, "invalid_request_error", message, code, param)


class Money(abc.ABC):
    """Changes to completed payments. Thread-safe."""

    lock: threading.RLock
    payments: dict[str, Json]
    refunds: dict[str, Json]
    disputes: dict[str, Json]
    others: dict[str, Json]

    @abc.abstractmethod
    def now_s(self) -> int:
        """Return the time in whole seconds, as Stripe does."""

    @abc.abstractmethod
    def emit(self, kind: str, inner: Json) -> Json:
        """Create the event of a change and pass it on."""

    @abc.abstractmethod
    def _id(self, prefix: str) -> str: ...

    def refund(
        self, payment_id: str, amount: int | None = None, status: str = "succeeded"
    ) -> Json:
        """Refund a payment; events ``refund.created`` and ``charge.refunded``."""
        with self.lock:
            payment = self._payment(payment_id)
            left = payment["amount"] - self.refunded(payment_id)
            amount = left if amount is None else amount
            if not 0 < amount <= left:
                invalid("Refund amount is greater than unrefunded amount.", "amount")
            refund = objects.refund(
                payment,
                id=self._id("re"),
                amount=amount,
                status=status,
                created=self.now_s(),
            )
            self.refunds[refund["id"]] = refund
            self.emit("refund.created", dict(refund))
            self.emit("charge.refunded", self._charge(payment))
            return refund

    def fail_refund(self, refund_id: str) -> Json:
        """Make a refund fail; event ``refund.failed``."""
        with self.lock:
            self.refunds[refund_id]["status"] = "failed"
            return self.emit("refund.failed", dict(self.refunds[refund_id]))

    def _payment(self, payment_id: str) -> Json:
        payment = self.payments.get(payment_id)
        if payment is None:
            invalid(f"No such payment_intent: '{payment_id}'", "payment_intent")
        return payment

    def dispute(self, payment_id: str, status: str = "needs_response") -> Json:
        """Dispute a payment; events ``charge.dispute.created`` and the withdrawal."""
        with self.lock:
            payment = self._payment(payment_id)
            dispute = objects.dispute(
                payment, id=self._id("dp"), status=status, created=self.now_s()
            )
            self.disputes[dispute["id"]] = dispute
            self.emit("charge.dispute.created", dict(dispute))
            if not status.startswith("warning"):
                self.emit("charge.dispute.funds_withdrawn", dict(dispute))
            return dispute

    def move_dispute(self, dispute_id: str, status: str) -> Json:
        """Advance or close a dispute."""
        with self.lock:
            dispute = self.disputes[dispute_id]
            dispute["status"] = status
            ends = {"won", "lost", "warning_closed", "prevented"}
            word = "closed" if status in ends else "updated"
            event = self.emit(f"charge.dispute.{word}", dict(dispute))
            if status == "won":
                self.emit("charge.dispute.funds_reinstated", dict(dispute))
            return event

    def warn(self, payment_id: str) -> Json:
        """Send an early fraud warning about a payment."""
        with self.lock:
            payment = self._payment(payment_id)
            warning = {
                "id": self._id("issfr"),
                "object": "radar.early_fraud_warning",
                "actionable": True,
                "charge": payment["latest_charge"],
                "payment_intent": payment_id,
                "fraud_type": "misc",
                "created": self.now_s(),
                "livemode": False,
            }
            self.others[warning["id"]] = warning
            return self.emit("radar.early_fraud_warning.created", warning)

    def review(self, payment_id: str) -> Json:
        """Place a payment in review, as a Radar rule does; return the review."""
        with self.lock:
            payment = self._payment(payment_id)
            review = {
                "id": self._id("prv"),
                "object": "review",
                "charge": payment["latest_charge"],
                "payment_intent": payment_id,
                "open": True,
                "opened_reason": "rule",
                "reason": "rule",
                "created": self.now_s(),
                "livemode": False,
            }
            self.others[review["id"]] = review
            self.emit("review.opened", dict(review))
            return review

    def close_review(self, review: Json, reason: str = "approved") -> Json:
        """Close a review."""
        closed = review | {"open": False, "closed_reason": reason, "reason": reason}
        return self.emit("review.closed", closed)

    def refunded(self, payment_id: str) -> int:
        """Return the refunded amount in minor units, pending refunds included."""
        return sum(
            refund["amount"]
            for refund in self.refunds.values()
            if refund["payment_intent"] == payment_id
            and refund["status"] not in {"failed", "canceled"}
        )

    def _charge(self, payment: Json) -> Json:
        name = payment["id"]
        disputed = any(d["payment_intent"] == name for d in self.disputes.values())
        return objects.charge(payment, self.refunded(name), disputed=disputed)

    def charges(self) -> dict[str, Json]:
        """Return the charges of all payments, by name."""
        with self.lock:
            made = [self._charge(p) for p in self.payments.values()]
        return {charge["id"]: charge for charge in made}

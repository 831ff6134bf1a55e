# SPDX-License-Identifier: MIT
"""
Payment events: verify, store durably, name an enrollment, settle.

A 2xx answer means: stored, and will take effect. An event is done only when its
effects are stored; only then is a further delivery a duplicate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..codec import dump
from ..errors import (
    NotFoundError,
    PayloadError,
    SignatureError,
    StorageUnavailableError,
)
from ..models import (
    Enrollment,
    Fact,
    Job,
    JobState,
    PaymentEvent,
    Status,
    WebhookResult,
)
from ..outcomes import Done, Outcome


if TYPE_CHECKING:
    from .context import Context
    from .inline import Inline
    from .settle import Settle

_FINISHED = frozenset({JobState.DONE, JobState.QUARANTINED, JobState.IGNORED})


class EventHandler:
    """Gives a stored payment event its effect. Thread-safe."""

    def __init__(self, context: Context, settle: Settle) -> None:
        self._context, self._settle = context, settle

    def __call__(self, event: PaymentEvent) -> Outcome:
        """
        Settle what the event names.

        Returns:
            Done with "processed", "ignored" or "quarantined".
        """
        if event.livemode is not self._context.payments.livemode:
            return self._odd(event, "mode_mismatch")
        if event.account is not None:
            return self._odd(event, "account_mismatch")
        row = self._find(event)
        if row is None:
            # Other products on the same account; ours only by its mark.
            ours = event.session is not None and event.session.ours
            return self._odd(event, "unknown_enrollment") if ours else Done("ignored")
        if event.session_id is not None and row.session_id != event.session_id:
            return self._odd(event, "foreign_session")
        row = self._settle(row.id, event=event)
        held = row.status is Status.ON_HOLD and event.fact is Fact.PAID
        return Done("quarantined" if held else "processed")

    def _odd(self, event: PaymentEvent, reason: str) -> Outcome:
        """A payment that fits nothing is never silent; other news of it is nothing."""
        if event.fact is not Fact.PAID:
            return Done("ignored")
        self._context.plugins.notify("on_alert", code=reason, subject=event.id)
        return Done("quarantined")

    def find(self, event: PaymentEvent) -> Enrollment | None:
        """Return the enrollment that an event names, by our own rows only."""
        return self._find(event)

    def _find(self, event: PaymentEvent) -> Enrollment | None:
        store = self._context.storage.enrollments
        session_id = event.session_id
        if session_id is None and event.payment_id is not None:
            row = store.find_by_payment(event.payment_id)
            if row is not None:
                return row
            session = self._context.payments.find_session(event.payment_id)
            session_id = session.id if session else None
        if session_id is None:
            return None
        return store.find_by_session(session_id) or self._find_by_mark(event)

    def _find_by_mark(self, event: PaymentEvent) -> Enrollment | None:
        """Look by the metadata's id: a hint, the stored session must match later."""
        if event.enrollment_id is None:
            return None
        row = self._context.storage.enrollments.find(event.enrollment_id)
        if row is not None and row.session_id is None and row.session_request:
            # The process died between the provider's answer and our write.
            row = self._settle(row.id)
        return row


class EventService:
    """`EnrollSDK.handle_webhook` of one SDK. Thread-safe."""

    def __init__(self, context: Context, handler: EventHandler, inline: Inline) -> None:
        self._context, self._handler, self._inline = context, handler, inline

    def handle(
        self, body: bytes, headers: Mapping[str, str], provider: str | None
    ) -> WebhookResult:
        """See `EnrollSDK.handle_webhook`."""
        if provider not in (None, self._context.settings.payments):
            raise NotFoundError("no such payment provider", field="provider")
        if not isinstance(body, bytes):
            # Decoded and encoded again it would no longer be what was signed.
            raise PayloadError("body: must be the raw bytes", field="body")
        if not hasattr(headers, "items"):
            raise SignatureError("headers: must be a mapping", field="headers")
        now = self._context.now()
        event = self._context.payments.parse_event(body, headers, now=now)
        return self.receive(event, body)

    def receive(self, event: PaymentEvent, body: bytes = b"") -> WebhookResult:
        """Store a verified event, and give it its effect now if time allows."""
        if event.fact is None:
            return self._store_ignored(event)
        recorded = self._context.storage.events.record(
            event.id, payload_of(event, body), now=self._context.now()
        )
        if recorded.event.state in _FINISHED:
            return WebhookResult(outcome="duplicate", event_id=event.id)
        try:
            outcome = self._inline.event(recorded.event)
            row = self._handler.find(event) if outcome == "processed" else None
        except StorageUnavailableError:
            # It is stored; the store will be back before the lease lapses.
            return WebhookResult(outcome="queued", event_id=event.id)
        return WebhookResult(
            outcome=outcome,
            event_id=event.id,
            enrollment_id=row.id if row else None,
        )

    def _store_ignored(self, event: PaymentEvent) -> WebhookResult:
        recorded = self._context.storage.events.record(
            event.id,
            {"type": event.type, "object_id": event.object_id},
            now=self._context.now(),
            state=JobState.IGNORED,
            outcome="ignored",
        )
        outcome = "ignored" if recorded.new else "duplicate"
        return WebhookResult(outcome=outcome, event_id=event.id)

    def replay(self, event_id: str) -> Job:
        """Make a stored event due again; `settle` sees to it that nothing doubles."""
        now = self._context.now()
        event = self._context.storage.events.find(event_id)
        if event is None:
            raise NotFoundError("no such event", field="event_id")
        if event.payload is None or "event" not in event.payload:
            raise NotFoundError("the event's payload is pruned", field="event_id")
        self._context.storage.events.enqueue(
            event.key, event.kind, event.payload, now, now=now
        )
        self._inline.event(event)
        return self._context.storage.events.find(event_id) or event


def payload_of(event: PaymentEvent, body: bytes) -> Mapping[str, Any]:
    """Return what is stored of an event."""
    return {
        "type": event.type,
        "object_id": event.object_id,
        "event": dump(event),
        "body": body.decode("utf-8", "replace"),
    }

# SPDX-License-Identifier: MIT
"""
Payment events: verify, store durably, name an enrollment, settle.

A 2xx answer means: stored, and will take effect. An event is done only when its
effects are stored; only then is a further delivery a duplicate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...codec import dump, load
from ...errors import (
    DamagedRowError,
    NotFoundError,
    PayloadError,
    SignatureError,
    StorageUnavailableError,
)
from ...models import Job, JobState, PaymentEvent, WebhookResult


if TYPE_CHECKING:
    from ..context import Context
    from ..jobs.inline import Inline

#: An event in one of these has had its effect.
FINISHED = frozenset({JobState.DONE, JobState.QUARANTINED, JobState.IGNORED})


class Webhook:
    """`EnrollSDK.handle_webhook` of one SDK. Thread-safe."""

    def __init__(self, context: Context, inline: Inline) -> None:
        self._context, self._inline = context, inline

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

    def receive(
        self, event: PaymentEvent, body: bytes = b"", *, quiet: bool = False
    ) -> WebhookResult:
        """Store a verified event, and give it its effect now if time allows."""
        if event.fact is None or self._is_foreign(event):
            return self._store_ignored(event)
        recorded = self._context.storage.events.record(
            event.id, payload_of(event, body, quiet=quiet), now=self._context.now()
        )
        if recorded.event.state in FINISHED:
            return WebhookResult(outcome="duplicate", event_id=event.id)
        try:
            ended = self._inline.event(recorded.event)
        except StorageUnavailableError:
            # It is stored; the store will be back before the lease lapses.
            return WebhookResult(outcome="queued", event_id=event.id)
        named = ended.enrollments if ended.code == "processed" else ()
        return WebhookResult(
            outcome=ended.code,
            event_id=event.id,
            enrollment_id=named[0].id if named else None,
        )

    def _is_foreign(self, event: PaymentEvent) -> bool:
        """
        Tell whether it is about a session of another product on the account.

        Ours carries our mark, or is stored; a foreign one's payload is not kept.
        """
        told = event.session is not None or event.unreadable
        if event.session_id is None or event.is_ours or not told:
            return False
        try:
            row = self._context.storage.enrollments.find_by_session(event.session_id)
        except DamagedRowError:
            return False
        return row is None

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


def payload_of(
    event: PaymentEvent, body: bytes = b"", *, quiet: bool = False
) -> Mapping[str, Any]:
    """Return what is stored of an event."""
    payload = {
        "type": event.type,
        "object_id": event.object_id,
        "event": dump(event),
        "body": body.decode("utf-8", "replace"),
    }
    return {**payload, "quiet": True} if quiet else payload


def event_of(job: Job) -> PaymentEvent | None:
    """Return the event that a row of the event store holds, if it still does."""
    stored = (job.payload or {}).get("event")
    return None if stored is None else load(PaymentEvent, stored)

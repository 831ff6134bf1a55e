# SPDX-License-Identifier: MIT
"""
Events once more: a stored one again, and those that the provider has and we missed.

Both may be repeated at will: settle sees to it that nothing doubles.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import attrs

from ...errors import NotFoundError, ValidationError
from ...models import Actor, Job, PaymentEvent, Trail
from .. import audit, validate
from .webhook import FINISHED, payload_of


if TYPE_CHECKING:
    from ..context import Context
    from ..jobs.inline import Inline
    from .webhook import Webhook

_A_PAGE = 100
_MAX = 100_000


@attrs.frozen(kw_only=True)
class Pulled:
    """
    Answer of `Replay.pull`.

    Attributes:
        listed: Events that the provider listed.
        known: Of these, done before.
        fed: Of these, stored or given their effect now.
        more: Whether there may be others: pull again.
    """

    listed: int
    known: int
    fed: int
    more: bool


class Replay:
    """Gives events their effect again. Thread-safe."""

    def __init__(self, context: Context, webhook: Webhook, inline: Inline) -> None:
        self._context, self._webhook, self._inline = context, webhook, inline

    def replay(self, event_id: str, *, by: Actor | None, notify: bool = True) -> Job:
        """
        Make a stored event due again, run it if time allows, and return it.

        One whose payload was pruned (or never kept) is fetched from the provider.
        Without `notify` no plugin hears of what is written by it.

        Raises:
            NotFoundError: It is not stored.
            BackendRejectedError: Its payload is pruned, and gone at the provider too.
        """
        now, store = self._context.now(), self._context.storage.events
        event = store.find(event_id)
        if event is None:
            raise NotFoundError("no such event", field="event_id")
        payload = dict(event.payload or {})
        if "event" not in payload:
            payload = dict(payload_of(self._context.payments.retrieve_event(event.key)))
        payload.pop("action", None)
        payload["quiet"] = not notify
        audit.write(self._context, by, "replay_event", event.key, {"notify": notify})
        again = store.enqueue(event.key, event.kind, payload, now, now=now)
        self._inline.event(again)
        return store.find(event_id) or again

    def pull(
        self,
        since: datetime,
        *,
        by: Actor | None,
        notify: bool = True,
        limit: int = 10_000,
    ) -> Pulled:
        """
        Feed the provider's events since a moment to where webhooks go, oldest first.

        At most `limit` that were missed; pull again while the answer says `more`.

        Raises:
            ValidationError: `since` is not an aware moment of the time for which the
                provider keeps its events.
        """
        now = self._context.now()
        since = validate.moment(since, "since")
        kept = self._context.payments.traits.events_kept
        if not now - kept <= since <= now:
            raise ValidationError(
                f"since: must be a moment of the last {kept.days} days", field="since"
            )
        validate.whole(limit, "limit", most=_MAX)
        subject = since.isoformat()
        with audit.acting(
            self._context, by, "pull_events", subject, notify=notify
        ) as result:
            missed, known, listed, more = self._missed(since, limit)
            for count, event in enumerate(missed, 1):
                self._webhook.receive(event, quiet=not notify)
                result["fed"] = count
        return Pulled(listed=listed, known=known, fed=len(missed), more=more)

    def _missed(
        self, since: datetime, limit: int
    ) -> tuple[list[PaymentEvent], int, int, bool]:
        missed: list[PaymentEvent] = []
        listed, cursor, trail = 0, None, Trail()
        # What is known costs a look only: a pull that is repeated gets further.
        while listed < _MAX and len(missed) < limit:
            page = self._context.payments.list_events(
                since=since, limit=_A_PAGE, cursor=cursor
            )
            listed += len(page.items)
            missed += [event for event in page.items if not self._is_done(event)]
            cursor = trail.follow(page.next_cursor)
            if cursor is None:
                break
        more = cursor is not None or len(missed) > limit
        return missed[:limit][::-1], listed - len(missed), listed, more

    def _is_done(self, event: PaymentEvent) -> bool:
        known = self._context.storage.events.find(event.id)
        return known is not None and known.state in FINISHED

# SPDX-License-Identifier: MIT
"""
The audit trail: who changed what by hand, and why.

Every verb that changes something takes who acts and writes the trail itself, so that
the command line, the admin API and the dashboard leave the same line. A learner's own
verbs, and what the SDK does on its own, leave none: nobody acts.

A long action is written before it begins and once more when it ends. One that dies
midway has its first entry and no second one; whoever reads the trail knows that some of
it may be done. Each may be repeated: what is done is known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import EnrollError
from ..models import Actor, AuditEntry
from ..wall import ProcessEnd
from . import validate


if TYPE_CHECKING:
    from .context import Context

logger = logging.getLogger(__name__)


def actor_of(actor: str, reason: str) -> Actor | None:
    """
    Return who acts; None if no actor is given.

    Raises:
        ValidationError: There is an actor without a reason, or one of them is not text.
    """
    return require_actor(actor, reason) if actor else None


def require_actor(actor: str, reason: str) -> Actor:
    """Return who acts; ValidationError if the actor or the reason is missing."""
    return Actor(*validate.words(actor, reason))


def write(
    context: Context,
    by: Actor | None,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
    *,
    entry_id: str | None = None,
    at: datetime | None = None,
) -> str:
    """
    Record that somebody has changed something; return the entry's id.

    Args:
        context: The wiring.
        by: Who, and why; None = nobody, and nothing is written.
        action: A short stable name.
        subject: What it was done to.
        detail: Further details by name.
        entry_id: An id derived from the change, if it may be recorded again.
        at: When, if not now.
    """
    name = entry_id or f"aud_{context.ambient.token_hex(12)}"
    if by is not None:
        entry = AuditEntry(
            id=name,
            at=at or context.now(),
            actor=by.name,
            action=action,
            subject=subject,
            reason=by.reason,
            detail=detail or {},
        )
        context.storage.audit.append(entry)
    return name


@contextmanager
def acting(
    context: Context, by: Actor | None, action: str, subject: str, **detail: Any
) -> Iterator[dict[str, Any]]:
    """
    Record that an action has begun and, however it ends, its result.

    Args:
        context: The wiring.
        by: Who, and why; None = nobody, and nothing is written.
        action: A short stable name.
        subject: What it is done to.
        **detail: What is known before.

    Yields:
        Further details for the last entry, which the caller keeps up to date.
    """
    result: dict[str, Any] = {}
    begun = write(context, by, action, subject, detail | {"phase": "begun"})
    try:
        yield result
    except ProcessEnd:
        raise
    except BaseException as error:
        end = {
            "phase": "failed" if isinstance(error, Exception) else "stopped",
            "cause": _cause(error),
            "begun": begun,
        }
        try:
            write(context, by, action, subject, detail | result | end)
        except EnrollError as second:
            # The first error is the one that the caller has to see.
            extra = {"action": action, "error_code": second.code}
            logger.warning("end of an action not written", extra=extra)
        raise
    end = {"phase": "done", "begun": begun}
    write(context, by, action, subject, detail | result | end)


def _cause(error: BaseException) -> str:
    return error.code if isinstance(error, EnrollError) else type(error).__name__

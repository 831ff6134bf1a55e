# SPDX-License-Identifier: MIT
"""
Operators' long orders in the audit trail: said first, then done, then closed.

An order that dies midway has its first entry and no second one; whoever reads the trail
knows that some of it may be done. Each may be given again: what is done is known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...errors import EnrollError
from ...models import AuditEntry
from ...wall import ProcessEnd
from .. import validate


if TYPE_CHECKING:
    from ..context import Context

logger = logging.getLogger(__name__)


@contextmanager
def order(
    context: Context, actor: str, action: str, subject: str, reason: str, **detail: Any
) -> Iterator[dict[str, Any]]:
    """
    Write that an order has begun, and, in every ending, what became of it.

    Args:
        context: The wiring.
        actor: Who; "" is nobody, and nothing is written.
        action: A short stable word.
        subject: What it is about.
        reason: Why.
        **detail: More, known before.

    Yields:
        What the last entry tells besides; whoever works keeps it up to date.

    Raises:
        ValidationError: The actor or reason is none; nothing was begun.
    """
    told: dict[str, Any] = {}
    if not actor:
        yield told
        return
    who, why = validate.words(actor, reason)

    def write(**more: Any) -> str:
        entry = AuditEntry(
            id=f"aud_{context.ambient.token_hex(12)}",
            at=context.now(),
            actor=who,
            action=action,
            subject=subject,
            reason=why,
            detail=detail | more,
        )
        context.storage.audit.append(entry)
        return entry.id

    begun = write(phase="begun")
    try:
        yield told
    except ProcessEnd:
        raise
    except BaseException as error:
        phase = "failed" if isinstance(error, Exception) else "stopped"
        try:
            write(**told, phase=phase, cause=_cause(error), order=begun)
        except EnrollError as second:
            # The first one is what its caller has to hear of.
            extra = {"action": action, "error_code": second.code}
            logger.warning("order not closed", extra=extra)
        raise
    write(**told, phase="done", order=begun)


def _cause(error: BaseException) -> str:
    return error.code if isinstance(error, EnrollError) else type(error).__name__

# SPDX-License-Identifier: MIT
"""
The jobs: one per fact and template, owed by the write that made the fact.

A job's handler makes the mail from what stands now, sends it, and answers; that answer
is the mark. A worker that dies between the server's 250 and the mark sends a second
copy, with the same Message-ID: nothing at this end can close that window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import attrs

from frappe_enroll_sdk.errors import MissingExtraError, SettingsError
from frappe_enroll_sdk.outcomes import Dead, Done, Outcome

from . import letters
from .messages import Letter, compose
from .post import send
from .settings import PREFIX


if TYPE_CHECKING:
    from email.message import EmailMessage

    from .settings import MailSettings
    from .templates import Templates

Write = Callable[[Any, letters.Desk], Letter | None]
Send = Callable[["EmailMessage", "MailSettings"], Outcome]

#: Template → the facts that enqueue it, and the function that writes the letter.
MAILS: dict[str, tuple[tuple[str, ...], Write]] = {
    "enrolled": (("enrolled",), letters.enrolled),
    "grant_approved": (("grant_approved",), letters.grant_approved),
    "grant_rejected": (("grant_rejected",), letters.grant_rejected),
    "payment_failed": (("failed",), letters.payment_failed),
    "payment_held": (("on_hold",), letters.payment_held),
    "payout": (("commission_paid",), letters.payout),
    "alert": (("alert",), letters.alert),
    "dead_letter": (("job_dead",), letters.dead_letter),
}
#: Templates for the operators.
_THEIRS = frozenset({"alert", "dead_letter"})


@attrs.frozen(kw_only=True)
class Mailer:
    """Writes and sends mails. Thread-safe: it keeps no state between mails."""

    settings: MailSettings
    templates: Templates
    desk: letters.Desk
    send: Send = send

    def jobs(self) -> Iterator[tuple[str, Callable[[Any], Outcome], tuple[str, ...]]]:
        """Yield the kind, handler and facts of each mail that is not skipped."""
        for template, (facts, write) in MAILS.items():
            if template in _THEIRS and not self.settings.operators:
                continue
            if template not in self.settings.skip:
                yield f"mail.{template}", self._handler(write), facts

    def _handler(self, write: Write) -> Callable[[Any], Outcome]:
        def handle(context: Any) -> Outcome:
            try:
                letter = write(context, self.desk)
            except ValueError as error:
                return Dead(f"no valid recipient: {error}")
            if letter is None or letter.template in self.settings.skip:
                return Done("no_mail")
            return self.send(
                compose(letter, self.settings, self.templates), self.settings
            )

        return handle


def make_mailer(chosen: MailSettings) -> Mailer:
    """
    Return the mailer for these settings.

    Raises:
        SettingsError: One of the host's templates can't be compiled.
        MissingExtraError: Jinja2 is not installed.
    """
    try:
        from jinja2 import TemplateError  # noqa: PLC0415  an extra

        from .templates import Templates  # noqa: PLC0415  the same
    except ImportError as error:
        raise MissingExtraError("mail", "Jinja2") from error
    try:
        templates = Templates(chosen.templates)
    except TemplateError as error:
        where = f"{getattr(error, 'name', '')}:{getattr(error, 'lineno', '')}"
        raise SettingsError(f"{PREFIX}TEMPLATES: {where}: {error}") from error
    return Mailer(
        settings=chosen,
        templates=templates,
        desk=letters.Desk(operators=chosen.operators, course_url=chosen.course_url),
    )

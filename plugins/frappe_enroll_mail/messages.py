# SPDX-License-Identifier: MIT
"""
The mail of one fact: pure, and the same to the byte whenever it is made.

A copy that is sent twice (a worker died between the server's 250 and its own mark) has
the same Message-ID, date and boundary, so that it can be recognised as a copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING, Any

import attrs

from frappe_enroll_sdk.errors import RejectedError

from .addresses import has_control


if TYPE_CHECKING:
    from .settings import MailSettings
    from .templates import Templates


@attrs.frozen(kw_only=True)
class Letter:
    """
    The contents and recipient of one mail.

    Attributes:
        template: Name of the template.
        to: The recipient's address.
        values: Values for the template.
        key: Unique per fact and template; the same in every try.
        at: When the fact happened.
    """

    template: str
    to: tuple[Address, ...] = attrs.field(repr=False)
    values: Mapping[str, Any] = attrs.field(repr=False)
    key: str
    at: datetime


def compose(
    letter: Letter, settings: MailSettings, templates: Templates
) -> EmailMessage:
    """
    Return the mail.

    Raises:
        RejectedError: A header would have more than one line, or a template of the host
            uses an undefined name.
    """
    sender = settings.sender
    if sender is None:
        raise RejectedError("no sender is configured", code="mail_header")
    shown = sender.display_name or sender.addr_spec
    parts = templates.render(letter.template, {"sender_name": shown, **letter.values})
    if has_control(parts.subject):
        raise RejectedError(
            f"{letter.template}: the subject would have more than one line",
            code="mail_header",
        )
    name = hashlib.sha256(f"{letter.template}\n{letter.key}".encode()).hexdigest()[:40]
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = letter.to
    if settings.reply_to is not None:
        message["Reply-To"] = settings.reply_to
    message["Subject"] = parts.subject
    message["Date"] = letter.at
    message["Message-ID"] = f"<{name}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(parts.text)
    message.add_alternative(parts.html, subtype="html")
    message.set_boundary(f"=_{name}")
    return message

# SPDX-License-Identifier: MIT
"""What this package brings; without ``FRAPPE_ENROLL_MAIL_HOST`` nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from frappe_enroll_sdk import hookimpl


if TYPE_CHECKING:
    from frappe_enroll_sdk import Settings


@hookimpl
def register_jobs(register: Callable[..., Any], settings: Settings | None) -> None:
    """
    Register one job kind per mail, if a mail server is configured.

    Raises:
        SettingsError: Names all invalid variables.
        MissingExtraError: Jinja2 is not installed.
    """
    from frappe_enroll_sdk.settings.plugins import load_part  # noqa: PLC0415  when needed

    from .settings import PREFIX, MailSettings  # noqa: PLC0415  the same

    chosen = load_part(MailSettings, settings, PREFIX)
    if not chosen.host:
        return
    from .mailer import make_mailer  # noqa: PLC0415  needs Jinja2

    for kind, handler, facts in make_mailer(chosen).jobs():
        register(kind, handler, on=facts)

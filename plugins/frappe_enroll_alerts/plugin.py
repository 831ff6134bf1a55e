# SPDX-License-Identifier: MIT
"""What this package brings: lines in the log, and a webhook where one is named."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from frappe_enroll_sdk import hookimpl


if TYPE_CHECKING:
    from collections.abc import Mapping

    from frappe_enroll_sdk import Settings
    from frappe_enroll_sdk.models import Job

logger = logging.getLogger("frappe_enroll_alerts")


@hookimpl
def on_alert(code: str, subject: str, detail: Mapping[str, str]) -> None:
    """Log an alert, at most once; jobs take care of the webhook and the mails."""
    extra = {"code": code, "subject": subject}
    logger.error("alert", extra=extra | ({"detail": dict(detail)} if detail else {}))


@hookimpl
def on_job_dead(job: Job, cause: str) -> None:
    """Log a dead letter."""
    extra = {"job": job.key, "kind": job.kind, "tries": job.tries, "cause": cause}
    logger.error("job is dead", extra=extra)


@hookimpl
def register_jobs(register: Callable[..., Any], settings: Settings | None) -> None:
    """
    Register the webhook's jobs, if a receiver is configured.

    Raises:
        SettingsError: Names all invalid variables.
    """
    from frappe_enroll_sdk.settings.plugins import load_part  # noqa: PLC0415  when needed

    from .settings import PREFIX, AlertSettings  # noqa: PLC0415  the same

    chosen = load_part(AlertSettings, settings, PREFIX)
    if chosen.url:
        from .webhook import KIND, Webhook  # noqa: PLC0415  the same

        register(KIND, Webhook(chosen), on=("alert", "job_dead"))

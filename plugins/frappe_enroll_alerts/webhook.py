# SPDX-License-Identifier: MIT
"""The webhook: one job per fact, posted until the receiver has taken it."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

import attrs

from frappe_enroll_sdk.connections import opener
from frappe_enroll_sdk.deadline import within
from frappe_enroll_sdk.outcomes import (
    AlertContext,
    Dead,
    DeathContext,
    Done,
    Outcome,
    Retry,
)

from .settings import AlertSettings
from .signature import HEADER, sign


KIND = "alerts.webhook"
_GONE, _REDIRECTS = 410, range(300, 400)
#: Longest wait that a receiver may ask for, in seconds.
_LONGEST_WAIT_S = 3600


def document(context: AlertContext | DeathContext) -> dict[str, Any]:
    """
    Return the posted document; the same in every try.

    It contains nothing personal: ids, keys, codes, and causes for operators.
    """
    said: dict[str, Any] = {"id": context.job.key, "type": context.fact}
    if isinstance(context, AlertContext):
        return {
            **said,
            "at": context.at.isoformat(),
            "code": context.code,
            "subject": context.subject,
            **({"detail": dict(context.detail)} if context.detail else {}),
        }
    return {
        **said,
        "at": context.error.at.isoformat(),
        "code": context.error.code,
        "subject": context.dead.key,
        "kind": context.dead.kind,
        "tries": context.error.try_number,
        "cause": context.error.cause,
    }


@attrs.frozen
class Webhook:
    """Posts to one receiver. Thread-safe."""

    settings: AlertSettings

    def __call__(self, context: AlertContext | DeathContext) -> Outcome:
        """Post a fact; called as the handler of its job."""
        body = json.dumps(document(context), separators=(",", ":")).encode()
        # The store's time of this claim, as a host's own clock may be wrong.
        at_s = int(context.job.updated_at.timestamp())
        secrets = [secret.value for secret in self.settings.secrets]
        request = Request(  # noqa: S310  the settings allow http(s) only
            self.settings.url.value,
            data=body,
            headers={
                "Content-Type": "application/json",
                "User-Agent": "frappe-enroll-sdk",
                HEADER: sign(body, secrets, at_s),
            },
            method="POST",
        )
        with within(self.settings.timeout_s) as call:
            try:
                # Only the status counts: the body is not read.
                with opener().open(request, timeout=self.settings.timeout_s):
                    return Done("told")
            except HTTPError as error:
                with error:
                    return _of_status(error.code, error.headers.get("Retry-After"))
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                known = reason if isinstance(reason, Exception) else error
                cause = call.cause_of(known)
                return Retry(cause=f"the receiver of alerts can't be reached: {cause}")


def _of_status(status: int, retry_after: str | None) -> Outcome:
    if status == _GONE:
        return Dead("the receiver of alerts answered 410: it wants no more alerts")
    more = ": redirects are not followed" if status in _REDIRECTS else ""
    cause = f"the receiver of alerts answered {status}{more}"
    if retry_after is not None and retry_after.isascii() and retry_after.isdecimal():
        return Retry(min(float(retry_after[:9]), _LONGEST_WAIT_S), cause)
    return Retry(cause=cause)

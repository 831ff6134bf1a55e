# SPDX-License-Identifier: MIT
"""The settings of the alerts' webhook."""

from __future__ import annotations

import attrs

from frappe_enroll_sdk import urls
from frappe_enroll_sdk.settings.options import (
    SHORTEST_SECRET,
    Secret,
    in_range,
    option,
    secret_option,
    words,
)


PREFIX = "FRAPPE_ENROLL_ALERTS_"


@attrs.frozen(kw_only=True)
class AlertSettings:
    """Settings of the webhook; without a URL, nothing is posted."""

    # Receivers often put a token into it, so it is treated as a secret.
    url: Secret = secret_option(
        f"{PREFIX}WEBHOOK_URL",
        "URL to which alerts and dead letters are posted; unset: nowhere",
    )
    secrets: tuple[Secret, ...] = option(
        f"{PREFIX}WEBHOOK_SECRET",
        "signing secrets, comma-separated while rotating",
        (),
        convert=words(Secret),
        secret=True,
    )
    timeout_s: float = option(
        f"{PREFIX}WEBHOOK_TIMEOUT_S",
        "total seconds for one post",
        10.0,
        convert=in_range(float, 0.1, 120),
    )

    def contradictions(self) -> list[str]:
        """Return the problems of settings that conflict."""
        if not self.url:
            return []
        found = []
        try:
            url = urls.parse(self.url.value)
        except ValueError as error:
            return [f"{PREFIX}WEBHOOK_URL: {error}"]
        if url.scheme == "http" and not url.is_near:
            found.append(f"{PREFIX}WEBHOOK_URL: http:// is refused off loopback")
        if not self.secrets:
            found.append(
                f"{PREFIX}WEBHOOK_SECRET: must be set where {PREFIX}WEBHOOK_URL is"
            )
        if any(len(secret.value) < SHORTEST_SECRET for secret in self.secrets):
            found.append(
                f"{PREFIX}WEBHOOK_SECRET: needs {SHORTEST_SECRET} characters or more"
            )
        return found

# SPDX-License-Identifier: MIT
"""The settings of the mails: where they go out, who sends, who looks after things."""

from __future__ import annotations

from email.headerregistry import Address
from pathlib import Path
from typing import Any

import attrs

from frappe_enroll_sdk import urls
from frappe_enroll_sdk.settings.options import (
    Secret,
    in_range,
    one_of,
    option,
    secret_option,
    words,
)

from .addresses import read_address


PREFIX = "FRAPPE_ENROLL_MAIL_"
#: All templates; the last three go to the operators.
TEMPLATES = (
    "enrolled",
    "grant_approved",
    "grant_rejected",
    "payment_failed",
    "payment_held",
    "payout",
    "payment_problem",
    "dead_letter",
    "alert",
)


def _address(value: Any) -> Address | None:
    return read_address(value) if value not in (None, "") else None


def _url(value: Any) -> str:
    return str(urls.parse(value)) if value else ""


def _plain_address(value: Any) -> Address:
    return read_address(value)


@attrs.frozen(kw_only=True)
class MailSettings:
    """Settings of the mails; without a host, no mail is sent."""

    host: str = option(f"{PREFIX}HOST", "SMTP server; unset: no mails are sent", "")
    port: int = option(
        f"{PREFIX}PORT",
        "its port; 0 = 465 with implicit TLS, otherwise 587",
        0,
        convert=in_range(int, 0, 65535),
    )
    security: str = option(
        f"{PREFIX}SECURITY",
        "starttls, tls (from the first byte), or none (loopback only)",
        "starttls",
        convert=one_of("starttls", "tls", "none"),
    )
    ca_file: str = option(
        f"{PREFIX}CA_FILE",
        "file of trusted certificates, instead of the system's",
        "",
    )
    user: str = option(f"{PREFIX}USER", "user of the SMTP server; unset: no login", "")
    password: Secret = secret_option(f"{PREFIX}PASSWORD", "that user's password")
    timeout_s: float = option(
        f"{PREFIX}TIMEOUT_S",
        "total seconds for one mail, including the server's name lookup",
        20.0,
        convert=in_range(float, 0.1, 120),
    )
    sender: Address | None = option(
        f"{PREFIX}FROM",
        "sender, e.g. Python School <courses@example.com>",
        "",
        convert=_address,
    )
    reply_to: Address | None = option(
        f"{PREFIX}REPLY_TO",
        "address for replies; unset: the sender",
        "",
        convert=_address,
    )
    operators: tuple[Address, ...] = option(
        f"{PREFIX}OPERATORS",
        "addresses that get dead letters, payment problems and alerts",
        (),
        convert=words(_plain_address),
    )
    templates: str = option(
        f"{PREFIX}TEMPLATES", "folder whose templates replace ours", ""
    )
    course_url: str = option(
        f"{PREFIX}COURSE_URL",
        "link to a course, with {course_id} in it; unset: the course's own URL",
        "",
        convert=_url,
    )
    skip: tuple[str, ...] = option(
        f"{PREFIX}SKIP", "templates not to send", (), convert=words(str)
    )

    @property
    def real_port(self) -> int:
        """The port, also if it is not set."""
        return self.port or (465 if self.security == "tls" else 587)

    def contradictions(self) -> list[str]:
        """Return the problems of settings that conflict."""
        if not self.host:
            return []
        found = []
        if self.sender is None:
            found.append(f"{PREFIX}FROM: must be set where {PREFIX}HOST is")
        if bool(self.user) != bool(self.password):
            found.append(f"{PREFIX}USER and {PREFIX}PASSWORD: both or none")
        if self.security == "none" and not urls.is_loopback(self.host):
            found.append(f"{PREFIX}SECURITY: none is refused off loopback")
        for name, path in (("TEMPLATES", self.templates), ("CA_FILE", self.ca_file)):
            if path and not Path(path).exists():
                found.append(f"{PREFIX}{name}: there is no {path}")
        if self.course_url and "{course_id}" not in self.course_url:
            found.append(f"{PREFIX}COURSE_URL: must contain {{course_id}}")
        found += [
            f"{PREFIX}SKIP: there is no template {name}"
            for name in self.skip
            if name not in TEMPLATES
        ]
        return found

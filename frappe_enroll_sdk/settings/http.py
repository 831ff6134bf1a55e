# SPDX-License-Identifier: MIT
"""The settings of the HTTP surface: what they convert to, and what is refused."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from .options import SHORTEST_CRON_SECRET, SHORTEST_SECRET, Secret


#: Requests per seconds allowed for each limited route and client address. Sign-ins,
#: cron calls and admin tokens only count failures; "seats" counts the attempts that a
#: client opens with one code, within the time that an unpaid one holds its seat.
RATE_LIMITS = {
    "checkout": (10, 900),
    "preview": (30, 900),
    "return": (60, 900),
    "cancel": (20, 900),
    "seats": (10, 7200),
    "account": (5, 900),
    "grant": (5, 900),
    "sign_in": (5, 900),
    "cron": (10, 900),
    "admin": (20, 900),
}
#: A line of FRAPPE_ENROLL_ADMIN_TOKENS: role, operator's name, SHA-256 of the token.
TOKEN_LINE = re.compile(r"(viewer|operator):([A-Za-z0-9._@-]{1,64}):([0-9a-f]{64})")
_LIMIT = re.compile(r"([a-z_]+)=(?:(\d{1,6})/(\d{1,6})|off)")


def limit_words(value: Any) -> str:
    """Check and return ``name=count/seconds``, ``name=off`` or ``off``."""
    found = _LIMIT.fullmatch(str(value))
    if value != "off" and (found is None or found[1] not in RATE_LIMITS):
        names = ", ".join(RATE_LIMITS)
        raise ValueError(f"must be off, or name=count/seconds with one of {names}")
    if found and found[2] and not (int(found[2]) and int(found[3])):
        raise ValueError("a count and its seconds must be above 0")
    return str(value)


def proxy_words(value: Any) -> str:
    """Check a proxy's address or network, or ``unix`` for a Unix socket; return it."""
    if value != "unix":
        try:
            ipaddress.ip_network(str(value), strict=False)
        except ValueError:
            raise ValueError("must be addresses or networks, or unix") from None
    return str(value)


def contradictions(
    admin_tokens: Iterable[Secret], secret_key: Secret, cron_secret: Secret
) -> list[str]:
    """Return the problems with the HTTP surface's secrets."""
    found = []
    if any(not TOKEN_LINE.fullmatch(line.value) for line in admin_tokens):
        found.append(
            "FRAPPE_ENROLL_ADMIN_TOKENS: each must be a line that "
            "`frappe-enroll admin-token create` printed (role:name:hash)"
        )
    for variable, secret, least in (
        ("FRAPPE_ENROLL_SECRET_KEY", secret_key, SHORTEST_SECRET),
        ("FRAPPE_ENROLL_CRON_SECRET", cron_secret, SHORTEST_CRON_SECRET),
    ):
        if secret and len(secret.value) < least:
            found.append(f"{variable}: must have {least} characters or more")
    return found

# SPDX-License-Identifier: MIT
"""The settings of the HTTP surface: what they convert to, and what is refused."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

import attrs

from .. import urls
from .sources import Secret, in_range, option, secret_option, words


if TYPE_CHECKING:
    from .core import Settings


#: Requests per seconds of each limited route, for one address (and one learner); of
#: sign-ins, cron calls and admin tokens those that are wrong.
RATE_LIMITS = {
    "checkout": (10, 900),
    "preview": (30, 900),
    "return": (60, 900),
    "cancel": (20, 900),
    "account": (5, 900),
    "grant": (5, 900),
    "sign_in": (5, 900),
    "cron": (10, 900),
    "admin": (20, 900),
}
#: A line of FRAPPE_ENROLL_ADMIN_TOKENS: role, operator's name, SHA-256 of the token.
TOKEN_LINE = re.compile(r"(viewer|operator):([A-Za-z0-9._@-]{1,64}):([0-9a-f]{64})")
_LIMIT = re.compile(r"([a-z_]+)=(?:(\d{1,6})/(\d{1,6})|off)")
#: Characters of a secret of ours at the least.
SHORTEST_SECRET = 16


def limit_words(value: Any) -> str:
    """Return ``name=count/seconds`` or ``name=off`` of a limit that exists, or off."""
    found = _LIMIT.fullmatch(str(value))
    if value != "off" and (found is None or found[1] not in RATE_LIMITS):
        names = ", ".join(RATE_LIMITS)
        raise ValueError(f"must be off, or name=count/seconds with one of {names}")
    if found and found[2] and not (int(found[2]) and int(found[3])):
        raise ValueError("a count and its seconds must be above 0")
    return str(value)


def proxy_words(value: Any) -> str:
    """Return an address or network of proxies, or ``unix`` for a Unix socket."""
    if value != "unix":
        try:
            ipaddress.ip_network(str(value), strict=False)
        except ValueError:
            raise ValueError("must be addresses or networks, or unix") from None
    return str(value)


@attrs.frozen(kw_only=True)
class HTTPSettings:
    """The part of `Settings` that only the HTTP surface reads."""

    public_url: str = option(
        "FRAPPE_ENROLL_PUBLIC_URL",
        "where the mount is reached from outside",
        "",
        convert=urls.optional_base,
    )
    redirect_hosts: tuple[str, ...] = option(
        "FRAPPE_ENROLL_REDIRECT_HOSTS",
        "hosts to which an HTTP caller's success and cancel URLs may point",
        (),
        convert=words(urls.authority),
    )
    cors_origins: tuple[str, ...] = option(
        "FRAPPE_ENROLL_CORS_ORIGINS",
        "origins whose pages may call the learners' routes",
        (),
        convert=words(urls.origin),
    )
    trusted_proxies: tuple[str, ...] = option(
        "FRAPPE_ENROLL_TRUSTED_PROXIES",
        "addresses or networks whose X-Forwarded headers are believed",
        (),
        convert=words(proxy_words),
    )
    proxy_keeps_prefix: bool = option(
        "FRAPPE_ENROLL_PROXY_KEEPS_PREFIX",
        "whether the prefix of X-Forwarded-Prefix is still in the path",
        default=False,
    )
    rate_limits: tuple[str, ...] = option(
        "FRAPPE_ENROLL_RATE_LIMITS",
        "limits other than the defaults, as name=count/seconds, or off",
        (),
        convert=words(limit_words),
    )
    rate_limit_storage: Secret = secret_option(
        "FRAPPE_ENROLL_RATE_LIMIT_STORAGE",
        "where requests are counted, e.g. redis://…; default: MongoDB, else memory",
    )
    account_check: bool = option(
        "FRAPPE_ENROLL_ACCOUNT_CHECK",
        "whether anybody may ask if an address has an account in the LMS",
        default=False,
    )
    body_limit: int = option(
        "FRAPPE_ENROLL_BODY_LIMIT",
        "largest request body in bytes",
        1_048_576,
        convert=in_range(int, 1024, 67_108_864),
    )
    cron_secret: Secret = secret_option(
        "FRAPPE_ENROLL_CRON_SECRET", "bearer secret of /cron/run", also=("CRON_SECRET",)
    )
    secret_key: Secret = secret_option(
        "FRAPPE_ENROLL_SECRET_KEY", "signs the cookie of the dashboard's sign-in"
    )
    admin_tokens: tuple[Secret, ...] = option(
        "FRAPPE_ENROLL_ADMIN_TOKENS",
        "hash lines of admin tokens (frappe-enroll admin-token create)",
        (),
        convert=words(Secret),
        secret=True,
    )
    sign_in_s: float = option(
        "FRAPPE_ENROLL_SIGN_IN_S",
        "seconds after which the dashboard's sign-in ends",
        28_800.0,
        convert=in_range(float, 60, 86_400),
    )
    sign_in_idle_s: float = option(
        "FRAPPE_ENROLL_SIGN_IN_IDLE_S",
        "seconds without a request after which it ends too",
        3600.0,
        convert=in_range(float, 60, 86_400),
    )
    hsts_s: int = option(
        "FRAPPE_ENROLL_HSTS_S",
        "seconds for which browsers keep to HTTPS; 0 = nothing is said",
        0,
        convert=in_range(int, 0, 63_072_000),
    )


def limits_uri(settings: Settings) -> str:
    """Return where requests are counted; "" is each process's own memory."""
    if settings.rate_limit_storage:
        return settings.rate_limit_storage.value
    return settings.mongodb_uri.value if settings.storage_name == "mongo" else ""


def http_contradictions(settings: HTTPSettings) -> list[str]:
    """Return what is wrong with the values of the HTTP settings."""
    found = []
    if any(not TOKEN_LINE.fullmatch(line.value) for line in settings.admin_tokens):
        found.append(
            "FRAPPE_ENROLL_ADMIN_TOKENS: each must be a line that "
            "`frappe-enroll admin-token create` printed (role:name:hash)"
        )
    for variable, secret in (
        ("FRAPPE_ENROLL_SECRET_KEY", settings.secret_key),
        ("FRAPPE_ENROLL_CRON_SECRET", settings.cron_secret),
    ):
        if secret and len(secret.value) < SHORTEST_SECRET:
            found.append(f"{variable}: must have {SHORTEST_SECRET} characters or more")
    return found

# SPDX-License-Identifier: MIT
"""
Rate limits, by the `limits` library: a moving window per client's address.

Never per learner: anybody may name her, and would lock her out.

Counts live in a shared store (MongoDB, Redis) or in this process's memory. While the
shared store is down, memory takes over: rate limits never cause an outage.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import attrs
from limits import RateLimitItemPerSecond

from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.ids import fingerprint
from frappe_enroll_sdk.settings.http import RATE_LIMITS
from frappe_enroll_sdk.stores.bounds import SKEW

from .errors import RateLimitedError
from .limitstore import LimitStore
from .proxies import bucket_of


if TYPE_CHECKING:
    from collections.abc import Mapping

    from limits.errors import StorageError
    from limits.strategies import MovingWindowRateLimiter

    from frappe_enroll_sdk import Settings

logger = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class Window:
    """
    The state of a caller's limit.

    Attributes:
        name: Name of the limit.
        quota: Requests per window.
        window_s: Seconds of the window.
        left: Remaining requests.
        reset_s: Seconds until the oldest request no longer counts.
    """

    name: str
    quota: int
    window_s: int
    left: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """Return the RateLimit headers (draft-ietf-httpapi-ratelimit-headers-10)."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.quota};w={self.window_s}',
            "RateLimit": f'"{self.name}";r={self.left};t={self.reset_s}',
        }


class Limits:
    """The limits of one SDK. Thread-safe; each process has its own client."""

    def __init__(self, settings: Settings) -> None:
        self.quotas = quotas_of(settings.rate_limits)
        self._store = LimitStore(settings)
        # Deployments may share a Redis.
        self._namespace = ":".join(filter(None, ("frappe-enroll", settings.deployment)))

    def close(self) -> None:
        """Close the store's client; the next request opens a new one."""
        self._store.close()

    def hit_address(self, name: str, address: str) -> Window | None:
        """Count a request from an address, or raise `RateLimitedError`."""
        return self._hit(name, "address", bucket_of(address))

    def hit_code(self, address: str, code: str) -> Window | None:
        """
        Count an attempt with a code; raises `RateLimitedError` past the limit.

        By whatever learners' addresses: one client does not hold all seats of a code.
        """
        who = fingerprint(bucket_of(address), code.strip().upper())[:32]
        return self._hit("seats", "code", who)

    def require_left(self, name: str, address: str) -> None:
        """Raise `RateLimitedError` if no requests remain, without counting one."""
        self._hit(name, "address", bucket_of(address), peek=True)

    def _hit(
        self, name: str, kind: str, who: str, *, peek: bool = False
    ) -> Window | None:
        quota = self.quotas.get(name)
        if quota is None:
            return None
        item = RateLimitItemPerSecond(quota[0], quota[1], namespace=self._namespace)
        return self._store.run(
            lambda limiter: _count(limiter, item, name, kind, who, peek=peek), _warn
        )


def quotas_of(words: tuple[str, ...]) -> Mapping[str, tuple[int, int]]:
    """Return (requests, seconds) of each enabled limit by name."""
    if "off" in words:
        return {}
    quotas = dict(RATE_LIMITS)
    for word in words:
        name, _, quota = word.partition("=")
        if quota == "off":
            quotas.pop(name, None)
        else:
            count, _, seconds = quota.partition("/")
            quotas[name] = (int(count), int(seconds))
    return quotas


def _warn(error: StorageError) -> None:
    logger.warning(
        "the store of the rate limits is failing; counting requests in memory",
        extra={"cause": type(error.storage_error).__name__},
    )


def _hit(
    limiter: MovingWindowRateLimiter,
    item: RateLimitItemPerSecond,
    *caller: str,
    peek: bool,
) -> tuple[bool, int, int]:
    """Return whether it is allowed, how many remain, and when one is freed."""
    allowed = (limiter.test if peek else limiter.hit)(item, *caller)
    reset_at, left = limiter.get_window_stats(item, *caller)
    # The library stamps its entries with the wall clock.
    reset_s = math.ceil(reset_at - SystemClock().now().timestamp())
    return allowed, left, reset_s


def _count(
    limiter: MovingWindowRateLimiter,
    item: RateLimitItemPerSecond,
    name: str,
    kind: str,
    who: str,
    *,
    peek: bool,
) -> Window:
    allowed, left, reset_s = _hit(limiter, item, name, kind, who, peek=peek)
    if not allowed and reset_s > item.get_expiry() + SKEW.total_seconds():
        # Counted while the clock ran ahead; no window is that long.
        limiter.clear(item, name, kind, who)
        allowed, left, reset_s = _hit(limiter, item, name, kind, who, peek=peek)
    if not allowed:
        raise RateLimitedError(retry_after_s=max(reset_s, 1))
    return Window(
        name=name,
        quota=item.amount,
        window_s=item.get_expiry(),
        left=max(left, 0),
        reset_s=max(reset_s, 0),
    )

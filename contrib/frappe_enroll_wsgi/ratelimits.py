# SPDX-License-Identifier: MIT
"""
Rate limits, by the `limits` library: a moving window per client's address.

Never per learner: anybody may name her, and would lock her out.

Counted where all processes see it (MongoDB, Redis) or in this process's memory. While
that store is down, this process's memory counts: a limit is never a reason to be down.
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
    Where a caller stands.

    Attributes:
        name: Name of the limit.
        quota: Requests per window.
        window_s: Seconds of the window.
        left: Requests that are left.
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
    """The limits of one SDK. Thread-safe; each process opens its own store."""

    def __init__(self, settings: Settings) -> None:
        self.quotas = quotas_of(settings.rate_limits)
        self._store = LimitStore(settings)
        # Deployments may share a Redis.
        self._namespace = ":".join(filter(None, ("frappe-enroll", settings.deployment)))

    def close(self) -> None:
        """End the store's client; the next request opens it again."""
        self._store.close()

    def hit_address(self, name: str, address: str) -> Window | None:
        """Count a request of an address; raises `RateLimitedError` past the limit."""
        return self._hit(name, "address", bucket_of(address))

    def hit_code(self, address: str, code: str) -> Window | None:
        """
        Count an attempt with a code; raises `RateLimitedError` past the limit.

        By whatever learners' addresses: one client does not hold all seats of a code.
        """
        who = fingerprint(bucket_of(address), code.strip().upper())[:32]
        return self._hit("seats", "code", who)

    def require_left(self, name: str, address: str) -> None:
        """Count nothing; raises `RateLimitedError` where nothing is left."""
        self._hit(name, "address", bucket_of(address), look=True)

    def _hit(
        self, name: str, kind: str, who: str, *, look: bool = False
    ) -> Window | None:
        quota = self.quotas.get(name)
        if quota is None:
            return None
        item = RateLimitItemPerSecond(quota[0], quota[1], namespace=self._namespace)
        return self._store.run(
            lambda limiter: _count(limiter, item, name, kind, who, look=look), _tell
        )


def quotas_of(words: tuple[str, ...]) -> Mapping[str, tuple[int, int]]:
    """Return (requests, seconds) by name of the limits that are on."""
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


def _tell(error: StorageError) -> None:
    logger.warning(
        "requests are counted in memory: the store of the limits fails",
        extra={"cause": type(error.storage_error).__name__},
    )


def _hit(
    limiter: MovingWindowRateLimiter,
    item: RateLimitItemPerSecond,
    *caller: str,
    look: bool,
) -> tuple[bool, int, int]:
    """Return whether it is allowed, how many are left, and when one comes back."""
    allowed = (limiter.test if look else limiter.hit)(item, *caller)
    reset_at, left = limiter.get_window_stats(item, *caller)
    # The library stamps its entries by the wall clock.
    reset_s = math.ceil(reset_at - SystemClock().now().timestamp())
    return allowed, left, reset_s


def _count(
    limiter: MovingWindowRateLimiter,
    item: RateLimitItemPerSecond,
    name: str,
    kind: str,
    who: str,
    *,
    look: bool,
) -> Window:
    allowed, left, reset_s = _hit(limiter, item, name, kind, who, look=look)
    if not allowed and reset_s > item.get_expiry() + SKEW.total_seconds():
        # Counted while the clock ran ahead: no window is that long.
        limiter.clear(item, name, kind, who)
        allowed, left, reset_s = _hit(limiter, item, name, kind, who, look=look)
    if not allowed:
        raise RateLimitedError(retry_after_s=max(reset_s, 1))
    return Window(
        name=name,
        quota=item.amount,
        window_s=item.get_expiry(),
        left=max(left, 0),
        reset_s=max(reset_s, 0),
    )

# SPDX-License-Identifier: MIT
"""
Rate limits, by the `limits` library: a moving window per address and per learner.

Counted where all processes see it (MongoDB, Redis) or in this process's memory. While
that store is down, this process's memory counts: a limit is never a reason to be down.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs
from limits import RateLimitItemPerSecond
from limits.errors import ConfigurationError as LimitsConfigurationError
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.errors import SettingsError
from frappe_enroll_sdk.ids import fingerprint
from frappe_enroll_sdk.settings_http import RATE_LIMITS, limits_uri

from .errors import RateLimitedError
from .proxies import bucket_of


if TYPE_CHECKING:
    from collections.abc import Mapping

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
        self._uri = limits_uri(settings)
        self._database = settings.mongodb_database
        # Deployments may share a Redis.
        self._namespace = ":".join(filter(None, ("frappe-enroll", settings.deployment)))
        self._lock = threading.Lock()
        self._pid = -1
        self._shared: MovingWindowRateLimiter
        self._own: MovingWindowRateLimiter

    def hit_address(self, name: str, address: str) -> Window | None:
        """Count a request of an address; raises `RateLimitedError` past the limit."""
        return self._hit(name, "address", bucket_of(address))

    def hit_learner(self, name: str, email: str) -> Window | None:
        """Count a request for a learner; raises `RateLimitedError` past the limit."""
        return self._hit(name, "learner", fingerprint(email.strip().lower())[:32])

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
        self._open()
        try:
            return _count(self._shared, item, name, kind, who, look=look)
        except StorageError as error:
            logger.warning(
                "requests are counted in memory: the store of the limits fails",
                extra={"cause": type(error.storage_error).__name__},
            )
            return _count(self._own, item, name, kind, who, look=look)

    def _open(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            self._own = MovingWindowRateLimiter(MemoryStorage())
            shared = self._uri and _shared(self._uri, self._database)
            self._shared, self._pid = shared or self._own, os.getpid()


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


def _shared(uri: str, database: str) -> MovingWindowRateLimiter:
    options: dict[str, str] = {}
    if uri.startswith("mongodb"):
        # The library's own would be one database for all deployments of a server.
        options = {
            "database_name": urlsplit(uri).path.strip("/") or database,
            "counter_collection_name": "rate_limit_counters",
            "window_collection_name": "rate_limit_windows",
        }
    try:
        store = storage_from_string(uri, wrap_exceptions=True, **options)
        return MovingWindowRateLimiter(store)
    except (
        LimitsConfigurationError,
        NotImplementedError,
        ImportError,
        ValueError,
    ) as error:
        raise SettingsError(
            "FRAPPE_ENROLL_RATE_LIMIT_STORAGE: can't count there "
            f"({type(error).__name__}); redis:// and mongodb:// can"
        ) from error


def _count(
    limiter: MovingWindowRateLimiter,
    item: RateLimitItemPerSecond,
    name: str,
    kind: str,
    who: str,
    *,
    look: bool,
) -> Window:
    count = limiter.test if look else limiter.hit
    allowed = count(item, name, kind, who)
    reset_at, left = limiter.get_window_stats(item, name, kind, who)
    # The library stamps its entries by the wall clock.
    reset_s = math.ceil(reset_at - SystemClock().now().timestamp())
    if not allowed:
        raise RateLimitedError(retry_after_s=max(reset_s, 1))
    return Window(
        name=name,
        quota=item.amount,
        window_s=item.get_expiry(),
        left=max(left, 0),
        reset_s=max(reset_s, 0),
    )

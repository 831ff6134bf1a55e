# SPDX-License-Identifier: MIT
"""
The store of the rate limits: a client of the `limits` library with our own rules.

It has a short time-out (requests wait for it), our own key prefix and database, a pause
after each failure, and it closes with the SDK.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from limits.errors import ConfigurationError as LimitsConfigurationError
from limits.errors import StorageError
from limits.storage import MemoryStorage, MongoDBStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.errors import SettingsError


if TYPE_CHECKING:
    from frappe_enroll_sdk import Settings

T = TypeVar("T")

#: Seconds that one call may take, and of the pause after a failure.
_TIMEOUT_S, _REST_S = 1.0, 5.0
_APP_NAME = "frappe-enroll-sdk"


class LimitStore:
    """
    The shared store, or this process's memory while it is down. Thread-safe.

    Each process opens its own.
    """

    def __init__(self, settings: Settings) -> None:
        self._uri = settings.limits_uri
        self._options = _options_of(self._uri, settings.mongodb_database)
        self._lock = threading.Lock()
        self._pid = -1
        self._rest_until = 0.0
        self._shared: MovingWindowRateLimiter | None = None
        self._own = MovingWindowRateLimiter(MemoryStorage())

    def run(
        self,
        count: Callable[[MovingWindowRateLimiter], T],
        failed: Callable[[StorageError], object],
    ) -> T:
        """
        Count in the shared store, or in this process's memory if it fails.

        Args:
            count: Counts in a storage.
            failed: Called with the error, once per pause.
        """
        shared = self._open()
        if shared is None:
            return count(self._own)
        try:
            return count(shared)
        except StorageError as error:
            self._rest(shared)
            failed(error)
            return count(self._own)

    def close(self) -> None:
        """Close the client; the next request opens a new one."""
        with self._lock:
            shared, self._shared = self._shared, None
            mine = self._pid == os.getpid()
        if shared is not None and mine:
            _end(shared)

    def _open(self) -> MovingWindowRateLimiter | None:
        if self._pid != os.getpid():
            # After a fork the child needs its own client and counts.
            self._lock, self._pid = threading.Lock(), os.getpid()
            self._shared, self._rest_until = None, 0.0
            self._own = MovingWindowRateLimiter(MemoryStorage())
        with self._lock:
            if self._uri and self._shared is None and self._is_awake():
                self._shared = _made(self._uri, self._options)
            return self._shared

    def _is_awake(self) -> bool:
        return SYSTEM.monotonic() >= self._rest_until

    def _rest(self, shared: MovingWindowRateLimiter) -> None:
        """Start the pause; after it a new client makes the missing indexes."""
        with self._lock:
            if self._shared is not shared:
                return
            self._shared = None
            self._rest_until = SYSTEM.monotonic() + _REST_S
        _end(shared)


class _MongoWindows(MongoDBStorage):
    """
    The library's MongoDB storage, which closes only when told to.

    The library's own closes when it is collected; for that it opens a client and waits
    half a minute for a server that is gone.
    """

    STORAGE_SCHEME = []  # noqa: RUF012  as the library declares it

    def close(self) -> None:
        """Close the client, if it was opened."""
        client, self._storage = self._storage, None
        if client is not None:
            client.close()

    def __del__(self) -> None:
        """Do nothing."""


def _options_of(uri: str, database: str) -> dict[str, Any]:
    scheme = urlsplit(uri).scheme
    if scheme.startswith("mongodb"):
        milliseconds = int(_TIMEOUT_S * 1000)
        named = {} if "appname=" in uri.lower() else {"appname": _APP_NAME}
        return named | {
            # The library's default would share one database among all deployments.
            "database_name": urlsplit(uri).path.strip("/") or database,
            "counter_collection_name": "rate_limit_counters",
            "window_collection_name": "rate_limit_windows",
            "timeoutMS": milliseconds,
            # Closing a client talks to the server, too.
            "serverSelectionTimeoutMS": milliseconds,
        }
    if scheme.startswith(("redis", "valkey")):
        timed = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
        return timed if "+" in scheme else timed | {"client_name": _APP_NAME}
    return {}


def _made(uri: str, options: dict[str, Any]) -> MovingWindowRateLimiter:
    try:
        make = _MongoWindows if uri.startswith("mongodb") else storage_from_string
        return MovingWindowRateLimiter(make(uri, wrap_exceptions=True, **options))
    except (
        LimitsConfigurationError,
        NotImplementedError,
        ImportError,
        ValueError,
    ) as error:
        raise SettingsError(
            "FRAPPE_ENROLL_RATE_LIMIT_STORAGE: this store cannot be used "
            f"({type(error).__name__}); use redis:// or mongodb://"
        ) from error


def _end(limiter: MovingWindowRateLimiter) -> None:
    store: Any = limiter.storage
    client = store if isinstance(store, _MongoWindows) else getattr(store, "storage", 0)
    close = getattr(client, "close", None)
    if close is not None:
        close()

# SPDX-License-Identifier: MIT
"""`SQLStorage`: all stores over the tables of one SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from frappe_enroll_sdk.errors import MissingExtraError
from frappe_enroll_sdk.stores.storage import TableStorage


try:
    from .tables import SQLiteTables
except ImportError as error:  # the text is the command that fixes it
    raise MissingExtraError("sql", "SQLAlchemy") from error

from .coupons import SQLiteCoupons


if TYPE_CHECKING:
    from frappe_enroll_sdk.clock import Clock
    from frappe_enroll_sdk.settings import Settings


__all__ = ("SQLStorage",)


class SQLStorage(TableStorage):
    """
    `Storage` on SQL (SQLite files; other databases are refused).

    Thread-safe and fork-safe. A write is synced to the file before it is confirmed.
    """

    def __init__(self, url: str) -> None:
        super().__init__(SQLiteTables(url), coupons=SQLiteCoupons)

    @classmethod
    def from_settings(cls, settings: Settings, _clock: Clock) -> Self:
        """Build it from ``DATABASE_URL`` (or the default file)."""
        return cls(settings.resolved_database_url)

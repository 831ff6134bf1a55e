# SPDX-License-Identifier: MIT
"""`MongoStorage`: the SDK's stores over MongoDB's tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import pymongo

from frappe_enroll_sdk.errors import SettingsError
from frappe_enroll_sdk.stores.storage import TableStorage

from .coupons import MongoCoupons
from .tables import MongoTables


if TYPE_CHECKING:
    from frappe_enroll_sdk.clock import Clock
    from frappe_enroll_sdk.settings import Settings


__all__ = ("MongoStorage",)


class MongoStorage(TableStorage):
    """`Storage` on MongoDB; see `MongoTables` for its arguments."""

    tables: MongoTables

    def __init__(
        self,
        uri: str,
        database: str,
        *,
        client_factory: Callable[..., Any] = pymongo.MongoClient,
    ) -> None:
        tables = MongoTables(uri, database, client_factory=client_factory)
        super().__init__(tables, coupons=MongoCoupons)

    @classmethod
    def from_settings(cls, settings: Settings, _clock: Clock) -> Self:
        """
        Build it from ``MONGODB_URI`` and ``MONGODB_DATABASE``.

        Raises:
            SettingsError: There is no URI.
        """
        if not settings.mongodb_uri:
            raise SettingsError("MONGODB_URI: is needed for the storage backend mongo")
        return cls(settings.mongodb_uri.value, settings.mongodb_database)

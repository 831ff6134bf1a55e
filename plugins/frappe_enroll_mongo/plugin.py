# SPDX-License-Identifier: MIT
"""What this package brings; importing it imports no driver."""

from collections.abc import Callable

from frappe_enroll_sdk.hookspecs import hookimpl


@hookimpl
def register_backends(register: Callable[[str, str, str], None]) -> None:
    """Register the storage backend ``mongo``."""
    register("storage", "mongo", "frappe_enroll_mongo.storage:MongoStorage")

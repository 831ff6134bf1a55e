# SPDX-License-Identifier: MIT
"""Does a store's schema fit this code? One rule, in one set of words."""

from __future__ import annotations

from ..errors import SchemaError


__all__ = ("require_not_newer", "require_schema")


def require_schema(found: int | None, needed: int) -> None:
    """
    Refuse a schema that is missing, older or newer.

    Args:
        found: The store's version, or None where it has no tables.
        needed: The version that this code reads and writes.

    Raises:
        SchemaError: Says what to do.
    """
    require_not_newer(found, needed)
    if found is None:
        raise SchemaError("the database has no tables yet: run `frappe-enroll setup`")
    if found < needed:
        raise SchemaError(
            f"the schema is version {found}, this code needs {needed}: "
            "run `frappe-enroll setup`"
        )


def require_not_newer(found: int | None, needed: int) -> None:
    """
    Refuse a schema that newer code has made: `setup` never goes back.

    Raises:
        SchemaError: Says what to do.
    """
    if found is not None and found > needed:
        raise SchemaError(
            f"the schema is version {found}, newer than this code's {needed}: "
            "update frappe-enroll-sdk on this host"
        )

# SPDX-License-Identifier: MIT
"""Records that are replaced whole where the version before stands."""

from __future__ import annotations

from typing import Protocol, TypeVar

from .rows import Records


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...
    @property
    def op_id(self) -> str: ...


V = TypeVar("V", bound=_Versioned)


def replace(records: Records[V], record: V) -> bool:
    """
    Write a record in the place of its `version` - 1; False = another one stands.

    One that stands already, by its `op_id`, was written by an earlier call whose answer
    was lost: it is confirmed.
    """

    def change(before: V) -> V | None:
        ours = (before.version, before.op_id) == (record.version, record.op_id)
        if ours and record.op_id:
            return before
        return record if before.version == record.version - 1 else None

    key = records.codec.key_of(record)
    return records.change(key, change, confirm=True) is not None

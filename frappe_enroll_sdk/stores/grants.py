# SPDX-License-Identifier: MIT
"""Applications for grants."""

from __future__ import annotations

from ..codec import require_text
from ..interfaces.tables import Query, Row
from ..models import Grant, GrantStatus, Page
from .layout import GRANTS
from .records import Codec
from .rows import Port, Records, SlotTakenError, query_of
from .versions import replace


CODEC = Codec(
    Grant,
    GRANTS,
    lambda grant: grant.id,
    computed={"id": lambda row: row.key},
    derived=lambda grant: {"held": 1 if grant.holds_slot else None},
)


class Grants:
    """`GrantStore` over tables."""

    def __init__(self, port: Port) -> None:
        self._records = Records(port, CODEC)

    def open(self, grant: Grant) -> Grant:
        """See `GrantStore.open`."""
        slot = Query(
            "slot", {"email": grant.email, "course_id": grant.course_id, "held": 1}
        )

        def standing() -> Row | None:
            rows = self._records.rows
            holder = rows.first(slot) if grant.holds_slot else None
            return rows.one(grant.id) or holder

        return self._records.stand(grant, standing)

    def find(self, grant_id: str) -> Grant | None:
        """See `GrantStore.find`."""
        require_text(id=grant_id)
        return self._records.find(grant_id)

    def replace(self, grant: Grant) -> bool:
        """See `GrantStore.replace`."""
        try:
            return replace(self._records, grant)
        except SlotTakenError:
            return False

    def list(
        self,
        *,
        email: str | None = None,
        course_id: str | None = None,
        status: GrantStatus | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Grant]:
        """See `GrantStore.list`."""
        require_text(email=email, course_id=course_id, status=status)
        wanted = {
            "email": (email, "by_email"),
            "course_id": (course_id, "by_course"),
            "status": (status and status.value, "by_status"),
        }
        query = query_of(wanted)
        return self._records.list(query, limit, cursor)

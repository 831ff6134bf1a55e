# SPDX-License-Identifier: MIT
"""What operators change about grants, affiliates and coupons in bulk."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from frappe_enroll_sdk.models import Affiliate, Grant, LedgerRow
from frappe_enroll_sdk.services import validate
from frappe_enroll_sdk.services.coupons.files import Imported

from .orders import Orders


class BusinessOrders(Orders):
    """More orders of one operator; see `Orders`. The services audit their own."""

    def create_coupons(self, count: int, terms: dict[str, Any]) -> list[str]:
        """Create coupons of the same terms; return their codes."""
        terms["any_course"] = terms.get("course_id") is None
        for name in ("starts_at", "expires_at"):
            if terms.get(name):
                terms[name] = validate.moment_of(terms[name], name)
        # Asked for first: what is refused is not audited.
        made = self._sdk.coupons.create_each(count, **terms)
        prefix = str(terms.get("prefix", "GRANT"))
        codes: list[str] = []
        with self._order("create_coupons", prefix, wanted=count) as told:
            for coupon in made:
                codes.append(coupon.code)
                told["count"] = len(codes)
        return codes

    def import_coupons(self, text: str, *, all_or_nothing: bool) -> Imported:
        """Create the coupons of a CSV text."""
        report = Imported()
        with self._order("import_coupons", "csv") as told:
            try:
                self._sdk.coupons.import_csv(
                    io.StringIO(text, newline=""),
                    all_or_nothing=all_or_nothing,
                    report=report,
                )
            finally:
                told.update(report.counts)
        return report

    def approve(
        self, grant_id: str, percent_off: Any, expires_at: str | None = None
    ) -> Grant:
        """Approve an application."""
        until = validate.moment_of(expires_at, "expires_at") if expires_at else None
        return self._sdk.grants.approve(
            grant_id,
            percent_off,
            actor=self._actor,
            reason=self._reason,
            expires_at=until,
        )

    def approve_many(
        self, grant_ids: Sequence[str], percent_off: Any
    ) -> dict[str, str]:
        """Approve several, each by itself; return the code or ``error: …`` of each."""
        return self._sdk.grants.approve_many(
            grant_ids, percent_off, actor=self._actor, reason=self._reason
        )

    def reject(self, grant_id: str) -> Grant:
        """Reject an application."""
        return self._sdk.grants.reject(grant_id, actor=self._actor, reason=self._reason)

    def register(self, fields: dict[str, Any]) -> Affiliate:
        """Register an affiliate; a known one is answered as it is."""
        found = self._sdk.affiliates.register(**fields)
        self._note("affiliate_registered", found.code)
        return found

    def suspend(self, code: str, *, suspended: bool) -> Affiliate:
        """Let an affiliate earn nothing any more, or again."""
        return self._sdk.affiliates.suspend(
            code, self._actor, self._reason, suspended=suspended
        )

    def pay_out(self, code: str, currency: str, **more: Any) -> LedgerRow:
        """Write a payout."""
        return self._sdk.affiliates.pay_out(
            code, currency, self._actor, self._reason, **more
        )

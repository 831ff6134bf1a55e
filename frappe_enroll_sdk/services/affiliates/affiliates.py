# SPDX-License-Identifier: MIT
"""Affiliates: registering, commissions as a ledger, payouts."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import IO, TYPE_CHECKING
from urllib.parse import urlencode

import attrs

from ...codec import moment_of, text_of
from ...errors import (
    CodeTakenError,
    ConflictError,
    DamagedRowError,
    NotFoundError,
    SelfReferralError,
    TransitionError,
    ValidationError,
)
from ...ids import new_coupon_code
from ...mailbox import mailbox_of
from ...models import Affiliate, LedgerRow, Page, RowKind, Totals, walk
from ...models.jobs import PAYOUT_KIND
from ...money import share
from ...outcomes import Done, Outcome, Snooze
from .. import audit, validate
from .commissions import MAX_RACES
from .statement import Breakdown, Breakdowns, Cells, statement_of


if TYPE_CHECKING:
    from ...models import Job
    from ..context import Context
    from .commissions import Commissions

#: How long to wait for a payout that is being written.
_UNWRITTEN = timedelta(hours=1)
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")
_BATCH = 500


class Affiliates:
    """The affiliates of one SDK. Thread-safe."""

    def __init__(self, context: Context, commissions: Commissions) -> None:
        self._context, self._commissions = context, commissions
        self._breakdowns = Breakdowns()

    def register(
        self,
        email: str,
        *,
        full_name: str | None = None,
        code: str | None = None,
        percent: Decimal | int | str | None = None,
        actor: str = "",
        reason: str = "",
    ) -> Affiliate:
        """
        Register an affiliate, or return the existing one unchanged.

        Args:
            email: Address.
            full_name: Name.
            code: The code in the link (lower-case letters, digits, dashes), or
                generated.
            percent: Commission; ``FRAPPE_ENROLL_COMMISSION_PERCENT`` if not given.
            actor: Who registers it, for the audit trail.
            reason: Why, for the audit trail.

        Raises:
            ValidationError: Names the field.
            CodeTakenError: Another affiliate has the code.
        """
        by = audit.actor_of(actor, reason)
        address = validate.email(email)
        name = code
        if name is None:
            name = new_coupon_code("", 2, ambient=self._context.ambient).lower()
        if not _CODE.fullmatch(validate.text(name, "code")):
            raise ValidationError(
                "code: lower-case letters, digits, dashes", field="code"
            )
        share = self._context.settings.commission_percent
        mine = Affiliate(
            code=name,
            email=address,
            full_name=validate.optional_text(full_name, "full_name"),
            percent=share if percent is None else _percent(percent),
            op_id=self._context.new_op_id(),
            created_at=self._context.now(),
        )
        standing = self._context.storage.affiliates.register(mine)
        if standing.email != address:
            raise CodeTakenError("code: is taken", field="code")
        if standing.op_id == mine.op_id:
            audit.write(self._context, by, "affiliate_registered", standing.code)
        return standing

    def referrer(self, name: str, learner: str) -> str | None:
        """
        Return the code of the affiliate who referred a learner.

        Return an unknown name unchanged, but not an unknown address, which is personal.

        Args:
            name: Code or e-mail, as given in the link.
            learner: The learner's address, normalised.

        Raises:
            SelfReferralError: It is the learner, under any spelling of the mailbox.
        """
        given = name.lower()
        if "@" in given and mailbox_of(given) == mailbox_of(learner):
            raise SelfReferralError(field="affiliate")
        store = self._context.storage.affiliates
        try:
            found = store.find_by_email(given) if "@" in given else store.find(given)
        except DamagedRowError:
            # No reason not to sell: its commission waits until the row is mended.
            found = None
        if found is None:
            return None if "@" in given else name
        if mailbox_of(found.email) == mailbox_of(learner):
            raise SelfReferralError(field="affiliate")
        return found.code

    def get(self, name: str) -> Affiliate:
        """
        Return an affiliate by code or e-mail.

        Raises:
            NotFoundError: There is none.
        """
        store, text = self._context.storage.affiliates, validate.text(name, "affiliate")
        found = store.find_by_email(text.lower()) if "@" in text else store.find(text)
        if found is None:
            raise NotFoundError(field="affiliate")
        return found

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Affiliate]:
        """Return affiliates in order of code."""
        paging = validate.paging(limit, cursor)
        return self._context.storage.affiliates.list(**paging)

    def link(self, name: str, course_id: str) -> str:
        """Return the affiliate's link to a course."""
        affiliate = self.get(name)
        query = urlencode({"course": course_id, "affiliate": affiliate.code})
        return f"{self._context.settings.public_url or ''}/?{query}"

    def suspend(
        self, name: str, actor: str, reason: str, *, suspended: bool = True
    ) -> Affiliate:
        """Stop an affiliate's commissions, or resume them; idempotent."""
        by = audit.require_actor(actor, reason)
        for _ in range(MAX_RACES):
            before = self.get(name)
            if before.suspended == suspended:
                return before
            after = attrs.evolve(
                before,
                suspended=suspended,
                version=before.version + 1,
                op_id=self._context.new_op_id(),
            )
            if self._context.storage.affiliates.replace(after):
                action = "affiliate_suspended" if suspended else "affiliate_resumed"
                audit.write(self._context, by, action, after.code)
                return after
        raise ConflictError("the affiliate keeps changing; try again")

    def stats(self, name: str) -> tuple[Totals, ...]:
        """Return the held, available and paid totals per currency (the last row's)."""
        last = self._context.storage.affiliates.last(self.get(name).code)
        return last.totals if last else ()

    def rows(
        self, name: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[LedgerRow]:
        """Return the ledger's rows, oldest first."""
        paging = validate.paging(limit, cursor)
        return self._context.storage.affiliates.list_rows(self.get(name).code, **paging)

    def by_course(self, name: str) -> Breakdown:
        """
        Return each course's commissions, at most five minutes old.

        `stats` is always exact; this adds up the whole ledger, so each process caches
        the result for `KEPT_S` seconds.
        """
        code, now = self.get(name).code, self._context.now()
        return self._breakdowns.get(code, now, lambda: self._all_rows(code))

    def statement(
        self,
        name: str,
        out: IO[str],
        unreadable: Callable[[str], object] | None = None,
    ) -> int:
        """
        Write the whole ledger as CSV, a page at a time; count the rows.

        Args:
            name: Code or e-mail.
            out: Where it goes.
            unreadable: Called with each row that can't be read: "name: why".
        """
        writer, count = csv.writer(out), -1
        rows = statement_of(self._all_rows(self.get(name).code, unreadable))
        for count, cells in enumerate(rows):  # noqa: B007  the count is the answer
            writer.writerow(cells)
        return count

    def statement_rows(self, name: str) -> Iterator[Cells]:
        """Return the rows of the ledger's statement, header first."""
        return statement_of(self._all_rows(self.get(name).code))

    def _all_rows(
        self, code: str, unreadable: Callable[[str], object] | None = None
    ) -> Iterator[LedgerRow]:
        find = self._context.storage.affiliates.list_rows
        return walk(lambda cursor: find(code, limit=_BATCH, cursor=cursor), unreadable)

    def pay_out(
        self,
        name: str,
        currency: str,
        actor: str,
        reason: str,
        *,
        amount_minor: int | None = None,
        payout_id: str | None = None,
    ) -> LedgerRow:
        """
        Record a payout (the host itself sends the money); return its row.

        Args:
            name: Code or e-mail.
            currency: The currency to pay out.
            actor: Who pays.
            reason: Why; for instance the transfer's reference.
            amount_minor: The amount; everything available if not given.
            payout_id: The caller's id; the same id pays only once.

        Raises:
            TransitionError: That much is not available. Callers racing for one balance
                each get what is left at their turn.
        """
        code = self.get(name).code
        by = audit.require_actor(actor, reason)
        if amount_minor is not None:
            most = validate.MAX_WHOLE
            validate.whole(amount_minor, "amount_minor", least=-most, most=most)
        given = payout_id or f"pay_{self._context.ambient.token_hex(12)}"
        key = validate.text(given, "payout_id")
        store = self._context.storage.affiliates
        known = [r for r in store.rows_of(code, key) if r.kind is RowKind.PAYOUT]
        if known:
            return self._tell(known[0])

        def make(last: LedgerRow | None) -> LedgerRow:
            there = last.totals_in(currency).available_minor if last else 0
            wanted = there if amount_minor is None else amount_minor
            if not 0 < wanted <= there:
                raise TransitionError(f"{there} {currency} (minor units) is available")
            return LedgerRow(
                affiliate=code,
                n=0,
                kind=RowKind.PAYOUT,
                enrollment_id=key,
                currency=currency,
                available_minor=-wanted,
                paid_minor=wanted,
                actor=by.name,
                reason=by.reason,
                op_id=self._context.new_op_id(),
                at=self._context.now(),
            )

        self._owe_payout(code, key)
        row = self._commissions.append(code, make)
        if row is None:
            raise ConflictError("the payout was not written")
        audit.write(self._context, by, "affiliate_paid_out", code)
        return self._tell(row)

    def _owe_payout(self, code: str, payout_id: str) -> None:
        """Enqueue a payout's job before its row, in case the process dies then."""
        if not self._context.plugins.job_kinds("commission_paid"):
            return
        now = self._context.now()
        self._context.storage.jobs.enqueue(
            f"{PAYOUT_KIND}:{code}:{payout_id}",
            PAYOUT_KIND,
            {
                "affiliate": code,
                "payout_id": payout_id,
                "until": text_of(now + _UNWRITTEN),
            },
            now + self._context.grace,
            now=now,
        )

    def follow_payout(self, job: Job) -> Outcome:
        """Ensure that a payout's plugin jobs are enqueued, if it was written."""
        payload = job.payload or {}
        names = str(payload["affiliate"]), str(payload["payout_id"])
        for row in self._context.storage.affiliates.rows_of(*names):
            self._tell(row)
            return Done("told")
        if self._context.now() < moment_of(str(payload["until"])):
            return Snooze(self._context.settle_policy.grace_s)
        # The process about to write it has died, or was refused.
        return Done("nothing")

    def _tell(self, row: LedgerRow) -> LedgerRow:
        """Enqueue the plugins' jobs for a payout: keyed, so safe to repeat."""
        now, fact = self._context.now(), "commission_paid"
        for kind in self._context.plugins.job_kinds(fact):
            key = f"{kind}:{row.affiliate}:{fact}:{row.enrollment_id}"
            payload = {
                "fact": fact,
                "affiliate": row.affiliate,
                "payout_id": row.enrollment_id,
            }
            self._context.storage.jobs.enqueue(
                key, kind, payload, now, now=now, once=True
            )
        return row


def _percent(value: Decimal | float | str) -> Decimal:
    percent = share(value)
    if percent is None:
        raise ValidationError("percent: must be from 0 to 100", field="percent")
    return percent

# SPDX-License-Identifier: MIT
"""Reconciliation on a schedule: what is new is compared, differences are told."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from ...models import Trail
from ..alerts import raise_alert


if TYPE_CHECKING:
    from ..context import Context
    from .reconcile import Reconcile

logger = logging.getLogger(__name__)

#: Rows of one page: each costs up to four calls to the backends.
_PAGE = 50
#: How many intervals back it looks, so that one that was missed is made up for.
_LOOK_BACK = 2


class ScheduledReconcile:
    """A task of `Maintenance`."""

    def __init__(self, context: Context, reconcile: Reconcile) -> None:
        self._context, self._reconcile = context, reconcile

    def __call__(self, _limit: int, has_time: Callable[[], bool]) -> int:
        """Compare page by page while there is time; return 0, having told the rest."""
        settings = self._context.settings
        span = timedelta(seconds=settings.reconcile_every_s * _LOOK_BACK)
        since, cursor = self._context.now() - span, None
        found: Counter[str] = Counter()
        trail = Trail()
        while has_time():
            report = self._reconcile(
                repair=settings.reconcile_repair,
                rebuild=False,
                since=since,
                limit=_PAGE,
                cursor=cursor,
            )
            found.update(str(finding.difference) for finding in report.findings)
            cursor = trail.follow(report.next_cursor)
            if cursor is None:
                break
        self._tell(found)
        return 0

    def _tell(self, found: Counter[str]) -> None:
        if not found:
            return
        logger.warning("reconcile found differences", extra={"found": dict(found)})
        raise_alert(self._context, "reconcile_differences", "reconcile")

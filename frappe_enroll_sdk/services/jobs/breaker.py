# SPDX-License-Identifier: MIT
"""
The breakers of the backends, which all workers and cron passes share in the store.

Only a ping opens one, never a job; whoever comes once its time is over sends one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ... import wall
from ...errors import BlindKeyError, EnrollError
from ..alerts import raise_alert
from .verdict import needs_ping


if TYPE_CHECKING:
    from ...models import Admission
    from ..context import Context

logger = logging.getLogger(__name__)

LMS, PAYMENTS = "lms", "payments"
#: The backends that have a breaker.
BACKENDS = (LMS, PAYMENTS)


class Breakers:
    """The breakers of one SDK's backends, kept in the store. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def admit(self, backend: str, n: int) -> Admission:
        """Ask to start `n` jobs; with 0, only tell whether the breaker is open."""
        now, policy = self._context.now(), self._context.gate_policy
        return self._context.storage.gates.admit(backend, n, now, policy)

    def probe(self, backend: str) -> bool:
        """Ping a backend and report the result to its breaker; True = it works."""
        context = self._context
        ping = context.lms.ping if backend == LMS else context.payments.ping
        try:
            wall.contained(f"{backend}'s ping", ping)
        except Exception as error:  # noqa: BLE001  any error means that it is down
            self._report(backend, ok=False, code=code_of(error))
            return False
        self._report(backend, ok=True, code="")
        return True

    def is_down(self, backend: str, error: Exception) -> bool:
        """Tell whether a call failed because its backend is down."""
        if isinstance(error, BlindKeyError):
            self._report(backend, ok=False, code=error.code)
            return True
        if not needs_ping(error):
            return False
        # If another process has found it down, save a ping.
        answer = self.admit(backend, 0)
        if answer.retry_at is not None and not answer.probe:
            return True
        return not self.probe(backend)

    def _report(self, backend: str, *, ok: bool, code: str) -> None:
        now, policy = self._context.now(), self._context.gate_policy
        changed = self._context.storage.gates.report(
            backend, ok=ok, now=now, policy=policy
        )
        if changed and not ok:
            logger.error("gate closed", extra={"backend": backend, "error_code": code})
            raise_alert(self._context, "backend_down", backend)


def code_of(error: Exception) -> str:
    """Return an error's stable code; for a foreign one, its class."""
    return error.code if isinstance(error, EnrollError) else type(error).__name__

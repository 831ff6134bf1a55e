# SPDX-License-Identifier: MIT
"""What every service is given: the backends, the clock, the plugins, the settings."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from ..clock import Ambient
from ..metrics import Metrics, NoMetrics


if TYPE_CHECKING:
    from ..backoff import RetryPolicy
    from ..interfaces import LMS, PaymentGateway, Storage
    from ..models import GatePolicy
    from ..plugins import Plugins
    from ..policies import SettlePolicy
    from ..settings import Settings


def worker_name() -> str:
    """Return a name for this worker thread: host, process, thread."""
    host = socket.gethostname()
    return f"{host}:{os.getpid()}:{threading.get_ident() & 0xFFFFFF:x}"


@attrs.frozen(kw_only=True)
class Backends:
    """
    The chosen backends.

    Attributes:
        storage: The store.
        payments: The payment gateway.
        lms: The LMS.
    """

    storage: Storage
    payments: PaymentGateway
    lms: LMS


@attrs.frozen(kw_only=True)
class Context:
    """
    The wiring of one SDK; owned by `EnrollSDK`, shared by its services and threads.

    Attributes:
        settings: The settings.
        storage: The store.
        payments: The payment gateway, which limits how many requests wait for it.
        lms: The LMS, limited in the same way.
        plugins: Hooks and job handlers.
        ambient: The one clock, and monotonic time, sleep and randomness.
        settle_policy: The policy of `decide`.
        retry_policy: When a failed job runs again.
        gate_policy: How the backends' gates work.
        metrics: The receiver of measurements.
        now: Returns the store's time.
        monotonic: Returns seconds that only grow.
    """

    settings: Settings
    storage: Storage
    payments: PaymentGateway
    lms: LMS
    plugins: Plugins
    ambient: Ambient
    settle_policy: SettlePolicy
    retry_policy: RetryPolicy
    gate_policy: GatePolicy
    metrics: Metrics = attrs.field(factory=NoMetrics)
    # (The ambient's own: every step asks these two.)
    now: Callable[[], datetime] = attrs.field(init=False, eq=False, repr=False)
    monotonic: Callable[[], float] = attrs.field(init=False, eq=False, repr=False)

    @now.default
    def _now(self) -> Callable[[], datetime]:
        return self.ambient.now

    @monotonic.default
    def _monotonic(self) -> Callable[[], float]:
        return self.ambient.monotonic

    @property
    def grace(self) -> timedelta:
        """How long the writer may work on a fresh write before others look at it."""
        return timedelta(seconds=self.settle_policy.grace_s)

    def new_op_id(self) -> str:
        """Return an id that stamps one write."""
        return self.ambient.token_hex(8)

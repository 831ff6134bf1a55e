# SPDX-License-Identifier: MIT
"""Deliver signed events, with retries, duplicates, reordering and delays."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import random
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import attrs

from frappe_enroll_sdk.clock import Clock


Json = dict[str, Any]


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """Return the ``Stripe-Signature`` header of a body."""
    signed = f"{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


@attrs.frozen
class Delivery:
    """One delivery of one event: its HTTP status, or 0 without an answer."""

    event_id: str
    url: str
    status: int


class Webhooks:
    """
    The endpoints of an account. Thread-safe.

    Attributes:
        copies: How often each event is delivered.
        enabled_events: Event types that the endpoints report as subscribed.
        status: Status that they report: "enabled" or "disabled".
        livemode: Mode that they report.
        held: Whether events wait for `release`.
        log: Every delivery so far.
        retry_s: Seconds between the retries of an unanswered delivery.
        max_tries: Most deliveries of one event.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._endpoints: list[tuple[str, str]] = []
        self._work: queue.Queue[tuple[Json, str, str, int] | None] = queue.Queue()
        self._waiting: list[Json] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.copies = 1
        self.enabled_events: list[str] = ["*"]
        self.status, self.livemode = "enabled", False
        self.held = False
        self.log: list[Delivery] = []
        self.retry_s = 0.2
        self.max_tries = 20

    def add_endpoint(self, url: str, secret: str) -> None:
        """Send every event to this URL from now on."""
        self._endpoints.append((url, secret))

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The URLs of the endpoints."""
        return tuple(url for url, _ in self._endpoints)

    def send(self, event: Json) -> None:
        """Deliver an event now or on `release`."""
        with self._lock:
            if self.held:
                self._waiting.append(event)
                return
            if self._thread is None and self._endpoints:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
        for url, secret in self._endpoints:
            for _ in range(self.copies):
                self._work.put((event, url, secret, 1))

    def release(self, *, order: str = "as_is", seed: int = 0) -> None:
        """Deliver the held events: "as_is", "reversed" or "shuffled"."""
        with self._lock:
            self.held, waiting = False, self._waiting
            self._waiting = []
        if order == "reversed":
            waiting.reverse()
        elif order == "shuffled":
            random.Random(seed).shuffle(waiting)  # noqa: S311  not used for secrets
        for event in waiting:
            self.send(event)

    def drop(self) -> None:
        """Discard the held events."""
        with self._lock:
            self._waiting = []

    def wait_idle(self, seconds: float = 10.0) -> bool:
        """Wait until every event was answered or given up."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if self._work.unfinished_tasks == 0:
                return True
            time.sleep(0.01)
        return False

    def stop(self) -> None:
        """Stop the delivering thread."""
        self._work.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            event, url, secret, number = item
            status = self.deliver(event, url, secret)
            if not 200 <= status < 300 and number < self.max_tries:
                again = (event, url, secret, number + 1)
                timer = threading.Timer(self.retry_s, self._retry, [again])
                timer.daemon = True
                timer.start()
            else:
                self._work.task_done()

    def _retry(self, item: tuple[Json, str, str, int]) -> None:
        self._work.put(item)
        self._work.task_done()

    def deliver(self, event: Json, url: str, secret: str) -> int:
        """Deliver an event once on this thread and return the HTTP status."""
        body = json.dumps(event).encode()
        stamp = int(self._clock.now().timestamp())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": sign(body, secret, stamp),
        }
        request = urllib.request.Request(url, body, headers)  # noqa: S310  loopback
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                status = int(answer.status)
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        except OSError:
            status = 0
        with self._lock:
            self.log.append(Delivery(event["id"], url, status))
        return status

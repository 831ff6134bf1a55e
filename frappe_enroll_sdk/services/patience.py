# SPDX-License-Identifier: MIT
"""
What keeps a web process answering while a backend hangs.

Each call ends at its deadline, but until then it holds a thread, and the next learner
takes the next one: soon nobody is left to say that the process is well.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..deadline import moment_s
from ..errors import PaymentsUnavailableError, ThrottledError, TransientError


#: Seconds after which a call is slow; also the longest wait for a place.
_SLOW_S = 2.0
#: The verbs that a gateway answers without I/O.
_WITHOUT_CALL = frozenset({"prepare_session", "parse_event"})

_serves: ContextVar[bool] = ContextVar("serves_a_request", default=False)


class _Process:
    """The requests and calls in progress in one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.turn = threading.Condition()
        self.served = self.most_served = 0
        self.calls: dict[object, tuple[str, float]] = {}
        self.hurt: set[str] = set()

    def has_place(self, name: str) -> bool:
        called = {called for called, _ in self.calls.values()}
        if name in self.hurt and name in called:
            return False
        return len(self.calls) < max(self.most_served - 1, 1)

    def is_stuck(self, name: str) -> bool:
        """Tell whether waiting for a place is futile."""
        oldest = min(began for _, began in self.calls.values())
        return name in self.hurt or moment_s() - oldest >= _SLOW_S


class Patience:
    """
    Limits how many requests of this process wait for backends. Thread-safe.

    Of the most requests ever served at once (which is the number of threads), all but
    one may wait: one thread stays free for requests that need no backend. A backend
    whose last call was slow and failed is called by one request at a time until it
    answers. Requests that find no place are refused. Workers and tools, which serve no
    requests, are not limited.
    """

    def __init__(self) -> None:
        self._process = _Process()

    def _here(self) -> _Process:
        # A forked child has none of the threads, and may inherit a lock that is held.
        if self._process.pid != os.getpid():
            self._process = _Process()
        return self._process

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Mark the block as serving a request."""
        here = self._here()
        with here.turn:
            here.served += 1
            if here.served > here.most_served:
                # One thread more than we knew of: a waiting request may get a place.
                here.most_served = here.served
                here.turn.notify_all()
        token = _serves.set(True)
        try:
            yield
        finally:
            _serves.reset(token)
            with here.turn:
                here.served -= 1

    @contextmanager
    def calling(self, name: str) -> Iterator[None]:
        """
        Mark the block as calling a backend.

        Raises:
            NoPlaceError: No place is free; nothing was called.
        """
        if not _serves.get():
            yield
            return
        here, call = self._here(), object()
        _take_place(here, name, call)
        failed = False
        try:
            yield
        except TransientError:
            failed = True
            raise
        finally:
            with here.turn:
                _, began = here.calls.pop(call)
                hangs = failed and moment_s() - began >= _SLOW_S
                (here.hurt.add if hangs else here.hurt.discard)(name)
                here.turn.notify_all()


class NoPlaceError(Exception):
    """As many requests as allowed already wait for a backend."""


def _take_place(here: _Process, name: str, call: object) -> None:
    ends = moment_s() + _SLOW_S
    with here.turn:
        while not here.has_place(name):
            left_s = ends - moment_s()
            if left_s <= 0 or here.is_stuck(name):
                raise NoPlaceError
            here.turn.wait(left_s)
        here.calls[call] = name, moment_s()


class PatientBackend:
    """Wraps a gateway or LMS so that its calls respect a `Patience`."""

    def __init__(self, backend: Any, name: str, patience: Patience) -> None:
        self._backend, self._name, self._patience = backend, name, patience

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._backend, name)
        if name in _WITHOUT_CALL or not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            # (The same is said by `calling`, which takes longer than many a fake.)
            if not _serves.get():
                return value(*arguments, **named)
            try:
                with self._patience.calling(self._name):
                    return value(*arguments, **named)
            except NoPlaceError:
                raise _refusal(self._name) from None

        return call


def _refusal(name: str) -> TransientError:
    words = "it answers slowly, and others are already waiting"
    if name == "lms":
        # This says nothing about the LMS: no try counts, no gate closes.
        return ThrottledError(f"the LMS was not called: {words}", retry_after_s=_SLOW_S)
    return PaymentsUnavailableError(
        f"the payment provider was not called: {words}", retry_after_s=_SLOW_S
    )

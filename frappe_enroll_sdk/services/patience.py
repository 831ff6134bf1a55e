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


#: Seconds after which a call is slow; nobody waits longer than this for a place.
_SLOW_S = 2.0
#: What a gateway answers by itself.
_WITHOUT_CALL = frozenset({"prepare_session", "parse_event"})

_serves: ContextVar[bool] = ContextVar("serves_a_request", default=False)


class _Process:
    """What is under way in one process."""

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
        """Tell whether waiting for a place is in vain."""
        oldest = min(began for _, began in self.calls.values())
        return name in self.hurt or moment_s() - oldest >= _SLOW_S


class Patience:
    """
    Bounds how many requests of this process wait for backends. Thread-safe.

    Of as many as were ever served at once (so many threads there are), all but one may:
    one is left for whoever asks for nothing of the kind. A backend whose last call was
    slow and failed is called by one at a time until it answers. Whoever finds no place
    is refused. Workers and tools, which serve no request, are not bounded.
    """

    def __init__(self) -> None:
        self._process = _Process()

    def _here(self) -> _Process:
        # A forked child inherits neither the threads nor, it may be, an open lock.
        if self._process.pid != os.getpid():
            self._process = _Process()
        return self._process

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve a request in the block."""
        here = self._here()
        with here.turn:
            here.served += 1
            if here.served > here.most_served:
                # One thread more than we knew of: whoever waits may have a place.
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
        Make a call to a backend in the block.

        Raises:
            NoPlaceError: None is free; nothing was called.
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
    """All who may wait for a backend do."""


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
    """A gateway or LMS whose calls keep to a `Patience`."""

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
    words = "it answers slowly, and others wait for it already"
    if name == "lms":
        # Nothing is known of the LMS by this: no try counts, no gate closes.
        return ThrottledError(f"the LMS was not called: {words}", retry_after_s=_SLOW_S)
    return PaymentsUnavailableError(
        f"the payment provider was not called: {words}", retry_after_s=_SLOW_S
    )

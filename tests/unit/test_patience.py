# SPDX-License-Identifier: MIT
"""One thread of a web process stays free, and a walk through a list ends."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack

import pytest

from frappe_enroll_sdk.errors import LMSUnavailableError, TransientError
from frappe_enroll_sdk.models import Trail, pages
from frappe_enroll_sdk.services import patience as subject
from frappe_enroll_sdk.services.patience import NoPlaceError, Patience


@pytest.fixture
def clock(monkeypatch):
    """Return a real time that is set by hand."""
    told = [100.0]
    monkeypatch.setattr(subject, "moment_s", lambda: told[0])
    return told


def serve(patience, stack, count):
    """Serve some requests at once, on this thread."""
    for _ in range(count):
        stack.enter_context(patience.serving())


def time_out(clock):
    """Fail as a call does that nobody answered."""
    clock[0] += 3
    raise LMSUnavailableError("no answer")


def test_all_but_one_may_wait(clock):
    """Of three that are served at once two call, and the third is refused."""
    patience = Patience()
    with ExitStack() as stack:
        serve(patience, stack, 3)
        stack.enter_context(patience.calling("lms"))
        stack.enter_context(patience.calling("payments"))
        clock[0] += 3
        with pytest.raises(NoPlaceError), patience.calling("lms"):
            pass


def test_place_that_comes_free_is_taken():
    """Where calls are quick nobody is refused: the second waits for the first."""
    patience, entered, leave = Patience(), threading.Event(), threading.Event()

    def first():
        with patience.serving(), patience.calling("lms"):
            entered.set()
            assert leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(10)
    threading.Timer(0.1, leave.set).start()
    with patience.serving(), patience.calling("lms"):
        assert leave.is_set()
    thread.join(10)


def test_one_asks_a_backend_that_hung(clock):
    """After a slow failure one call at a time, until one is answered."""
    patience = Patience()
    with ExitStack() as stack:
        serve(patience, stack, 9)
        with pytest.raises(LMSUnavailableError), patience.calling("lms"):
            time_out(clock)
        with patience.calling("lms"):
            with pytest.raises(NoPlaceError), patience.calling("lms"):
                pass
            with patience.calling("payments"):
                pass
        with patience.calling("lms"), patience.calling("lms"):
            pass


def test_workers_are_not_bounded():
    """Who serves no request holds no thread that a request needs."""
    patience = Patience()
    with patience.calling("lms"), patience.calling("lms"), patience.calling("lms"):
        pass


def test_forked_child_has_all_places(monkeypatch):
    """The parent's calls are not under way in the child."""
    patience = Patience()
    with ExitStack() as stack:
        serve(patience, stack, 2)
        stack.enter_context(patience.calling("lms"))
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with patience.calling("lms"):
            pass
        monkeypatch.undo()


def test_trail_refuses_a_cursor_that_came_before(monkeypatch):
    """A list that repeats itself, or goes on past all sense, is an error."""
    trail = Trail()
    assert [trail.follow(c) for c in ("a", "b", None)] == ["a", "b", None]
    with pytest.raises(TransientError, match="never ends"):
        trail.follow("a")
    monkeypatch.setattr(pages, "_MAX_PAGES", 2)
    with pytest.raises(TransientError, match="never ends"):
        trail.follow("c")

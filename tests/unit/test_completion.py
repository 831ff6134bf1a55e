# SPDX-License-Identifier: MIT
"""Ends of claims: written together where they meet, and waited for by nobody alone."""

from __future__ import annotations

import threading

import pytest
from support.lms_side import wait_for
from unit.rows import NOW

from frappe_enroll_sdk.errors import StorageUnavailableError
from frappe_enroll_sdk.models import JobEnd, JobState
from frappe_enroll_sdk.services.jobs.completion import Completer, through_flicker
from frappe_enroll_sdk.stores.queue import new_job
from frappe_enroll_sdk.testing.faults import Crash


JOB = new_job("sync:1", "sync", {}, NOW, NOW)


class Store:
    """A store whose first call can be held up, and can die."""

    def __init__(self):
        self.batches, self.go_on, self.dies = [], threading.Event(), False

    def complete_many(self, ends, now):
        """Note the batch."""
        self.batches.append([end.token for end in ends])
        if len(self.batches) == 1:
            self.go_on.wait(20)
            if self.dies:
                raise Crash
        return [JobState.DONE if end.token != "gone" else None for end in ends]


def end(completer, store, token, answers):
    """End a claim; note the answer."""
    wanted = JobEnd(token=token, seq=1, state=JobState.DONE, outcome="done")
    try:
        answers[token] = completer.complete(store, JOB, wanted, NOW)
    except (Crash, StorageUnavailableError) as error:
        answers[token] = type(error)


def begin(completer, store, token, answers):
    """End a claim in a thread of its own; return it once it waits or writes."""
    thread = threading.Thread(target=end, args=(completer, store, token, answers))
    thread.start()
    lane = completer._jobs
    wait_for(
        lambda: (
            [token] in store.batches
            or token in [ticket.end.token for ticket in lane._waiting]
        )
    )
    return thread


def play(*, dies=False):
    """One writes while two come; return the batches and all answers."""
    completer, store, answers = Completer(), Store(), {}
    store.dies = dies
    threads = [begin(completer, store, token, answers) for token in ("a", "b", "gone")]
    store.go_on.set()
    for thread in threads:
        thread.join(20)
    end(completer, store, "z", answers)
    return store.batches, answers


def test_ends_that_meet_are_written_together():
    """Who comes while one writes joins the next batch, and gets its own answer."""
    batches, answers = play()
    assert batches == [["a"], ["b", "gone"], ["z"]]
    assert answers == {
        "a": JobState.DONE,
        "b": JobState.DONE,
        "gone": None,
        "z": JobState.DONE,
    }


def test_death_of_the_writer_leaves_the_others_alive():
    """A thread that is ended in the middle of its write hands the turn on."""
    batches, answers = play(dies=True)
    assert batches == [["a"], ["b", "gone"], ["z"]]
    assert answers["a"] is Crash
    assert (answers["b"], answers["z"]) == (JobState.DONE, JobState.DONE)


def test_no_lock_is_held_over_the_write():
    """What the store's call does may end claims of other stores and be looked at."""
    completer, answers = Completer(), {}

    class Nested:
        def complete_many(self, ends, now):
            assert completer._jobs._changed.acquire(blocking=False)
            completer._jobs._changed.release()
            return [JobState.DONE]

    end(completer, Nested(), "a", answers)
    assert answers == {"a": JobState.DONE}


def test_flicker_is_slept_through_on_the_given_time():
    """A store that fails for a moment is asked again after the port's sleep."""
    slept, errors = [], [StorageUnavailableError("gone")] * 2

    def write():
        if errors:
            raise errors.pop()
        return "written"

    assert through_flicker(write, slept.append) == "written"
    assert slept == [0.05, 0.2]
    errors.extend([StorageUnavailableError("gone")] * 9)
    with pytest.raises(StorageUnavailableError):
        through_flicker(write, slept.append)

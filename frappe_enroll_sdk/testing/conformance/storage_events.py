# SPDX-License-Identifier: MIT
"""The event store's part of the storage suite."""

from __future__ import annotations

from collections import Counter

import pytest

from ...interfaces import Storage
from ...models import JobState
from . import races
from .records import NOW, after, try_error
from .storage_queue import add, claim, found


class EventChecks:
    """Events: recorded once, counted each time, their keys kept for good."""

    def test_first_delivery_is_new_and_due(self, storage: Storage):
        """An event is stored before it is processed."""
        answer = storage.events.record("evt_1", {"type": "t", "event": {}}, now=NOW)
        assert answer.new
        assert answer.event == found(storage.events, "evt_1")
        assert (answer.event.state, answer.event.deliveries) == (JobState.DUE, 1)
        assert (answer.event.kind, answer.event.due_at) == ("payment_event", NOW)

    def test_every_delivery_is_a_write(self, storage: Storage):
        """A known event counts its deliveries and keeps its state and payload."""
        storage.events.record("evt_1", {"type": "t"}, now=NOW)
        job = claim(storage.events)
        assert job.token is not None
        storage.events.complete(job.token, job.seq, NOW, outcome="processed")
        again = storage.events.record("evt_1", {"type": "forged"}, now=after(1))
        assert not again.new
        assert (again.event.deliveries, again.event.state) == (2, JobState.DONE)
        assert again.event.payload == {"type": "t"}
        assert storage.events.claim("w", after(1e6), 60, 10) == ()

    def test_dead_event_gets_another_chance(self, storage: Storage):
        """The provider sends again: the event is due again."""
        storage.events.record("evt_1", {"type": "t"}, now=NOW)
        job = claim(storage.events)
        assert job.token is not None
        storage.events.bury(job.token, job.seq, NOW, try_error())
        again = storage.events.record("evt_1", {"type": "t"}, now=after(1))
        assert (again.new, again.event.state) == (False, JobState.DUE)

    @pytest.mark.parametrize("state", [JobState.IGNORED, JobState.QUARANTINED])
    def test_event_can_be_stored_as_ended(self, storage: Storage, state: JobState):
        """An irrelevant event is stored, but not processed."""
        storage.events.record("evt_1", {}, now=NOW, state=state, outcome="why")
        event = found(storage.events, "evt_1")
        assert (event.state, event.outcome) == (state, "why")
        assert storage.events.claim("w", after(1e6), 60, 10) == ()

    def test_rows_of_a_kind_are_forgotten_by_age(self, storage: Storage):
        """Only that kind, only what is older, and a bounded number at once."""
        for number in range(4):
            now = after(number)
            storage.events.enqueue(f"http:{number}", "http_request", {}, now, now=now)
        storage.events.record("evt_1", {"type": "t"}, now=after(0))
        assert storage.events.forget("http_request", after(2), 1) == 1
        assert storage.events.forget("http_request", after(2), 10) == 1
        assert storage.events.forget("http_request", after(2), 10) == 0
        kept = {job.key for job in storage.events.list().items}
        assert kept == {"http:2", "http:3", "evt_1"}

    def test_prune_nulls_payloads_and_keeps_keys(self, storage: Storage):
        """A pruned event is still known, so that a late resend has no second effect."""
        payload = {"type": "t", "object_id": "cs_1", "event": {"email": "a@b.c"}}
        storage.events.record("evt_1", payload, now=NOW)
        storage.events.record("evt_2", payload, now=NOW)
        job = storage.events.claim_key("evt_1", "w", NOW, 60)
        assert job is not None
        assert job.token is not None
        storage.events.complete(job.token, job.seq, NOW, outcome="processed")
        assert storage.events.prune(after(1), 10) == 1
        assert storage.events.prune(after(1), 10) == 0
        event = found(storage.events, "evt_1")
        assert event.payload == {"type": "t", "object_id": "cs_1"}
        assert (event.state, event.outcome) == (JobState.DONE, "processed")
        assert not storage.events.record("evt_1", payload, now=after(2)).new
        assert found(storage.events, "evt_2").payload == payload

    def test_empty_keeps_what_prune_keeps(self, storage: Storage):
        """Type and object id stay, whatever the age."""
        payload = {"type": "t", "object_id": "cs_1", "event": {"email": "a@b.c"}}
        storage.events.record("evt_1", payload, now=NOW, state=JobState.IGNORED)
        assert storage.events.empty("evt_1")
        kept = {"type": "t", "object_id": "cs_1"}
        assert found(storage.events, "evt_1").payload == kept
        assert not storage.events.record("evt_1", payload, now=after(2)).new
        assert found(storage.events, "evt_1").payload == kept

    def test_events_and_jobs_do_not_mix(self, storage: Storage):
        """An event and a job of one key are two things."""
        storage.events.record("same", {"type": "t"}, now=NOW)
        add(storage.jobs, "same")
        assert [job.key for job in storage.jobs.claim("w", NOW, 60, 9)] == ["same"]
        assert found(storage.events, "same").state is JobState.DUE

    def test_race_of_deliveries_has_one_first(self, storage: Storage, spread):
        """Twenty deliveries at once: one is new, twenty are counted."""
        answers = spread(races.record_one_event, 20)
        assert Counter(answers) == {True: 1, False: 19}
        assert found(storage.events, "evt_1").deliveries == 20

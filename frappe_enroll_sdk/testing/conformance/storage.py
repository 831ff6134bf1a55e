# SPDX-License-Identifier: MIT
"""`StorageConformance`: what every store has to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ...codec import cursor_of
from ...errors import ValidationError
from ...interfaces import Storage
from ...models import AuditEntry, GatePolicy
from . import races
from .records import NOW, after
from .storage_affiliates import AffiliateChecks
from .storage_batches import BatchChecks
from .storage_coupons import CouponChecks
from .storage_enrollments import EnrollmentChecks
from .storage_events import EventChecks
from .storage_grants import GrantChecks
from .storage_lost import LostChecks
from .storage_news import NewsChecks, WorkerChecks
from .storage_queue import QueueChecks
from .storage_tables import TableChecks


_POLICY = GatePolicy(closed_s=30)
_RATED = GatePolicy(closed_s=30, rate_per_s=2, burst=4)


class GateChecks:
    """Gates: one breaker, one rate and the same permits for all processes."""

    def test_unknown_gate_is_open(self, storage: Storage):
        """An unknown gate admits what is requested."""
        assert storage.gates.is_open("lms")
        assert storage.gates.admit("lms", 5, NOW, _POLICY).admitted == 5

    def test_fault_closes_the_gate_for_all(self, storage: Storage):
        """A closed gate admits nothing until its time is over."""
        assert storage.gates.report("lms", ok=False, now=NOW, policy=_POLICY)
        assert not storage.gates.report("lms", ok=False, now=NOW, policy=_POLICY)
        assert not storage.gates.is_open("lms")
        answer = storage.gates.admit("lms", 5, after(29), _POLICY)
        assert (answer.admitted, answer.probe) == (0, False)
        assert answer.retry_at == after(30)
        assert storage.gates.is_open("payments")

    def test_one_caller_becomes_the_probe(self, storage: Storage):
        """Half-open: one caller pings; the others wait for its report."""
        storage.gates.report("lms", ok=False, now=NOW, policy=_POLICY)
        first = storage.gates.admit("lms", 5, after(30), _POLICY)
        second = storage.gates.admit("lms", 5, after(30), _POLICY)
        assert (first.admitted, first.probe) == (0, True)
        assert (second.admitted, second.probe) == (0, False)
        assert storage.gates.report("lms", ok=True, now=after(31), policy=_POLICY)
        assert storage.gates.is_open("lms")
        assert storage.gates.admit("lms", 5, after(31), _POLICY).admitted == 5

    def test_probe_that_never_reports_lapses(self, storage: Storage):
        """A worker that dies while probing does not keep the gate closed for ever."""
        storage.gates.report("lms", ok=False, now=NOW, policy=_POLICY)
        assert storage.gates.admit("lms", 1, after(30), _POLICY).probe
        assert not storage.gates.admit("lms", 1, after(59), _POLICY).probe
        assert storage.gates.admit("lms", 1, after(60), _POLICY).probe

    def test_rate_is_shared(self, storage: Storage):
        """A burst at first, then as many as the rate allows."""
        assert storage.gates.admit("lms", 10, NOW, _RATED).admitted == 4
        empty = storage.gates.admit("lms", 1, NOW, _RATED)
        assert (empty.admitted, empty.retry_at) == (0, after(0.5))
        assert storage.gates.admit("lms", 10, after(1), _RATED).admitted == 2

    def test_backlog_starts_gently_after_an_outage(self, storage: Storage):
        """A gate that reopens allows no burst."""
        storage.gates.report("lms", ok=False, now=NOW, policy=_RATED)
        storage.gates.report("lms", ok=True, now=after(60), policy=_RATED)
        assert storage.gates.admit("lms", 10, after(60), _RATED).admitted == 0
        assert storage.gates.admit("lms", 10, after(61), _RATED).admitted == 2

    def test_permits_are_bounded_leased_and_given_back(self, storage: Storage):
        """At most k holders; a permit lapses, or is dropped."""
        gates = storage.gates
        assert gates.hold("users", "a", 2, NOW, after(10))
        assert gates.hold("users", "a", 2, NOW, after(10))
        assert gates.hold("users", "b", 2, after(5), after(15))
        assert not gates.hold("users", "c", 2, after(9), after(19))
        assert gates.hold("users", "c", 2, after(10), after(20))
        assert not gates.hold("users", "a", 2, after(10), after(20))
        gates.drop("users", "b")
        assert gates.hold("users", "a", 2, after(10), after(20))

    def test_gate_shut_by_a_clock_ahead_is_probed_in_its_time(self, storage: Storage):
        """A day ahead, and right again: shut for `closed_s`, not for a day."""
        gates, policy = storage.gates, GatePolicy(closed_s=30)
        gates.report("lms", ok=False, now=after(86_400), policy=policy)
        shut = gates.admit("lms", 1, after(0), policy)
        assert (shut.probe, shut.retry_at) == (False, after(30))
        assert not gates.admit("lms", 1, after(29), policy).probe
        assert gates.admit("lms", 1, after(30), policy).probe

    def test_permit_of_a_clock_ahead_lapses_in_its_time(self, storage: Storage):
        """It lasts no longer than one requested now."""
        gates = storage.gates
        assert gates.hold("users", "a", 1, after(86_400), after(86_420))
        assert not gates.hold("users", "b", 1, NOW, after(20))
        assert not gates.hold("users", "b", 1, after(19), after(39))
        assert gates.hold("users", "b", 1, after(20), after(40))

    def test_turns_are_taken_once_each(self, storage: Storage):
        """Free turns are taken, each until its own end, given back or lapsed."""
        gates, ends = storage.gates, {"a": after(10), "b": after(20)}
        assert gates.take_turns("turns", ends, NOW) == {"a", "b"}
        assert gates.take_turns("turns", ends, after(9)) == frozenset()
        more = {"b": after(30), "c": after(30)}
        assert gates.take_turns("turns", more, after(10)) == {"c"}
        gates.drop("turns", "c")
        ends = {"a": after(40), "b": after(40), "c": after(40)}
        assert gates.take_turns("turns", ends, after(19)) == {"a", "c"}
        assert gates.take_turns("turns", ends, after(20)) == {"b"}

    def test_turn_of_a_clock_ahead_lapses_in_its_time(self, storage: Storage):
        """It lasts no longer than one requested now."""
        gates = storage.gates
        assert gates.take_turns("turns", {"a": after(86_460)}, after(86_400)) == {"a"}
        assert not gates.take_turns("turns", {"a": after(60)}, NOW)
        assert not gates.take_turns("turns", {"a": after(119)}, after(59))
        assert gates.take_turns("turns", {"a": after(120)}, after(60)) == {"a"}

    def test_race_for_permits_gives_exactly_k(self, storage: Storage, spread):
        """However many callers ask at once, two get a permit."""
        assert spread(races.hold_permit, 20).count(True) == 2

    def test_race_to_probe_has_one_probe(self, storage: Storage, spread):
        """However many callers ask a half-open gate at once, one of them pings."""
        gates = storage.gates
        gates.report("lms", ok=False, now=NOW, policy=GatePolicy())
        assert spread(races.become_probe, 20).count(True) == 1


class StorageConformance(
    CouponChecks,
    EnrollmentChecks,
    QueueChecks,
    BatchChecks,
    EventChecks,
    GateChecks,
    GrantChecks,
    AffiliateChecks,
    WorkerChecks,
    NewsChecks,
    TableChecks,
    LostChecks,
):
    """
    Subclass this with the fixture `storage_factory`: a callable that opens the store.

    Each call may return the same instance or another one on the same, empty database.
    If it can be pickled (a `functools.partial` over a class can), the races run over
    processes too; if not, they run over threads only.
    """

    @pytest.fixture
    def storage_factory(self) -> Callable[[], Storage]:
        """Return the callable that opens the store (to be overridden)."""
        raise NotImplementedError("give the subclass a fixture `storage_factory`")

    @pytest.fixture(autouse=True)
    def prepared(self, storage_factory: Any) -> Iterator[Storage]:
        """Create the schema of the test's own database."""
        storage = storage_factory()
        storage.setup()
        yield storage
        storage.close()

    @pytest.fixture
    def storage(self, prepared: Storage) -> Storage:
        """Return the store of the test."""
        return prepared

    @pytest.fixture
    def spread(self, storage_factory: Any) -> Callable[..., list[Any]]:
        """Return the function that runs racers, over processes if the store can."""

        def run(act: races.Act, count: int) -> list[Any]:
            if races.crosses_processes(storage_factory):
                return races.race_processes(storage_factory, act, count)
            return races.race_threads(storage_factory, act, count)

        return run

    @pytest.mark.parametrize("part", [10**30, -1, True, "\ud800", None])
    def test_forged_cursor_is_refused(self, storage: Storage, part):
        """Any forged cursor is reported as such, and not as a fault of the store."""
        lists: tuple[Any, ...] = (
            storage.enrollments.list,
            storage.jobs.list,
            storage.events.list,
            storage.audit.list,
            storage.grants.list,
            storage.coupons.list,
            storage.affiliates.list,
        )
        for listed in lists:
            for cursor in (cursor_of(part), cursor_of(part, "x"), cursor_of(1, part)):
                with pytest.raises(ValidationError) as caught:
                    listed(cursor=cursor)
                assert caught.value.field == "cursor"

    def test_setup_is_idempotent(self, storage: Storage):
        """Setting up again keeps existing data."""
        storage.jobs.enqueue("job-1", "sync", {}, NOW, now=NOW)
        storage.setup()
        storage.check_schema()
        assert storage.jobs.find("job-1") is not None

    def test_fresh_schema_has_not_drifted(self, storage: Storage):
        """What `setup` created is what this code expects."""
        assert storage.list_drift() == ()

    def test_ping_of_a_working_store_is_silent(self, storage: Storage):
        """Nothing is raised, nothing is changed."""
        storage.ping()

    def test_clock_is_aware_and_goes_forward(self, storage: Storage):
        """The store's time is UTC and never goes back."""
        first, second = storage.now(), storage.now()
        assert first.utcoffset() is not None
        assert first <= second

    def test_closed_store_opens_again(self, storage: Storage):
        """Close ends connections, not data."""
        storage.jobs.enqueue("job-1", "sync", {}, NOW, now=NOW)
        storage.close()
        assert storage.jobs.find("job-1") is not None

    def test_audit_is_kept_once_and_paged(self, storage: Storage):
        """Entries come newest first; one with a known id is left unchanged."""
        for number in range(5):
            entry = AuditEntry(
                id=f"a-{number}",
                at=after(number),
                actor="ada",
                action="revoke",
                subject=f"enr_{number % 2}",
                reason="why",
                detail={"n": number},
            )
            storage.audit.append(entry)
            storage.audit.append(entry)
        first = storage.audit.list(limit=3)
        rest = storage.audit.list(limit=3, cursor=first.next_cursor)
        ids = [entry.id for entry in (*first.items, *rest.items)]
        assert ids == ["a-4", "a-3", "a-2", "a-1", "a-0"]
        assert rest.next_cursor is None
        own = storage.audit.list(subject="enr_1").items
        assert [entry.id for entry in own] == ["a-3", "a-1"]
        assert own[0].detail == {"n": 3}

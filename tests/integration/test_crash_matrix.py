# SPDX-License-Identifier: MIT
"""The process dies at every call of every flow; then the promises must hold."""

from __future__ import annotations

import random

import pytest
from support.flows import FLOWS
from support.size import BRIEF, FULL, step_of, with_the_first_python
from support.world import World

from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_sdk.testing.faults import Crash, CrashPlan
from frappe_enroll_sql.storage import SQLStorage


NAMES = [flow.name for flow in FLOWS]
#: How many calls of a flow are its last: in memory all of them with the first Python,
#: elsewhere a sample that is all of them with the full size.
SAMPLES = {"memory": 18 if BRIEF else 10_000, "sqlite": 5, "mongo": 1}
STORES = [
    "memory",
    pytest.param("sqlite", marks=with_the_first_python),
    pytest.param("mongo", marks=with_the_first_python),
]


@pytest.fixture
def new_world(request, store, db_folder):
    """Return a maker of worlds on the store."""
    if store == "mongo":
        return request.getfixturevalue("mongo_worlds")
    count = iter(range(100_000))

    def make(**settings):
        if store == "memory":
            return World(probed=True, **settings)
        path = db_folder / f"{next(count)}.sqlite3"
        return World(lambda: SQLStorage(f"sqlite:///{path}"), probed=True, **settings)

    return make


def start(flow, new_world, plan, seed):
    """Run a flow with a plan; the world is returned as the death has left it."""
    world = new_world(seed=seed, **flow.settings)
    given = flow.prepare(world)
    try:
        flow.run(world.sdk(plan), world, **given)
    except Crash:
        assert plan.dead
    except EnrollError:
        assert not plan.k, "a live process may only be refused where nothing crashed"
    return world


@pytest.mark.parametrize("lost_answer", [False, True], ids=["never_made", "lost"])
@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
@pytest.mark.parametrize("store", STORES)
def test_crash_at_every_call(store, flow, lost_answer, new_world):
    """Whatever call is the last, redelivery or time alone keeps every promise."""
    counted, seed = CrashPlan(), random.getrandbits(64)
    world = start(flow, new_world, counted, seed)
    world.let_time_pass()
    world.check_promises()
    assert len(counted.calls) > 3
    most = SAMPLES[store] if store == "memory" else flow.sample(SAMPLES[store])
    step, first = step_of(len(counted.calls), small=most)
    # On a real store one of the two, at random: a sample, too.
    both = FULL or store == "memory"
    ways = (True, False) if both else (random.choice((True, False)),)
    for k in range(first, len(counted.calls) + 1, step):
        for redelivered in ways:
            plan = CrashPlan(k, lost_answer=lost_answer)
            world = start(flow, new_world, plan, seed)
            assert plan.dead, f"no {k}th call"
            try:
                if redelivered:
                    world.redeliver_all(world.sdk())
                    world.pay_all_that_is_open()
                world.let_time_pass()
                world.check_promises()
            except (AssertionError, EnrollError) as error:
                how = "redelivered" if redelivered else "time alone"
                died = f"died at {k} ({plan.calls[-1]})"
                error.add_note(f"{died}, then {how}; with seed {seed}")
                raise
            world.storage.close()

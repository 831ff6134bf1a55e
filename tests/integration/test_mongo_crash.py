# SPDX-License-Identifier: MIT
"""The process dies within a verb, at any command to a real server; time repairs it."""

from __future__ import annotations

import random

import pytest
from support.flows import FLOWS
from support.mongofaults import CommandPlan
from support.size import step_of

from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_sdk.testing.faults import Crash


def start(flow, mongo_worlds, k, seed):
    """Run a flow whose process dies at its k-th step; return what is left of it."""
    world = mongo_worlds(seed=seed, **flow.settings)
    given = flow.prepare(world)
    plan = CommandPlan()
    dying = mongo_worlds.open(plan)
    dying.now()

    def die(what):
        raise Crash(what)

    plan.arm(k, die)
    try:
        flow.run(world.sdk(storage=dying), world, **given)
    except Crash:
        assert k
    except EnrollError:
        assert not k
    steps = [*plan.log]
    plan.disarm()
    dying.close()
    return world, steps


@pytest.mark.parametrize("flow", FLOWS, ids=[flow.name for flow in FLOWS])
def test_flow_that_dies_at_a_command_converges(flow, mongo_worlds):
    """At each command, never sent or its answer lost: time alone repairs."""
    seed = random.getrandbits(64)
    world, counted = start(flow, mongo_worlds, 0, seed)
    world.let_time_pass()
    world.check_promises()
    world.storage.close()
    steps = len(counted)
    assert steps > 10
    step, first = step_of(steps, small=flow.sample(2))
    for k in range(first, steps + 1, step):
        world, made = start(flow, mongo_worlds, k, seed)
        assert len(made) >= k, "it did not die"
        try:
            world.let_time_pass()
            world.check_promises()
        except (AssertionError, EnrollError) as error:
            error.add_note(f"died at {k}: {made[k - 1]}; with seed {seed}")
            raise
        world.storage.close()

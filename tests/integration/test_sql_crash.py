# SPDX-License-Identifier: MIT
"""A process that dies inside a verb leaves it wholly done or not done at all."""

from __future__ import annotations

import gc
import os
import random
import shutil
import signal
import sqlite3

import pytest
from support.flows import FLOWS
from support.size import step_of, with_the_first_python
from support.sqlfaults import StatementPlan
from support.world import World

from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_sdk.testing.conformance.verbs import VERBS, fill
from frappe_enroll_sdk.testing.faults import Crash
from frappe_enroll_sql.storage import SQLStorage


pytestmark = with_the_first_python


def dump(path) -> dict[str, set[str]]:
    """Return every row of every table, but for random tokens and stamps."""
    connection = sqlite3.connect(path)
    try:
        check = connection.execute("PRAGMA integrity_check").fetchone()
        assert check == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        names = connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        tables = [name for (name,) in names.fetchall()]
        rows = {}
        for table in tables:
            columns = [
                column[1]
                for column in connection.execute(f"PRAGMA table_info({table})")
            ]
            kept = [name for name in columns if name not in ("token", "op", "op_id")]
            query = f"SELECT {', '.join(kept)} FROM {table}"  # noqa: S608  own names
            rows[table] = {repr(row) for row in connection.execute(query)}
        return rows
    finally:
        connection.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Return a file with a row of each sort."""
    path = tmp_path_factory.mktemp("filled") / "store.sqlite3"
    storage = SQLStorage(f"sqlite:///{path}")
    fill(storage)
    storage.close()
    return path


def copy_of(filled, folder) -> str:
    """Return a copy of the filled file."""
    path = folder / "copy.sqlite3"
    for suffix in ("", "-wal", "-shm"):
        (folder / f"copy.sqlite3{suffix}").unlink(missing_ok=True)
    shutil.copy(filled, path)
    return str(path)


def die_in_child(path: str, verb, k: int) -> int:
    """Fork; the child is killed at the verb's k-th step. Return its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            storage = SQLStorage(f"sqlite:///{path}")
            plan = StatementPlan(storage)
            plan.arm(k, lambda _what: os.kill(os.getpid(), signal.SIGKILL))
            verb(storage)
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1]


#: Verbs that insert rows and change others: each row for itself (`NewJob`s are known by
#: their keys, and whoever was not answered enqueues them again).
ROW_BY_ROW = {"jobs.enqueue_many", "events.enqueue_many"}


def is_mixture(found, before, done) -> bool:
    """Tell whether each row is as it was or as it is to be."""
    return all(
        before[table] & done[table] <= rows <= before[table] | done[table]
        for table, rows in found.items()
    )


@pytest.mark.parametrize("name", sorted(VERBS))
def test_verb_killed_at_every_statement_is_all_or_nothing(name, filled, db_folder):
    """SIGKILL before and after every statement and commit of every verb."""
    verb = VERBS[name]
    path = copy_of(filled, db_folder)
    before = dump(path)
    storage = SQLStorage(f"sqlite:///{path}")
    plan = StatementPlan(storage)
    verb(storage)
    steps = len(plan.log)
    storage.close()
    done = dump(path)
    assert steps >= 2
    step, first = step_of(steps, small=6)
    for k in range(first, steps + 1, step):
        path = copy_of(filled, db_folder)
        assert os.WTERMSIG(die_in_child(path, verb, k)) == signal.SIGKILL
        found = dump(path)
        whole = found in (before, done)
        mixed = name in ROW_BY_ROW and is_mixture(found, before, done)
        assert whole or mixed, (k, plan.log[k - 1])
        committed = any("after COMMIT" in step for step in plan.log[:k])
        assert found == before or committed, "seen before it was committed"
        again = SQLStorage(f"sqlite:///{path}")
        again.ping()
        again.close()


@pytest.mark.parametrize("flow", FLOWS, ids=[flow.name for flow in FLOWS])
def test_flow_that_dies_inside_a_verb_converges(flow, db_folder):
    """At the k-th driver statement of a flow the process dies; time alone repairs."""
    count, seed = iter(range(1_000_000)), random.getrandbits(64)

    def start(k):
        path = db_folder / f"{next(count)}.sqlite3"
        world = World(
            lambda: SQLStorage(f"sqlite:///{path}"),
            probed=True,
            seed=seed,
            **flow.settings,
        )
        given = flow.prepare(world)
        dying = SQLStorage(f"sqlite:///{path}")
        plan = StatementPlan(dying)

        def die(what):
            raise Crash(what)

        plan.arm(k, die)
        try:
            flow.run(world.sdk(storage=dying), world, **given)
        except Crash:
            assert k
        except EnrollError:
            assert not k
        dying.close()
        # An open cursor of what "died" would hold its lock: a real death drops both.
        gc.collect()
        return world, plan

    world, counted = start(0)
    world.let_time_pass()
    world.check_promises()
    world.storage.close()
    steps = len(counted.log)
    assert steps > 20
    step, first = step_of(steps, small=flow.sample(3))
    for k in range(first, steps + 1, step):
        world, plan = start(k)
        assert len(plan.log) >= k, "it did not die"
        try:
            world.let_time_pass()
            world.check_promises()
        except (AssertionError, EnrollError) as error:
            error.add_note(f"died at {k}: {counted.log[k - 1]}; with seed {seed}")
            raise
        world.storage.close()

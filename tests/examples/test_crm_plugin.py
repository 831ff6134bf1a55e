# SPDX-License-Identifier: MIT
"""The example plugin: one job per fact, whatever the worker's death."""

from __future__ import annotations

import logging
import sqlite3
import sys
from pathlib import Path

import pytest
from support.realworld import RealWorld
from support.size import step_of, times, with_the_first_python
from support.world import COURSE, World


FOLDER = Path(__file__).parents[2] / "examples" / "crm_plugin"


@pytest.fixture
def crm(monkeypatch, db_folder):
    """Return the plugin, and where its table is."""
    path = db_folder / "crm.sqlite3"
    monkeypatch.setenv("ENROLL_CRM_DATABASE", str(path))
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER))
    yield path
    sys.modules.pop("enroll_crm", None)


def contacts(path):
    """Return (enrollment, tries) of every contact."""
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT enrollment, tries FROM contacts").fetchall()
    finally:
        connection.close()


def test_observer_and_job_hear_of_an_enrollment(crm, caplog):
    """The observer at once, the job with the next pass."""
    import enroll_crm  # noqa: PLC0415  from the example's folder

    world = World()
    sdk = world.sdk(plugins=[enroll_crm])
    code = world.coupon(100)
    with caplog.at_level(logging.INFO, "enroll_crm"):
        answer = sdk.checkout(
            course_id=COURSE, email="ada@example.com", coupon_code=code
        )
    assert [r.message for r in caplog.records if r.name == "enroll_crm"] == ["enrolled"]
    assert contacts(crm) == []
    for _ in range(3):
        sdk.run_jobs()
    assert contacts(crm) == [(answer.enrollment_id, 1)]


def test_reinstated_enrollment_is_a_fact_of_its_own(crm):
    """Each `enrolled` owes one job, not one per enrollment for ever."""
    import enroll_crm  # noqa: PLC0415  from the example's folder

    world = World()
    sdk = world.sdk(plugins=[enroll_crm])
    code = world.coupon(100)
    answer = sdk.checkout(course_id=COURSE, email="ada@example.com", coupon_code=code)
    sdk.enrollments.revoke(answer.enrollment_id, "operator", "test")
    sdk.run_jobs()
    sdk.enrollments.reinstate(answer.enrollment_id, "operator", "test")
    sdk.run_jobs()
    sdk.run_jobs()
    assert contacts(crm) == [(answer.enrollment_id, 1)] * 2


@with_the_first_python
def test_one_contact_per_fact_under_sigkill_of_the_worker(crm, db_folder):
    """The worker is killed at each call around the job: one contact, never none."""
    enrolled = _enrolled(db_folder, "count")
    with enrolled as world:
        calls = world.run(("run_jobs", {}))["log"]
        assert len(contacts(crm)) == 1
    assert {"jobs.complete", "jobs.complete_many"} & set(calls)
    crm.unlink()
    step, first = step_of(len(calls), small=times(4, 1000))
    for number in range(first, len(calls) + 1, step):
        for when in ("before", "after"):
            with _enrolled(db_folder, f"{when}-{number}") as world:
                world.kill_at(when, "*", ("run_jobs", {}), number=number)
                world.let_time_pass(700, 130, 300)
                (row,) = world.rows()
                assert row.status == "enrolled"
                ((enrollment_id, tries),) = contacts(crm)
                assert enrollment_id == row.id
                assert tries in (1, 2), "at least once, its effect exactly once"
            crm.unlink()


class _enrolled:  # noqa: N801  read as a context manager
    """A world whose one enrollment is enrolled, with its job still owed."""

    def __init__(self, folder, name) -> None:
        (folder / name).mkdir()
        self._world = RealWorld(folder / name, plugins=["enroll_crm"])

    def __enter__(self):
        world = self._world.__enter__()
        code = world.sdk.coupons.create(100, COURSE).code
        answer = world.sdk.checkout(
            course_id=COURSE, email="ada@example.com", coupon_code=code
        )
        assert answer.status == "enrolled"
        return world

    def __exit__(self, *error) -> None:
        self._world.__exit__(*error)

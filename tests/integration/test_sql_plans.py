# SPDX-License-Identifier: MIT
"""Every query of every verb reads by an index: no table is scanned."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import event

from frappe_enroll_sdk import interfaces
from frappe_enroll_sdk.testing.conformance.verbs import VERBS, fill
from frappe_enroll_sql.storage import SQLStorage


#: Lists of everything read in the order of an index: that is what they are for.
WHOLE_LISTS = {
    "coupons.list",
    "enrollments.list",
    "jobs.list",
    "events.list",
    "audit.list",
    "workers.list",
    "grants.list",
    "affiliates.list",
}


@pytest.fixture
def storage(db_folder):
    """Return a filled store."""
    path = db_folder / "store.sqlite3"
    storage = SQLStorage(f"sqlite:///{path}")
    fill(storage)
    yield storage
    storage.close()


def plans_of(storage, verb) -> list[tuple[str, str]]:
    """Return each statement that the verb runs, with SQLite's plan for it."""
    seen = []
    engine = storage._database.engine()

    def note(_connection, _cursor, statement, parameters, *_):
        if not statement.startswith(("BEGIN", "PRAGMA", "EXPLAIN")):
            seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        verb(storage)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    plans = []
    with engine.connect() as connection:
        for statement, parameters in seen:
            rows = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            plans.append((statement, "\n".join(row[3] for row in rows)))
    return plans


@pytest.mark.parametrize("name", sorted(VERBS))
def test_verb_reads_by_index(name, storage):
    """No scan of a table and no sort outside an index in any statement."""
    plans = plans_of(storage, VERBS[name])
    assert plans
    for statement, plan in plans:
        assert "TEMP B-TREE" not in plan, (statement, plan)
        for line in plan.splitlines():
            if line.startswith("SCAN"):
                by_index = "USING INDEX" in line or "USING COVERING INDEX" in line
                # A table without rowid is its own index.
                whole = name in WHOLE_LISTS and (by_index or line == "SCAN coupons")
                of_result = re.match(r"SCAN (anon_\d+|CONSTANT ROW|\(subquery)", line)
                assert whole or of_result, (statement, plan)


def test_every_verb_is_covered():
    """A verb that is added to an interface has to show its plan, too."""
    stores = {
        "coupons": interfaces.CouponStore,
        "enrollments": interfaces.EnrollmentStore,
        "jobs": interfaces.JobStore,
        "events": interfaces.EventStore,
        "gates": interfaces.GateStore,
        "audit": interfaces.AuditStore,
        "workers": interfaces.WorkerStore,
        "grants": interfaces.GrantStore,
        "affiliates": interfaces.AffiliateStore,
    }
    for store, protocol in stores.items():
        verbs = {name for name in dir(protocol) if not name.startswith("_")}
        covered = {name.split(".")[1] for name in VERBS if name.startswith(f"{store}.")}
        assert verbs <= covered, (store, verbs - covered)

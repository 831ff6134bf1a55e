# SPDX-License-Identifier: MIT
"""Every query of every verb, as it is sent, explained beside 50 000 documents."""

from __future__ import annotations

import uuid
from itertools import chain

import pytest
from pymongo import MongoClient
from pymongo.monitoring import CommandListener
from support.bulk import MARK, fill_up
from support.size import BRIEF, LEAST, SERVER_DIFFERS

from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk import interfaces
from frappe_enroll_sdk.stores.layout import TABLES
from frappe_enroll_sdk.testing.conformance.verbs import VERBS, fill


pytestmark = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)
COUNT = 15_000 if BRIEF else 50_000
#: Index keys and documents that one command may look at: a page, and some.
MOST = 200
#: Numbers are counted up to a cap, and no further.
CAP = 10_000
EXPLAINABLE = {"find", "aggregate", "count", "distinct", "findAndModify"}
#: What belongs to a session, not to the query.
SENT_WITH_IT = (
    *("lsid", "$clusterTime", "$db", "txnNumber", "writeConcern", "readConcern"),
    *("$readPreference", "maxTimeMS"),
)


class Explainer(CommandListener):
    """Explains every command just before it is sent, on what it will find."""

    def __init__(self, database) -> None:
        self._database = database
        self.plans: list[tuple[dict, dict]] = []
        self.errors: list[Exception] = []

    def started(self, event) -> None:
        """Explain what can be explained; an insert has no plan."""
        try:
            for query in queries_of(event):
                answer = self._database.command(
                    "explain", query, verbosity="executionStats"
                )
                self.plans.append((query, answer))
        except Exception as error:  # noqa: BLE001  the driver would swallow it
            self.errors.append(error)

    def succeeded(self, event) -> None:
        """Nothing is to be done."""

    def failed(self, event) -> None:
        """Nothing is to be done."""


def queries_of(event) -> list[dict]:
    """Return the command as its queries: each write of a batch is one."""
    command = {k: v for k, v in event.command.items() if k not in SENT_WITH_IT}
    if event.command_name in EXPLAINABLE:
        return [command]
    if event.command_name in {"update", "delete"}:
        verb, writes = event.command_name, f"{event.command_name}s"
        return [{verb: command[verb], writes: [one]} for one in command[writes]]
    assert event.command_name in {"insert", "endSessions", "hello"}
    return []


def walk(part):
    """Yield every document within an answer, but for the plans that lost."""
    if isinstance(part, dict):
        yield part
        for key, value in part.items():
            if key not in ("rejectedPlans", "command"):
                yield from walk(value)
    elif isinstance(part, list):
        yield from chain.from_iterable(map(walk, part))


@pytest.fixture(scope="module")
def crowded(mongo_uri):
    """Return a database with very many documents of every sort."""
    name = f"plans_{uuid.uuid4().hex}"
    storage = MongoStorage(mongo_uri, name)
    storage.setup()
    with MongoClient(mongo_uri, w=1) as client:
        fill_up(client[name], storage, COUNT)
        storage.close()
        yield client[name]
        client.drop_database(name)


@pytest.fixture
def explained(crowded, mongo_uri):
    """Return a store with the verbs' own rows, and what explains its commands."""
    for table in TABLES:
        crowded[table.name].delete_many({"_id": {"$lt": MARK}})
    explainer = Explainer(crowded)
    storage = MongoStorage(mongo_uri, crowded.name)
    fill(storage)
    storage.tables.link.close()
    client = MongoClient(mongo_uri, event_listeners=[explainer])
    storage.tables.link._make_client = lambda: client
    storage.check_schema()
    explainer.plans.clear()
    yield storage, explainer
    storage.close()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", sorted(VERBS))
def test_verb_reads_by_index_beside_many(name, explained):
    """No scan, no sort in memory; keys and documents looked at are bounded."""
    storage, explainer = explained
    VERBS[name](storage)
    assert explainer.errors == []
    # A page of coupons counts all their seats at once.
    counts = ".stats" in name or name.startswith("coupons.list")
    most = CAP + 1 if counts else MOST
    for query, answer in explainer.plans:
        parts = [*walk(answer)]
        stages = {part["stage"] for part in parts if "stage" in part}
        assert stages, query
        assert not stages & {"COLLSCAN", "SORT"}, (query, stages)
        for part in parts:
            assert part.get("totalKeysExamined", 0) <= most, (query, stages)
            assert part.get("totalDocsExamined", 0) <= most, (query, stages)


def test_every_store_is_explained(explained):
    """The verbs above read something of every store."""
    storage, explainer = explained
    for name in ("coupons.find", "enrollments.find", "jobs.claim", "events.claim"):
        explainer.plans.clear()
        VERBS[name](storage)
        assert explainer.plans
    verbs = {name.split(".")[0] for name in VERBS}
    members = vars(interfaces.Storage).items()
    stores = {name for name, member in members if isinstance(member, property)}
    assert stores <= verbs

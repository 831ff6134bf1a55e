# SPDX-License-Identifier: MIT
"""Many deliveries at once, to the WSGI app under a real server, on real stores."""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest
from support.servers import Server
from support.shop import SECRET, Shop
from support.size import times, with_the_first_python

from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sql.storage import SQLStorage


EVENTS, COPIES, THREADS = times(10, 100), times(5, 10), times(8, 32)
NEW, ROWS = "whsec_test_secret_two", times(8, 200)


@pytest.fixture
def served(named_store, tmp_path):
    """Return a shop and its server: two processes of four threads."""
    environ, open_storage = named_store
    with Shop(open_storage, lms_rate_per_s=0) as shop:
        shop.stripe.webhooks.held = True
        urls = {"stripe": shop.stripe.url, "lms": shop.lms.url}
        unlimited = {"FRAPPE_ENROLL_LMS_RATE_PER_S": "0"}
        server = Server(tmp_path, urls, "gunicorn-threads", **environ | unlimited)
        shop.url = server.url
        yield shop, server
        if server.process.poll() is None:
            server.stop()


def _timed(call, things):
    """Call with each, many at once; return the answers and, sorted, the seconds."""

    def one(thing):
        began = time.perf_counter()
        answer = call(thing)
        return answer, time.perf_counter() - began

    with ThreadPoolExecutor(THREADS) as pool:
        pairs = list(pool.map(one, things))
    return [answer for answer, _ in pairs], sorted(seconds for _, seconds in pairs)


def _spread(took):
    half, most = took[len(took) // 2], took[len(took) * 95 // 100]
    return f"p50 {half * 1000:.0f} ms, p95 {most * 1000:.0f} ms"


@with_the_first_python
def test_concurrent_deliveries_have_one_effect_each(served, capsys):
    """P2: events in random order, many copies at once: one effect each, all 2xx."""
    shop, server = served
    rows = [shop.checkout(f"learner{n}@example.com") for n in range(EVENTS)]
    events = [shop.account.pay(row.session_id) for row in rows] * COPIES
    random.shuffle(events)

    answers, took = _timed(shop.send, events)
    _, bare = _timed(lambda _: server.call("/healthz"), events)
    # What it works at after the answers is ended; what it has left undone is due.
    assert server.stop() == 0
    shop.rest(0, 130)
    assert {status for status, _ in answers} == {200}
    for row in map(shop.row, [row.id for row in rows]):
        assert row.status is Status.ENROLLED
        assert [e.fact for e in row.history].count("paid") == 1
        assert shop.lms_rows(row) == 1
    stored = shop.storage.events.list(state=JobState.DONE, limit=1000).items
    assert (len(stored), sum(e.deliveries for e in stored)) == (
        EVENTS,
        EVENTS * COPIES,
    )
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(took)} deliveries, {THREADS} at once, "
            f"{type(shop.storage).__name__}: {_spread(took)}; "
            f"beside as many GET /healthz: {_spread(bare)}\n"
        )


#: What deliveries are signed with, and what each host knows once it was restarted.
ROTATION = [
    ([(SECRET,)], (SECRET,)),
    # Rolled, the old one lives on: Stripe signs with both; some are on the way yet.
    ([(SECRET,), (SECRET, NEW)], (NEW, SECRET)),
    # The old one has ended.
    ([(SECRET, NEW), (NEW,)], (NEW,)),
]


def _deliver(shop, pool, events, signed_by):
    return [
        pool.submit(shop.send, event, secrets=secrets)
        for event, secrets in zip(events, cycle(signed_by), strict=False)
    ]


def test_secret_is_rotated_while_deliveries_go_on(db_folder):
    """As documented, host by host, under load: no delivery is ever refused."""
    storage = SQLStorage(f"sqlite:///{db_folder}/store.sqlite3")
    with Shop(lambda: storage, lms_rate_per_s=0) as shop:
        shop.stripe.webhooks.held = True
        shop.hosts *= 2
        rows = []
        for signed_by, known in ROTATION:
            new = [shop.checkout(f"l{len(rows) + n}@example.com") for n in range(ROWS)]
            events = [shop.account.pay(row.session_id) for row in new]
            rows += new
            with ThreadPoolExecutor(THREADS) as pool:
                sent = _deliver(shop, pool, events, signed_by)
                for host in range(len(shop.hosts)):
                    # In the midst of it: some are answered, some are not even sent.
                    sent[host * ROWS // 2].result()
                    shop.hosts[host] = shop.new_host(stripe_webhook_secret=known)
                sent += _deliver(shop, pool, events, signed_by)
            assert {future.result()[0] for future in sent} == {200}
        assert shop.send(events[0], secrets=(SECRET,))[0] == 400
        shop.rest(0, 130)
        assert {shop.row(row.id).status for row in rows} == {Status.ENROLLED}

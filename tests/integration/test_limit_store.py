# SPDX-License-Identifier: MIT
"""The client of the rate limits: our time-outs, our name, our database, our end."""

from __future__ import annotations

import gc
import logging
import socket
import time

import pytest
from limits.errors import StorageError
from support.mongod import Mongod
from support.size import LEAST, SERVER_DIFFERS

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments
from frappe_enroll_wsgi import Surface
from frappe_enroll_wsgi._internal.errors import RateLimitedError
from frappe_enroll_wsgi._internal.limitstore import LimitStore


pytest.importorskip("pymongo")
pytestmark = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)

SYSTEM_NAMES = {"admin", "config", "local"}


def surface(**settings):
    """Return the surface of a deployment."""
    sdk = EnrollSDK(
        Settings(**{"rate_limits": ("checkout=2/900",)} | settings),
        payments=FakePayments(),
        lms=FakeLMS(),
        discover=True,
    )
    return Surface(sdk)


def hits(site, n, address="203.0.113.9"):
    """Count so many requests of an address; return how many went through."""
    through = 0
    for _ in range(n):
        try:
            site.limits.hit_address("checkout", address)
        except RateLimitedError:
            continue
        through += 1
    return through


@pytest.fixture
def server(mongod_binary):
    """Return a server of this test's own: it is looked at, and dies."""
    with Mongod() as server:
        yield server


def test_deployments_on_one_server_count_for_themselves(server):
    """Each in its own database, and nothing outside it."""
    sites = [
        surface(mongodb_uri=server.uri, mongodb_database=name)
        for name in ("staging", "live")
    ]
    assert [hits(site, 3) for site in sites] == [2, 2]
    with server.client() as client:
        assert set(client.list_database_names()) - SYSTEM_NAMES == {"staging", "live"}
        assert "expireAt_1" in client.live.rate_limit_windows.index_information()
    for site in sites:
        site.sdk.close()


def test_limits_of_a_server_of_their_own_have_the_database_of_its_uri(server):
    """Else the one that the settings name."""
    own = server.uri.replace("/?", "/limited?")
    for uri, name in ((own, "limited"), (server.uri, "shop")):
        site = surface(rate_limit_storage=uri, mongodb_database="shop")
        assert hits(site, 1, "203.0.113.10") == 1
        with server.client() as client:
            assert client[name].rate_limit_windows.count_documents({}) == 1
        site.limits.close()


def test_user_of_one_database_can_count(mongod_binary):
    """It needs no rights elsewhere."""
    with Mongod("--auth") as server:
        server.add_user("root", "root")
        with server.client(username="root", password="root") as client:
            rights = [{"role": "readWrite", "db": "shop"}]
            client.shop.command("createUser", "shop", pwd="shop", roles=rights)
        uri = f"mongodb://shop:shop@{server.address}/shop?directConnection=true"
        site = surface(rate_limit_storage=uri)
        assert hits(site, 3) == 2
        site.limits.close()


def test_client_says_who_it_is_and_ends_with_the_sdk(server):
    """An operator of the server sees a name, and nothing once the SDK is closed."""
    site = surface(mongodb_uri=server.uri, mongodb_database="shop")
    assert hits(site, 1) == 1

    with server.client() as client:
        pipeline = [{"$currentOp": {"allUsers": True, "idleConnections": True}}]
        names = [op.get("appName") for op in client.admin.aggregate(pipeline)]
        assert "frappe-enroll-sdk" in names
        site.sdk.close()
        ends = time.monotonic() + 10
        while "frappe-enroll-sdk" in names:
            assert time.monotonic() < ends
            names = [op.get("appName") for op in client.admin.aggregate(pipeline)]
    assert hits(site, 1) == 1
    site.sdk.close()


def test_server_that_is_gone_costs_one_time_out_and_no_exit(server, caplog):
    """Memory counts meanwhile, and the end of the client waits for nobody."""
    site = surface(mongodb_uri=server.uri, mongodb_database="shop")
    assert hits(site, 1) == 1
    site.sdk.setup()
    server.kill()
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert hits(site, 5, "203.0.113.11") == 2
    assert time.monotonic() - began < 8
    words = "counting requests in memory"
    (record,) = [r for r in caplog.records if words in r.message]
    assert record.levelname == "WARNING"
    began = time.monotonic()
    site.sdk.close()
    assert time.monotonic() - began < 8


def test_server_that_comes_back_counts_again(server, monkeypatch):
    """After a rest, with its indexes made."""
    server.kill()
    site = surface(mongodb_uri=server.uri, mongodb_database="shop")
    assert hits(site, 1) == 1
    server.start()
    rest_over = SYSTEM.monotonic() + 60
    monkeypatch.setattr(SYSTEM, "monotonic", lambda: rest_over, raising=False)
    assert hits(site, 3) == 2
    with server.client() as client:
        assert "expireAt_1" in client.shop.rate_limit_windows.index_information()
    monkeypatch.undo()
    site.sdk.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_client_of_redis_has_a_time_out_too():
    """A server that takes the connection and says nothing is left after two seconds."""
    pytest.importorskip("redis")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        uri = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        store = LimitStore(Settings(rate_limit_storage=uri))
        told = []
        began = time.monotonic()
        for _ in range(3):
            store.run(
                lambda limiter: limiter.storage.incr("x", 10) and None, told.append
            )
        assert time.monotonic() - began < 8
        assert [type(error) for error in told] == [StorageError]
        store.close()
    # What the driver forgets of a connection that was never made is its own.
    del told
    gc.collect()

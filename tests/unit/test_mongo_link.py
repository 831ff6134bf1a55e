# SPDX-License-Identifier: MIT
"""What is made of a URI and a name, before any server is asked."""

from __future__ import annotations

import pytest

from frappe_enroll_mongo.link import TIMEOUT_MS, Link
from frappe_enroll_sdk.errors import SettingsError


@pytest.mark.parametrize(
    ("options", "limit_s"),
    [
        ("", TIMEOUT_MS / 1000),
        ("?connectTimeoutMS=2000", TIMEOUT_MS / 1000),
        ("?socketTimeoutMS=2000&serverSelectionTimeoutMS=1", TIMEOUT_MS / 1000),
        ("?wtimeoutMS=2000", TIMEOUT_MS / 1000),
        ("?timeoutMS=0", TIMEOUT_MS / 1000),
        ("?timeoutMS=2500", 2.5),
        ("?retryReads=true&TIMEOUTMS=2500", 2.5),
    ],
)
def test_every_operation_has_a_limit(options, limit_s):
    """The URI's own limit on an operation, or ours: other limits are others."""
    link = Link(f"mongodb://127.0.0.1:1/{options}", "enroll")
    assert link.client().options.timeout == limit_s
    link.close()


@pytest.mark.parametrize(
    "uri",
    ["mongodb://127.0.0.1:port/", "mongodb://ada:p@ss:word@127.0.0.1/", "http://x"],
)
def test_uri_that_is_none_is_named_by_its_setting(uri):
    """A setting is wrong: its name is told, and nothing of its value."""
    with pytest.raises(SettingsError, match=r"^MONGODB_URI: is not usable") as caught:
        Link(uri, "enroll").client()
    assert "word" not in str(caught.value)


def test_database_name_that_is_none_is_named_by_its_setting():
    """The driver refuses the name: so do we, in our words."""
    link = Link("mongodb://127.0.0.1:1/", "a b")
    with pytest.raises(SettingsError, match="MONGODB_DATABASE"):
        link.collection("jobs")
    link.close()


def test_collection_of_a_closed_client_is_not_kept():
    """Who closes while another thread looks up a collection leaves nothing stale."""
    link = Link("mongodb://127.0.0.1:1/", "enroll")
    database, closing = link.database, [True]

    def slow():
        found = database()
        if closing.pop():
            link.close()
            closing.append(False)
        return found

    link.database = slow
    stale = link.collection("jobs")
    closing[:] = [False]
    assert link.collection("jobs").database.client is link.client()
    assert stale.database.client is not link.client()
    link.close()

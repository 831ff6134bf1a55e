# SPDX-License-Identifier: MIT
"""The serverless example: its cron request, replayed as the host sends it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from werkzeug.test import Client


FOLDER = Path(__file__).parents[2] / "examples" / "vercel"


@pytest.fixture
def client(monkeypatch, tmp_path):
    """Return a client of the example's app, set up as its README says."""
    for name, value in {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite3'}",
        "STRIPE_SECRET_KEY": "sk_test_example",
        "STRIPE_WEBHOOK_SECRET": "whsec_example",
        "FRAPPE_LMS_URL": "http://127.0.0.1:9",
        "FRAPPE_LMS_API_KEY": "key",
        "FRAPPE_LMS_API_SECRET": "secret",
        "FRAPPE_ENROLL_PUBLIC_URL": "http://127.0.0.1:5000",
        "CRON_SECRET": "a-long-cron-secret-of-the-host",
    }.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("index", FOLDER / "api" / "index.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.app._surface.sdk.setup()
    yield Client(module.app)
    module.app._surface.sdk.close()


def cron():
    """Return the one cron of the example."""
    (found,) = json.loads((FOLDER / "vercel.json").read_text())["crons"]
    return found


def test_cron_is_every_five_minutes():
    """The schedule that the backoff counts on."""
    assert cron()["schedule"] == "*/5 * * * *"


def test_cron_request_runs_a_pass(client):
    """GET with the bearer secret: one pass, and nothing that a cache may keep."""
    answer = client.get(
        cron()["path"],
        headers={
            "Authorization": "Bearer a-long-cron-secret-of-the-host",
            "User-Agent": "vercel-cron/1.0",
        },
    )
    assert answer.status_code == 200
    assert answer.json["claimed"] == 0
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "a-long-cron-secret-of-the-host"]
)
def test_cron_without_the_secret_is_refused(client, header):
    """Whoever is not the cron runs nothing."""
    headers = {"Authorization": header} if header else {}
    assert client.get(cron()["path"], headers=headers).status_code == 401

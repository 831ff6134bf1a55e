# SPDX-License-Identifier: MIT
"""Long actions: written first, done, and closed in every ending."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from support.size import with_the_first_python
from support.world import COURSE, World

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.errors import StorageUnavailableError, ValidationError
from frappe_enroll_sdk.services import audit
from frappe_enroll_sdk.testing.faults import Crash


@pytest.fixture
def world():
    """Return a world."""
    return World()


def acting(sdk, actor, reason, **detail):
    """Import a file, as an action of the trail."""
    by = audit.actor_of(actor, reason)
    return audit.acting(sdk._services.context, by, "import", "file", **detail)


def trail(sdk):
    """Return the audit trail, oldest first: action, phase and counts."""
    told = []
    entries = sdk.storage.audit.list(limit=50).items[::-1]
    # Time stands still: of one moment's entries the one that ends an action is last.
    for entry in sorted(entries, key=lambda e: (e.at, "begun" in e.detail)):
        detail = dict(entry.detail)
        detail.pop("begun", None)
        told.append((entry.action, detail.pop("phase", None), detail))
    return told


@pytest.mark.parametrize(
    ("error", "endings"),
    [
        (None, ["done"]),
        (ValidationError("x"), ["failed"]),
        (KeyboardInterrupt(), ["stopped"]),
        (SystemExit(), ["stopped"]),
        (Crash("here"), []),
    ],
)
def test_action_is_closed_in_every_ending_but_death(world, error, endings):
    """Its first entry stands before anything is done; the last one has the counts."""
    sdk = world.sdk()

    def act():
        with acting(sdk, "ada", "spring", wanted=9) as result:
            assert trail(sdk) == [("import", "begun", {"wanted": 9})]
            result["created"] = 4
            if error is not None:
                raise error

    if error is None:
        act()
    else:
        with pytest.raises(type(error)):
            act()
    last = trail(sdk)[1:]
    assert [phase for _, phase, _ in last] == endings
    assert all(detail["created"] == 4 for *_, detail in last)


def test_action_of_nobody_or_without_a_reason_is_not_begun(world):
    """Nobody's is not written; one that the trail would refuse does nothing."""
    sdk = world.sdk()
    with acting(sdk, "", ""):
        pass
    with (
        pytest.raises(ValidationError),
        acting(sdk, "ada", " "),
    ):
        pytest.fail("it was begun")
    assert trail(sdk) == []


def test_error_of_an_action_is_told_though_the_trail_is_down(world, monkeypatch):
    """The second failure hides no first one."""
    sdk = world.sdk()

    def down(_entry):
        raise StorageUnavailableError("away")

    def act():
        with acting(sdk, "ada", "spring"):
            monkeypatch.setattr(world.storage.audit, "append", down)
            raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        act()


def dead_jobs(world, n):
    """Let so many jobs die."""
    now = world.clock.now()
    for number in range(n):
        world.storage.jobs.enqueue(f"job-{number}", "gone", {}, now, now=now)
    world.sdk().run_jobs()


def test_requeue_that_is_stopped_tells_how_many(world):
    """What was made due stays so; the rest is requeued by doing it again."""
    dead_jobs(world, 5)
    sdk = world.sdk()

    def stop(done):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sdk.admin.requeue(5, actor="ada", reason="mended", tell=stop)
    assert trail(sdk)[-1] == (
        "requeue_jobs",
        "stopped",
        {"count": 2, "cause": "KeyboardInterrupt"},
    )
    assert sdk.admin.requeue(5, actor="ada", reason="mended") == 3


def test_prune_and_erasure_are_said_before_they_are_done(world, monkeypatch):
    """A store that fails in the middle leaves the word that it was begun."""
    sdk = world.sdk()

    def fail(*_arguments, **_named):
        raise StorageUnavailableError("away")

    monkeypatch.setattr(world.storage.jobs, "prune", fail)
    with pytest.raises(StorageUnavailableError):
        sdk.admin.prune_jobs(timedelta(days=9), actor="ada", reason="room")
    assert [phase for _, phase, _ in trail(sdk)] == ["begun", "failed"]
    sdk.checkout(
        course_id=COURSE, email="ada@example.com", coupon_code=world.coupon(100)
    )
    (row,) = world.rows()
    sdk.enrollments.revoke(row.id, "ada", "left")
    world.let_time_pass()
    monkeypatch.setattr(world.storage.enrollments, "transition", fail)
    with pytest.raises(StorageUnavailableError):
        sdk.privacy.erase("ada@example.com", actor="dpo", reason="asked")
    subjects = [e.subject for e in sdk.storage.audit.list().items if e.actor == "dpo"]
    assert set(subjects) == {"privacy", row.id}


@with_the_first_python
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_import_that_is_interrupted_tells_what_it_did(tmp_path, number):
    """The counts on stderr, in the trail and in the store are one."""
    environ = {k: v for k, v in os.environ.items() if k.startswith(("PATH", "PYTHON"))}
    environ |= {
        "DATABASE_URL": f"sqlite:///{tmp_path}/store.sqlite3",
        "STRIPE_SECRET_KEY": "sk_test_x",
        "FRAPPE_LMS_URL": "http://127.0.0.1:9",
        "FRAPPE_LMS_API_KEY": "key",
        "FRAPPE_LMS_API_SECRET": "secret",
    }
    rows = "".join(f"C{n:06},50,yes\n" for n in range(60_000))
    file = tmp_path / "codes.csv"
    file.write_text(f"code,percent_off,any_course\n{rows}")
    words = ["coupons", "import", str(file), "--actor", "op", "--reason", "spring"]
    with EnrollSDK(Settings.from_env(environ)) as sdk:
        sdk.setup()
        process = subprocess.Popen(
            [sys.executable, "-m", "frappe_enroll_cli", *words],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        ends = time.monotonic() + 60
        while sdk.coupons.list(limit=1).items == ():
            assert time.monotonic() < ends
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        made = sdk.coupons.usage().coupons
        assert 0 < made < 60_000
        assert process.returncode == 1
        assert f"{made} coupons were created; import the file again" in err
        phases = [(phase, detail) for _, phase, detail in trail(sdk)]
        assert phases[0] == ("begun", {})
        assert (phases[1][0], phases[1][1]["created"]) == ("failed", made)

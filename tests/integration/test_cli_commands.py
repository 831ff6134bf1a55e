# SPDX-License-Identifier: MIT
"""The command line: exit codes, data on stdout, talk on stderr, audited words."""

from __future__ import annotations

import json
from datetime import datetime

import click
import pytest
from support.cli import SECRET, caller, settings_of
from support.world import COURSE

from frappe_enroll_cli.main import cli
from frappe_enroll_sandbox import LMSSandbox, StripeSandbox, sign
from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.models import Status


@pytest.fixture(scope="module")
def stripe():
    """Return a Stripe sandbox."""
    with StripeSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def lms():
    """Return an LMS sandbox with the course."""
    with LMSSandbox() as sandbox:
        sandbox.site.add_course(COURSE, 49.0, "USD", title="Python 101")
        yield sandbox


@pytest.fixture
def run(capsys, monkeypatch):
    """Return what runs a command in this process."""
    return caller(capsys, monkeypatch)


@pytest.fixture
def configured(stripe, lms, db_folder, monkeypatch):
    """Set the environment of a whole service, without inline work."""
    settings = settings_of(stripe, lms, db_folder)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


@pytest.fixture
def service(configured, run):
    """Return the SDK of a service that is set up."""
    assert run("setup").code == 0
    with EnrollSDK.from_env() as sdk:
        yield sdk


@pytest.fixture
def granted(service):
    """Return the id of an enrollment by a full grant whose sync is owed."""
    code = service.coupons.create(100, COURSE).code
    answer = service.checkout(
        course_id=COURSE, email="ada@example.com", coupon_code=code
    )
    assert answer.status == "confirmed"
    return answer.enrollment_id


def test_setup_is_idempotent_and_talks_on_stderr(configured, run):
    """Exit 0 twice, and nothing on stdout."""
    for _ in range(2):
        said = run("setup")
        assert (said.code, said.out) == (0, "")
        assert said.err == "sql: the schema is up to date\n"


def test_check_is_0_when_all_is_well(service, run):
    """As JSON and as text."""
    said = run("check", "--json")
    assert (said.code, said.err) == (0, "")
    states = {one["name"]: one["state"] for one in said.lines[0]}
    assert states == {
        **dict.fromkeys(("storage", "payments", "lms", "lms key", "schema"), "ok"),
        **dict.fromkeys(("webhook secret", "clock", "prices", "lms role"), "ok"),
        **{name: "ok" for name in states if " right: " in name},
        # Nothing is due, and no worker was started yet.
        "workers": "unknown",
        # One process serves: its memory will do.
        "rate limits": "note",
        # Nothing that Stripe could reach: `stripe listen` needs no endpoint.
        "stripe endpoint": "unknown",
    }
    rights = [name for name in states if " right: " in name]
    assert len(rights) == 9
    assert run("check").out.count(" ok\n") == 9 + len(rights)


def test_check_is_69_when_a_backend_is_down(service, lms, run):
    """The others are told all the same."""
    lms.stop()
    said = run("check", "--json")
    assert said.code == 69
    states = {one["name"]: one["state"] for one in said.lines[0]}
    assert (states["storage"], states["payments"]) == ("ok", "ok")
    assert (states["lms"], "lms key" in states) == ("lms_unavailable", False)


def test_check_is_69_when_a_required_plugin_is_missing(service, run, monkeypatch):
    """Named, so that it can be installed."""
    monkeypatch.setenv("FRAPPE_ENROLL_PLUGINS", "sql,stripe,lms,crm")
    said = run("check", "--json")
    assert said.code == 69
    states = {one["name"]: one["state"] for one in said.lines[0]}
    assert states["plugin crm"] == "missing"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["jobs", "nope"],
        ["coupons", "create"],
        ["jobs", "list", "--limit", "0"],
        ["jobs", "list", "--limit", "many"],
        ["jobs", "list", "--state", "nope"],
        ["events", "list", "--state", "nope"],
        ["enrollments", "list", "--status", "nope"],
        ["events", "prune", "--days", "0"],
        ["events", "prune", "--days", "-1"],
        ["events", "prune", "--days", "all"],
        ["events", "prune", "--days", "3651"],
        ["events", "prune", "--days", "30", "--actor", "op"],
        ["worker", "--concurrency", "0"],
        ["enrollments", "show"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(service, run, arguments):
    """Click's own words on stderr, no traceback."""
    said = run(*arguments)
    assert (said.code, said.out) == (2, "")
    assert "Usage:" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs", "show", "nope"],
        ["jobs", "retry", "nope"],
        ["events", "show", "evt_0"],
        ["events", "replay", "evt_0", "--actor", "a", "--reason", "b"],
        ["coupons", "show", "NO-SUCH"],
        ["coupons", "disable", "NO-SUCH"],
        ["coupons", "create", "--percent", "101", "--course", COURSE],
        ["coupons", "create", "--percent", "50"],
        ["coupons", "create", "--percent", "50", "--course", "no-such-course"],
        ["enrollments", "show", "enr_0"],
        ["enrollments", "revoke", "enr_0", "--actor", "a", "--reason", "b"],
    ],
    ids=" ".join,
)
def test_what_failed_is_1(service, run, arguments):
    """One line on stderr, nothing on stdout."""
    said = run(*arguments)
    assert (said.code, said.out) == (1, "")
    assert said.err.upper().startswith("ERROR: ")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FRAPPE_ENROLL_INLINE_S", "soon"),
        ("FRAPPE_ENROLL_STORAGE", "nope"),
        ("STRIPE_SECRET_KEY", "pk_test_public"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_good_for_a_test,not_whsec"),
        ("FRAPPE_LMS_API_KEY", ""),
        ("DATABASE_URL", "postgresql://127.0.0.1/enroll"),
        ("DATABASE_URL", "sqlite://"),
    ],
)
def test_bad_configuration_is_78(service, run, monkeypatch, name, value):
    """The variable is named."""
    monkeypatch.setenv(name, value)
    said = run("stats")
    assert (said.code, said.out) == (78, "")
    assert name in said.err


@pytest.mark.parametrize("arguments", [["worker", "--once"], ["jobs", "list"]])
def test_store_that_is_not_set_up_is_78(configured, run, arguments):
    """The text is the command that mends it."""
    said = run(*arguments)
    assert (said.code, said.out) == (78, "")
    assert "frappe-enroll setup" in said.err


def test_store_that_is_away_is_69(service, run, monkeypatch, db_folder):
    """A folder where the file should be can't be opened."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{db_folder}")
    said = run("stats")
    assert (said.code, said.out) == (69, "")


def test_worker_once_enrolls_and_reports(granted, service, run):
    """One pass; the report is JSON."""
    said = run("worker", "--once")
    assert said.code == 0
    (report,) = said.lines
    assert (report["succeeded"], report["dead"]) == (report["claimed"], 0)
    assert service.enrollments.get(granted).status is Status.ENROLLED
    assert len(service.lms.find_enrollments("ada@example.com", COURSE)) == 1


def test_jobs_are_listed_shown_and_retried(granted, service, run):
    """By state, by key; an operator's retry takes the enrollment's id too."""
    (job,) = run("jobs", "list").lines
    assert (job["kind"], job["state"]) == ("sync", "due")
    assert run("jobs", "list", "--state", "dead").lines == []
    assert run("jobs", "show", job["key"]).lines == [job]
    for name in (job["key"], granted):
        said = run("jobs", "retry", name)
        assert (said.code, said.out, said.err) == (0, "", "due now\n")
    assert run("jobs", "requeue").out == "0\n"


def test_dead_jobs_are_requeued(granted, service, lms, run):
    """An operator mends the cause and brings them all back."""
    lms.fail_next("GET .*User", "error", status=417, times=9)
    run("worker", "--once")
    (dead,) = run("jobs", "list", "--state", "dead").lines
    assert dead["errors"][-1]["cause"]
    lms.heal()
    assert run("jobs", "requeue", "--limit", "5").out == "1\n"
    run("worker", "--once")
    assert service.enrollments.get(granted).status is Status.ENROLLED


def test_requeue_takes_filters_and_a_rate(granted, service, lms, run):
    """What fits falls due one by one; the bar is on stderr, the trail names who."""
    for number in range(3):
        code = service.coupons.create(100, COURSE).code
        service.checkout(
            course_id=COURSE, email=f"l{number}@example.com", coupon_code=code
        )
    lms.fail_next("GET .*User", "error", status=417, times=9)
    run("worker", "--once")
    lms.heal()
    assert run("jobs", "requeue", "--kind", "mail").out == "0\n"
    assert run("jobs", "requeue", "--code", "lease_lapsed").out == "0\n"
    words = ["--actor", "op", "--reason", "the course is back"]
    chosen = ["--kind", "sync", "--code", "backend_rejected", "--per-second", "0.1"]
    said = run("jobs", "requeue", *chosen, *words)
    assert (said.code, said.out) == (0, "4\n")
    assert "requeue" in said.err
    due = sorted(job["due_at"] for job in run("jobs", "list", "--state", "due").lines)
    moments = [datetime.fromisoformat(at) for at in due]
    assert (moments[-1] - moments[0]).total_seconds() == pytest.approx(30, abs=5)
    entry, begun = service.admin.audit(subject="sync").items
    assert (entry.actor, entry.action, entry.detail) == (
        "op",
        "requeue_jobs",
        {"count": 4, "phase": "done", "begun": begun.id},
    )
    assert begun.detail == {"phase": "begun"}


def test_jobs_are_buried_pruned_and_tidied(granted, run):
    """By a word of an operator's; the housekeeping by its tasks' names."""
    words = ["--actor", "op", "--reason", "asked twice"]
    assert run("jobs", "bury", granted).code == 2
    assert run("jobs", "bury", granted, *words).err == "dead\n"
    (dead,) = run("jobs", "list", "--state", "dead", "--kind", "sync").lines
    assert dead["errors"][-1]["cause"] == "asked twice"
    assert run("jobs", "list", "--state", "dead", "--kind", "mail").lines == []
    assert run("jobs", "bury", granted, *words).code == 1
    assert run("jobs", "prune", "--days", "1").out == "0\n"
    assert json.loads(run("maintain", "--task", "jobs").out) == {"jobs": 0}
    assert {"jobs", "events", "requests", "workers"} <= json.loads(
        run("maintain").out
    ).keys()
    assert run("maintain", "--task", "nothing").code == 1


@pytest.mark.parametrize("verb", ["revoke", "reinstate"])
@pytest.mark.parametrize("missing", ["--actor", "--reason"])
def test_order_needs_actor_and_reason(granted, service, run, verb, missing):
    """Without either nothing changes."""
    words = {"--actor": "op", "--reason": "why"}
    del words[missing]
    said = run(
        "enrollments", verb, granted, *(w for pair in words.items() for w in pair)
    )
    assert said.code == 2
    assert missing in said.err
    assert service.enrollments.get(granted).status is Status.CONFIRMED


def test_orders_are_obeyed_and_audited(granted, service, run, monkeypatch):
    """Revoked and reinstated, with who and why; the LMS follows."""
    run("worker", "--once")
    said = run("enrollments", "revoke", granted, "--actor", "grace", "--reason", "left")
    assert (said.code, said.out) == (0, "revoked\n")
    run("worker", "--once")
    assert service.lms.find_enrollments("ada@example.com", COURSE) == ()
    monkeypatch.setenv("ENROLL_ACTOR", "edsger")
    said = run("enrollments", "reinstate", granted, "--reason", "came back")
    assert (said.code, said.out) == (0, "confirmed\n")
    again = run("quarantine", "accept", granted, "--reason", "x")
    assert (again.code, again.out) == (1, "")
    entries = service.storage.audit.list(subject=granted).items
    told = {(e.actor, e.action, e.reason) for e in entries}
    assert told == {
        ("grace", "revoked", "left"),
        ("edsger", "reinstated", "came back"),
    }


def test_enrollments_are_listed_and_shown(granted, service, run):
    """As JSON lines, by learner; the timeline as text."""
    (row,) = run("enrollments", "list", "--email", "ADA@example.com").lines
    assert (row["id"], row["status"]) == (granted, "confirmed")
    assert run("enrollments", "list", "--status", "enrolled").out == ""
    assert run("enrollments", "list", "--course", "other").out == ""
    said = run("enrollments", "show", granted)
    *lines, verdict, following = said.out.splitlines()[1:]
    facts = [line.split()[-1] for line in lines]
    assert facts == ["opened", "reserved", "coupon_redeemed"]
    assert verdict == "verdict: entitled; not yet enrolled in the LMS"
    assert following == f"next: frappe-enroll jobs show {granted}"
    assert run("enrollments", "show", "ada@example.com").out == said.out
    assert granted in said.out.splitlines()[0]


def test_coupons_are_created_shown_and_disabled(service, run):
    """One JSON line each."""
    said = run("coupons", "create", "--percent", "40", "--course", COURSE)
    assert (said.code, said.err) == (0, "")
    (coupon,) = said.lines
    assert (coupon["percent_off"], coupon["course_id"]) == ("40", COURSE)
    code = coupon["code"]
    own = ["--any-course", "--code", "mine-1", "--max-redemptions", "3"]
    (mine,) = run("coupons", "create", "--percent", "100", *own).lines
    assert (mine["code"], mine["max_redemptions"]) == ("MINE-1", 3)
    assert {c["code"] for c in run("coupons", "list").lines} == {code, "MINE-1"}
    assert run("coupons", "disable", code).code == 0
    assert run("coupons", "show", code).lines[0]["disabled"] is True


@pytest.fixture
def event(service, stripe):
    """Return the id of a stored payment event that is still due."""
    answer = service.checkout(course_id=COURSE, email="bob@example.com")
    session_id = service.enrollments.get(answer.enrollment_id).session_id
    stripe.account.pay(session_id)
    body = json.dumps(next(reversed(stripe.account.events.values()))).encode()
    header = sign(body, SECRET, int(service.clock.now().timestamp()))
    result = service.handle_webhook(body, {"Stripe-Signature": header})
    assert result.outcome == "queued"
    return result.event_id


def test_events_are_listed_shown_replayed_and_pruned(event, service, run):
    """A replay doubles nothing; pruning spares what is young."""
    assert [e["key"] for e in run("events", "list", "--state", "due").lines] == [event]
    run("worker", "--once")
    (shown,) = run("events", "show", event).lines
    assert (shown["state"], shown["outcome"]) == ("done", "processed")
    (replayed,) = run("events", "replay", event, "--actor", "op", "--reason", "x").lines
    assert replayed["state"] == "due"
    run("worker", "--once")
    (row,) = service.enrollments.list(email="bob@example.com").items
    assert row.status is Status.ENROLLED
    assert [e.fact for e in row.history].count("paid") == 1
    prune = ("events", "prune", "--days", "1", "--actor", "op")
    assert run(*prune, "--reason", "room").out == "0\n"
    assert run(*prune, "--reason", " ").code == 1
    entry, begun = service.storage.audit.list(subject="store").items
    assert (entry.actor, entry.action, entry.reason) == ("op", "prune_events", "room")
    assert entry.detail == {
        "count": 0,
        "days": 1,
        "phase": "done",
        "begun": begun.id,
    }


def test_quarantine_is_listed_and_dismissed(service, stripe, run):
    """A payment that came too late is held until an operator has a word."""
    answer = service.checkout(course_id=COURSE, email="eve@example.com")
    row = service.enrollments.get(answer.enrollment_id)
    session = stripe.account.sessions[row.session_id]
    session["amount_total"] = 1
    stripe.account.pay(row.session_id)
    assert service.confirm_return(row.session_id).status is Status.ON_HOLD
    (held,) = run("quarantine", "list").lines
    assert (held["id"], held["reason"]) == (row.id, "amount_mismatch")
    words = ["--actor", "op", "--reason", "forged"]
    assert run("quarantine", "dismiss", row.id, *words).out == "cancelled\n"
    assert run("quarantine", "list").out == ""


def test_stats_are_one_json_line(granted, run):
    """Numbers of the queue and the gates."""
    (stats,) = run("stats").lines
    assert stats["jobs"]["due_now"] == 1
    assert stats["gates"] == {"lms": True, "payments": True}
    told = run("stats", "--text").out
    for line in ("health", "oldest owed", "gate lms", "1 due now"):
        assert line in told


def test_config_masks_secrets(configured, run):
    """With its source; a template has every variable."""
    said = run("config", "--json")
    (rows,) = said.lines
    told = {row["variable"]: (row["value"], row["source"]) for row in rows}
    assert told["STRIPE_WEBHOOK_SECRET"] == ("***", "environment")
    assert told["FRAPPE_ENROLL_INLINE_S"] == ("0", "environment")
    assert told["FRAPPE_ENROLL_LEASE_S"] == ("60", "default")
    text = run("config").out
    assert "STRIPE_SECRET_KEY=***  # environment\n" in text
    for secret in (SECRET, "sandbox-secret", "sk_test_sandbox"):
        assert secret not in said.out + text
    assert "#DATABASE_URL=\n" in run("config", "--template").out


def test_plugins_are_listed_without_any_backend(run, monkeypatch):
    """Also, and above all, when one can't be built."""
    monkeypatch.setenv("FRAPPE_ENROLL_PLUGINS", "sql,crm")
    said = run("plugins", "--json")
    told = {info["name"]: info["status"] for info in said.lines[0]}
    assert said.code == 0
    assert (told["sql"], told["stripe"], told["crm"]) == (
        "loaded",
        "disabled",
        "missing",
    )
    assert "not installed" in run("plugins").out


def commands(group, path=()):
    """Yield every command with its path."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_every_command_has_help_and_shows_its_variables(run):
    """An option that reads a variable names it; the table of texts is whole."""
    listed = run("--help").out
    for path, command in commands(cli):
        said = run(*path, "--help")
        assert said.code == 0
        assert command.help
        assert path[0] in listed
        for option in command.params:
            if isinstance(option, click.Option) and option.envvar:
                assert f"env var: {option.envvar}" in " ".join(said.out.split())


def test_version_is_the_distributions(run):
    """As pip tells it."""
    from importlib.metadata import version  # noqa: PLC0415  only here

    assert version("frappe-enroll-sdk") in run("--version").out


def test_learner_is_exported_and_erased(service, run):
    """What is live is refused with a cause; afterwards nothing names her."""
    email, words = "ada@example.com", ("--actor", "dpo", "--reason", "asked")
    code = service.coupons.create(100, COURSE).code
    answer = service.checkout(course_id=COURSE, email=email, coupon_code=code)
    (told,) = run("enrollments", "export", "--email", email).lines
    assert [row["id"] for row in told["enrollments"]] == [answer.enrollment_id]
    refused = run("enrollments", "erase", "--email", email, *words)
    assert refused.code == 1
    assert "revoke" in refused.err
    run("enrollments", "revoke", answer.enrollment_id, *words)
    run("worker", "--once")
    erased = run("enrollments", "erase", "--email", email, *words)
    assert erased.code == 0
    assert erased.lines[0]["enrollments"] == 1
    (told,) = run("enrollments", "export", "--email", email).lines
    assert told["enrollments"] == []


def test_coupons_are_made_and_moved_in_bulk(service, run, tmp_path):
    """Codes on stdout, progress and bad rows on stderr, counts, and an audit trail."""
    who = ("--actor", "ops", "--reason", "spring")
    made = run(
        *("coupons", "create-many", "1200", "--percent", "20", "--any-course"),
        *("--prefix", "SPRING", "--per-learner", "1", *who),
    )
    codes = made.out.split()
    assert (made.code, len(set(codes))) == (0, 1200)
    assert all(code.startswith("SPRING-") for code in codes)
    (usage,) = run("coupons", "usage", "--prefix", "SPRING-").lines
    assert (usage["coupons"], usage["unused"]) == (1200, 1200)
    file = tmp_path / "out.csv"
    said = run("coupons", "export", "--output", str(file))
    assert (said.code, said.err) == (0, "1200 coupons\n")
    rows = file.read_text().replace("SPRING", "SUMMER").splitlines()
    file.write_text("\n".join([*rows, rows[1].replace("20", "0")]))
    again = ("coupons", "import", str(file), *who)
    whole = run(*again, "--all-or-nothing")
    assert (whole.code, whole.lines) == (1, [{"created": 0, "known": 0, "bad": 1}])
    assert whole.err.startswith("line 1202: percent_off: must be above 0")
    part = run(*again)
    assert (part.code, part.lines) == (1, [{"created": 1200, "known": 0, "bad": 1}])
    assert run(*again).lines == [{"created": 0, "known": 1200, "bad": 1}]
    page = run("coupons", "list", "--prefix", "SUMMER", "--limit", "2")
    assert len(page.lines) == 2
    assert page.err.startswith("--cursor ")
    noted = [
        entry.action
        for entry in service.admin.audit().items
        if entry.detail["phase"] == "done"
    ]
    assert noted == [*["import_coupons"] * 3, "create_coupons"]

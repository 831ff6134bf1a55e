# SPDX-License-Identifier: MIT
"""Whatever somebody changes, by command, API or dashboard, leaves the same line."""

from __future__ import annotations

import itertools
from datetime import timedelta

import attrs
import click
import pytest
from support.browser import Browser
from support.cli import lender
from support.site import ADMIN, OPERATOR, Site
from support.world import COURSE

from frappe_enroll_cli.main import cli
from frappe_enroll_sdk.money import Money
from frappe_enroll_wsgi import ROUTES
from frappe_enroll_wsgi._internal.routing import Access


REASON = "the reason of all"
WORDS = ("--actor", "olga", "--reason", REASON)
_numbers = itertools.count()


def fresh_email():
    """Return an address that nobody has."""
    return f"learner{next(_numbers)}@example.com"


@attrs.frozen(kw_only=True)
class Change:
    """
    One change.

    Attributes:
        prepare: Makes what is changed; returns its name (for paths and commands).
        cli: The command's words, or ().
        api: Path and fields of the admin API, or None.
        form: Path and fields of the dashboard, or None.
        lines: Actions of the trail that it leaves; a long one leaves two lines.
    """

    prepare: object
    cli: tuple = ()
    api: tuple | None = None
    form: tuple | None = None
    lines: tuple


def enrolled(site):
    """Return an enrollment by a full grant."""
    code = site.world.coupon(100)
    made = site.sdk.checkout(course_id=COURSE, email=fresh_email(), coupon_code=code)
    return made.enrollment_id


def revoked(site):
    """Return an enrollment that somebody has revoked."""
    name = enrolled(site)
    site.sdk.enrollments.revoke(name, "someone", "before")
    return name


def held(site):
    """Return an enrollment whose payment fits no amount."""
    made = site.sdk.checkout(course_id=COURSE, email=fresh_email())
    site.deliver(site.world.pay(made.enrollment_id, amount=Money(1, "usd")))
    return made.enrollment_id


def event(site):
    """Return an event that has had its effect."""
    made = site.sdk.checkout(course_id=COURSE, email=fresh_email())
    paid = site.world.pay(made.enrollment_id)
    site.deliver(paid)
    return paid.id


def waiting_job(site):
    """Return a job that waits."""
    name, now = f"job-{next(_numbers)}", site.world.clock.now()
    site.sdk.storage.jobs.enqueue(name, "x", {}, now + timedelta(days=1), now=now)
    return name


def dead_job(site):
    """Return a job that has died: no plugin handles its kind."""
    name, now = f"job-{next(_numbers)}", site.world.clock.now()
    site.sdk.storage.jobs.enqueue(name, "nobody-handles", {}, now, now=now)
    site.sdk.run_jobs()
    return name


def grant(site):
    """Return an application."""
    return site.sdk.grants.apply(course_id=COURSE, email=fresh_email()).id


def coupon(site):
    """Return a code."""
    return site.world.coupon(10)


def affiliate(site):
    """Return an affiliate's code."""
    return site.sdk.affiliates.register(fresh_email()).code


def earning_affiliate(site):
    """Return an affiliate whose commission is available."""
    code = affiliate(site)
    made = site.sdk.checkout(course_id=COURSE, email=fresh_email(), affiliate=code)
    site.deliver(site.world.pay(made.enrollment_id))
    site.world.clock.advance(31 * 86_400)
    site.sdk.run_jobs()
    return code


def nothing(_site):
    """Return no name: what is changed is the whole, or is new."""
    return ""


CSV = "code,percent_off,any_course\n"

CHANGES = {
    "revoke": Change(
        prepare=enrolled,
        cli=("enrollments", "revoke", "{}"),
        api=("/enrollments/{}/revoke", {}),
        form=("/enrollments/{}/order", {"verb": "revoke"}),
        lines=("revoked",),
    ),
    "reinstate": Change(
        prepare=revoked,
        cli=("enrollments", "reinstate", "{}"),
        api=("/enrollments/{}/reinstate", {}),
        form=("/enrollments/{}/order", {"verb": "reinstate"}),
        lines=("reinstated",),
    ),
    "reassign": Change(
        prepare=enrolled,
        cli=("enrollments", "reassign", "{}", "--email", "{email}"),
        api=("/enrollments/{}/reassign", {"email": "{email}"}),
        lines=("accepted", "reassigned"),
    ),
    "accept": Change(
        prepare=held,
        cli=("quarantine", "accept", "{}"),
        api=("/quarantine/{}/accept", {}),
        form=("/quarantine/{}", {"verb": "accept"}),
        lines=("accepted",),
    ),
    "dismiss": Change(
        prepare=held,
        cli=("quarantine", "dismiss", "{}"),
        api=("/quarantine/{}/dismiss", {}),
        form=("/quarantine/{}", {"verb": "dismiss"}),
        lines=("dismissed",),
    ),
    "accept the enrollment": Change(
        prepare=held,
        api=("/enrollments/{}/accept", {}),
        form=("/enrollments/{}/order", {"verb": "accept"}),
        lines=("accepted",),
    ),
    "dismiss the enrollment": Change(
        prepare=held,
        api=("/enrollments/{}/dismiss", {}),
        form=("/enrollments/{}/order", {"verb": "dismiss"}),
        lines=("dismissed",),
    ),
    "retry": Change(
        prepare=waiting_job,
        cli=("jobs", "retry", "{}"),
        api=("/jobs/{}/retry", {}),
        form=("/jobs/{}/order", {"verb": "retry"}),
        lines=("retry_job",),
    ),
    "retry the sync": Change(
        prepare=dead_job,
        cli=("jobs", "retry", "{}"),
        api=("/jobs/{}/retry", {}),
        form=("/jobs/{}/order", {"verb": "retry"}),
        lines=("retry_job",),
    ),
    "bury": Change(
        prepare=waiting_job,
        cli=("jobs", "bury", "{}"),
        api=("/jobs/{}/bury", {}),
        form=("/jobs/{}/order", {"verb": "bury"}),
        lines=("bury_job",),
    ),
    "requeue": Change(
        prepare=dead_job,
        cli=("jobs", "requeue"),
        api=("/jobs/requeue", {}),
        form=("/jobs/requeue", {}),
        lines=("requeue_jobs",) * 2,
    ),
    "replay": Change(
        prepare=event,
        cli=("events", "replay", "{}"),
        api=("/events/{}/replay", {}),
        form=("/events/{}/replay", {}),
        lines=("replay_event",),
    ),
    "pull": Change(
        prepare=nothing,
        cli=("events", "pull", "--since", "{day}"),
        api=("/events/pull", {"since": "{day}T00:00:00+00:00"}),
        lines=("pull_events",) * 2,
    ),
    "prune events": Change(
        prepare=nothing,
        cli=("events", "prune"),
        lines=("prune_events",) * 2,
    ),
    "prune jobs": Change(
        prepare=nothing,
        cli=("jobs", "prune"),
        lines=("prune_jobs",) * 2,
    ),
    "prune": Change(
        prepare=nothing,
        api=("/retention", {}),
        lines=("prune_events",) * 2 + ("prune_jobs",) * 2,
    ),
    "create a coupon": Change(
        prepare=nothing,
        cli=("coupons", "create", "--percent", "10", "--course", COURSE),
        api=("/coupons", {"percent_off": 10, "course_id": COURSE}),
        form=("/coupons", {"percent_off": "10", "course_id": COURSE}),
        lines=("create_coupon",),
    ),
    "disable a coupon": Change(
        prepare=coupon,
        cli=("coupons", "disable", "{}"),
        api=("/coupons/disable", {"code": "{}"}),
        form=("/coupons/disable", {"code": "{}"}),
        lines=("disable_coupon",),
    ),
    "create coupons": Change(
        prepare=nothing,
        cli=("coupons", "create-many", "2", "--percent", "10", "--any-course"),
        api=("/coupons/bulk", {"count": 2, "percent_off": 10}),
        form=("/coupons/bulk", {"count": "2", "percent_off": "10"}),
        lines=("create_coupons",) * 2,
    ),
    "import coupons": Change(
        prepare=nothing,
        cli=("coupons", "import", "{file}"),
        api=("/coupons/import", {"csv": CSV + "AP-{day},10,yes\n"}),
        form=("/coupons/import", {"csv": CSV + "FO-{day},10,yes\n"}),
        lines=("import_coupons",) * 2,
    ),
    "approve": Change(
        prepare=grant,
        cli=("grants", "approve", "{}", "--percent", "50"),
        api=("/grants/{}/approve", {"percent_off": 50}),
        form=("/grants/{}", {"verb": "approve", "percent_off": "50"}),
        lines=("grant_approved",),
    ),
    "approve several": Change(
        prepare=grant,
        api=("/grants/approve", {"percent_off": 50, "grant_ids": ["{}"]}),
        form=("/grants", {"percent_off": "50", "{}": "on"}),
        lines=("grant_approved",),
    ),
    "reject": Change(
        prepare=grant,
        cli=("grants", "reject", "{}"),
        api=("/grants/{}/reject", {}),
        form=("/grants/{}", {"verb": "reject", "percent_off": "50"}),
        lines=("grant_rejected",),
    ),
    "register": Change(
        prepare=nothing,
        cli=("affiliates", "register", "{email}"),
        api=("/affiliates", {"email": "{email}"}),
        form=("/affiliates", {"email": "{email}"}),
        lines=("affiliate_registered",),
    ),
    "suspend": Change(
        prepare=affiliate,
        cli=("affiliates", "suspend", "{}"),
        api=("/affiliates/{}/suspend", {}),
        form=("/affiliates/{}", {"verb": "suspend"}),
        lines=("affiliate_suspended",),
    ),
    "pay out": Change(
        prepare=earning_affiliate,
        cli=("affiliates", "pay-out", "{}", "--currency", "usd"),
        api=("/affiliates/{}/pay-out", {"currency": "usd"}),
        form=("/affiliates/{}", {"verb": "pay_out", "currency": "usd"}),
        lines=("affiliate_paid_out",),
    ),
    "reconcile": Change(
        prepare=nothing,
        cli=("reconcile", "--repair"),
        api=("/reconcile", {"repair": True}),
        form=("/reconcile", {"repair": "yes"}),
        lines=("reconcile",) * 2,
    ),
    "probe": Change(
        prepare=nothing,
        api=("/breaker/lms/probe", {}),
        form=("/system/lms/probe", {}),
        lines=("probe_backend",),
    ),
    "erase": Change(
        prepare=lambda site: site.sdk.enrollments.get(ended(site)).email,
        cli=("enrollments", "erase", "--email", "{}"),
        lines=("erased",) * 3,
    ),
}


def ended(site):
    """Return an enrollment that has ended and owes nothing."""
    made = site.sdk.checkout(course_id=COURSE, email=fresh_email())
    site.sdk.cancel(made.enrollment_id, made.token)
    site.world.let_time_pass()
    return made.enrollment_id


class Doors:
    """The three doors of one service."""

    def __init__(self, site, run, folder) -> None:
        self.site, self._run, self._folder = site, run, folder

    def _filled(self, value, name):
        if isinstance(value, dict):
            return {
                self._filled(k, name): self._filled(v, name) for k, v in value.items()
            }
        if isinstance(value, (tuple, list)):
            return [self._filled(one, name) for one in value]
        if not isinstance(value, str):
            return value
        file = self._folder / "codes.csv"
        file.write_text(f"{CSV}CL-1,10,yes\n")
        day = self.site.world.clock.now().date().isoformat()
        return (
            value.replace("{}", name)
            .replace("{email}", fresh_email())
            .replace("{file}", str(file))
            .replace("{day}", day)
        )

    def go_through(self, door, change, name):
        """Make the change by one door."""
        if door == "cli":
            done = self._run(*self._filled(change.cli, name), *WORDS)
            assert done.code in {0, 1}, done.err
            return
        path, fields = self._filled(getattr(change, door), name)
        fields = {"reason": REASON} | fields
        if door == "api":
            answer = self.site.admin("POST", path, OPERATOR, json=fields)
        else:
            answer = Browser(self.site).post(path, **fields)
        assert answer.status_code < 400, answer.text


def trail_of(site):
    """Return the lines that were written for our reason, by id."""
    entries = site.sdk.storage.audit.list(limit=1000).items
    return {e.id: e for e in entries if e.reason == REASON and e.action != "sign_in"}


def shape_of(entry, name):
    """Return what a line tells whoever made the change by whichever door."""
    subject = "it" if name and name in entry.subject else ""
    phase = entry.detail.get("phase", "")
    return (entry.actor, entry.action, subject, phase, tuple(sorted(entry.detail)))


@pytest.mark.parametrize("name", CHANGES)
def test_every_door_leaves_the_same_line(name, capsys, tmp_path):
    """Who, what, to what, why: the rule stands in the service, not at the door."""
    site = Site(**ADMIN)
    doors = Doors(site, lender(capsys, site.sdk), tmp_path)
    change, lines = CHANGES[name], {}
    for door in ("cli", "api", "form"):
        if not getattr(change, door):
            continue
        subject = change.prepare(site)
        before = trail_of(site)
        doors.go_through(door, change, subject)
        site.sdk.run_jobs()
        # Time stands still, so that the lines of a change have no order.
        written = [e for name, e in trail_of(site).items() if name not in before]
        assert sorted(e.action for e in written) == sorted(change.lines), door
        assert {entry.actor for entry in written} == {"olga"}
        lines[door] = sorted(shape_of(entry, subject) for entry in written)
    first, *others = lines.values()
    assert all(line == first for line in others), lines


def test_no_change_of_a_route_is_left_out():
    """Every route that only operators may use is in the table."""
    paths = {"api": set(), "dashboard": set()}
    for change in CHANGES.values():
        for door, kind in (("api", "api"), ("form", "dashboard")):
            if getattr(change, door):
                paths[kind].add(getattr(change, door)[0])
    left = []
    for route in ROUTES:
        if route.access is not Access.OPERATOR or "POST" not in route.methods:
            continue
        kind = "api" if route.path.startswith("/admin/api") else "dashboard"
        path = route.path.removeprefix("/admin/api" if kind == "api" else "/admin")
        pattern = path.replace("<path:key>", "{}").replace("<backend>", "lms")
        for part in ("enrollment_id", "event_id", "grant_id", "code", "name"):
            pattern = pattern.replace(f"<{part}>", "{}")
        if pattern not in paths[kind]:
            left.append(route.name)
    # The sync of an enrollment is a job like any other.
    assert left == ["api_retry_enrollment"]


def commands(group, path=()):
    """Yield the commands that take who acts."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif any("--actor" in option.opts for option in command.params):
            yield (*path, name)


def test_no_change_of_a_command_is_left_out():
    """Every command that takes who acts is in the table."""
    covered = {change.cli[:2] for change in CHANGES.values()}
    covered |= {change.cli[:1] for change in CHANGES.values()}
    assert [words for words in commands(cli) if words not in covered] == []

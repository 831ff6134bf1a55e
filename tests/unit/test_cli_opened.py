# SPDX-License-Identifier: MIT
"""Commands work on a host's SDK where they run inside one."""

from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner
from support.world import World

import frappe_enroll_cli
from frappe_enroll_cli._internal.opened import lend, opened_sdk
from frappe_enroll_cli.main import cli


def test_lent_sdk_is_used_and_stays_open(monkeypatch):
    """Every command under the context works on it."""
    world = World()
    sdk, closed = world.sdk(), []
    monkeypatch.setattr(sdk, "close", lambda: closed.append(1))

    @click.group()
    @click.pass_context
    def host(context):
        lend(context, sdk)

    host.add_command(cli, "enroll")
    code = world.coupon(100)
    done = CliRunner().invoke(host, ["enroll", "coupons", "show", code])
    assert done.exit_code == 0, done.output
    assert code in done.stdout
    assert closed == []


def test_no_command_opens_an_sdk_of_its_own():
    """One place decides whose SDK a command has; the demo has a stage."""
    folder = Path(frappe_enroll_cli.__file__).parent
    found = [
        file.name
        for file in [*folder.glob("*.py"), *folder.glob("_internal/*.py")]
        if "from_env()" in file.read_text(encoding="utf-8")
    ]
    assert found == ["opened.py"]
    assert opened_sdk.__doc__

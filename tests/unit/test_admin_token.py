# SPDX-License-Identifier: MIT
"""The command that makes admin tokens."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from frappe_enroll_cli.main import cli
from frappe_enroll_sdk import Settings
from frappe_enroll_sdk.errors import SettingsError
from frappe_enroll_sdk.ids import hash_token
from frappe_enroll_sdk.settings.options import SHORTEST_SECRET


def run(*arguments):
    """Run the command."""
    return CliRunner().invoke(cli, ["admin-token", "create", *arguments])


def test_token_is_printed_with_its_line():
    """On stdout, in this order; the line is one that the settings take."""
    done = run("--name", "alice")
    token, line = done.stdout.splitlines()
    assert done.exit_code == 0
    assert line == f"operator:alice:{hash_token(token)}"
    assert Settings(admin_tokens=line).admin_tokens[0].value == line
    assert token not in done.stderr


def test_token_as_json_has_its_role():
    """For machines: both in one object; two calls give two tokens."""
    first, second = (
        json.loads(run("--name", "a", "--role", "viewer", "--json").stdout)
        for _ in range(2)
    )
    assert first["line"].startswith("viewer:a:")
    assert first["token"] != second["token"]
    assert len(first["token"]) >= SHORTEST_SECRET + 27


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a,b", "x" * 65])
def test_name_that_would_break_the_line_is_refused(name):
    """Colons and commas separate; usage errors are exit 2."""
    assert run("--name", name).exit_code == 2


@pytest.mark.parametrize("line", ["alice", "root:alice:" + "0" * 64, "viewer:a:00"])
def test_line_that_is_none_is_refused_by_the_settings(line):
    """A damaged line would lock somebody out in silence."""
    with pytest.raises(SettingsError, match="FRAPPE_ENROLL_ADMIN_TOKENS"):
        Settings(admin_tokens=line)

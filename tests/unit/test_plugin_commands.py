# SPDX-License-Identifier: MIT
"""Commands that plugins bring to the command line."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from frappe_enroll_cli.main import cli
from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.plugins import Plugins


class Bringer:
    """A plugin with a command of its own, and one that takes a name of ours."""

    @hookimpl
    def register_commands(self, register):
        """Bring both."""
        register(click.Command("greet", callback=lambda: click.echo("hello")))
        register(click.Command("config", callback=lambda: click.echo("stolen")))


@pytest.fixture
def bringer(monkeypatch):
    """Let the command line find the plugin."""
    found = Plugins(extra=[Bringer()], discover=False)
    monkeypatch.setattr(Plugins, "from_settings", lambda *_, **__: found)


def test_command_of_a_plugin_runs(bringer):
    """By its name, beside ours."""
    done = CliRunner().invoke(cli, ["greet"])
    assert (done.exit_code, done.output) == (0, "hello\n")


def test_command_of_ours_is_not_replaced(bringer):
    """A plugin can't take a name that is taken."""
    assert "stolen" not in CliRunner().invoke(cli, ["config", "--template"]).output


def test_unknown_command_is_a_usage_error(bringer):
    """Exit 2, as click says."""
    assert CliRunner().invoke(cli, ["nothing"]).exit_code == 2
